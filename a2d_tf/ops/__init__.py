"""Pure tensor functions on boxes, anchors, RoIs and masks."""
