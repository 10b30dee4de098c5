"""Frames of a video with their times: of a file, a folder of images or a camera."""
