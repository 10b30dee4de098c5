"""Records: made from videos, inspected; the mini A2D."""
