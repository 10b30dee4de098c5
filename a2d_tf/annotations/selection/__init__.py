"""The choice of annotations: the split of their videos, and frames that differ."""
