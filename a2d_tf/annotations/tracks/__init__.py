"""Tracks that a user or a detector gives, and the identities of tracks."""
