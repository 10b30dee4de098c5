"""The settings of a run: their flags, their limits, and checks of them all."""
