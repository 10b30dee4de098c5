"""Annotations as annotation tools write them: read into one form, matched to videos, written back."""
