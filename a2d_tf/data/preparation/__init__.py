"""Frames as records hold them and networks see them: resized, with flow and maps."""
