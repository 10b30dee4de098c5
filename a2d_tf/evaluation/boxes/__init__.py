"""Boxes of a split: true ones, RoIs and COCO results; their matching, and APs."""
