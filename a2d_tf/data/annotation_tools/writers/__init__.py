"""Tracks of a video, written as annotation tools read them."""
