"""The mini A2D: drawn figures that act, in A2D's layout."""
