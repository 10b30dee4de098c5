"""Experiments: a row of the paper's tables, all of them, a handful of videos."""
