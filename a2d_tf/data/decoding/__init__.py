"""Frames and their times, decoded from video files and from folders of images."""
