"""Joint actor-action semantic segmentation in video (Ji et al., ECCV 2018)."""
