"""Frames of a split: the answers of a network, the truth, and label maps."""
