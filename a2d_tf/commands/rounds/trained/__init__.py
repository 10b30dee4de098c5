"""A round of a2d start that trains a network on annotations."""
