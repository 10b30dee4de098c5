"""The choice of frames to correct next."""
