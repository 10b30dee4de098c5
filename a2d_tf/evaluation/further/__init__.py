"""Figures that the paper does not have: how far to trust a probability, how good a mask is."""
