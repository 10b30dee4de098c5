"""Rounds of a2d start: with a training or with tracks; folds, times, curves."""
