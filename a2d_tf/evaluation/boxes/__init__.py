"""The boxes of a split: true ones, RoIs and COCO results; their matching and APs.

AP is average precision. A RoI is a box that the network proposed and scored.
"""
