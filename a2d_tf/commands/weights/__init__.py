"""Weights: fetched, imported, packed with a run."""
