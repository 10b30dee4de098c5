"""Scores of a user's own labels: objects and coded seconds; folds and rounds."""
