"""The methods of a2d score, which compare files with the truth."""
