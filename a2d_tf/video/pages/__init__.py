"""The page of a predicted video, and what it shares with the page of a library."""
