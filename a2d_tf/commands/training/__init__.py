"""Training: what a machine and records ask for, the time of a step, a step that failed."""
