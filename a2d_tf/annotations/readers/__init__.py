"""Readers of the exports of annotation tools and trackers, a file for each format."""
