"""Documents matched to the videos of a folder, and to their frames."""
