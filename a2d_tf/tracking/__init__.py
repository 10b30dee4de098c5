"""Individuals over time: who is who from frame to frame, and what each one does."""
