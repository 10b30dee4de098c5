"""The mini A2D: drawn clips of seven actors in the layout of the real release."""
