"""Tensor functions on boxes, anchors, RoIs, masks and frames, and drawings of these."""
