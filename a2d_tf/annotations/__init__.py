"""Exports of annotation tools, read, matched to videos, and written."""
