"""A round of a2d start that labels given tracks by coded times."""
