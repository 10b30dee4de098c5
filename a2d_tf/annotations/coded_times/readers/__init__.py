"""Readers of coded times: projects and tables of BORIS, and summary.csv."""
