"""Annotation tools' exports: read into one form, matched to videos, and written."""
