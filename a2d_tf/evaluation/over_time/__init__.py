"""Scores over time: who is who from frame to frame, beside what is where."""
