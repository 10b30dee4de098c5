"""The files of a prediction, written frame by frame and published as a whole."""
