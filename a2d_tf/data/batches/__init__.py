"""Batches of clips for training and evaluation, by tf.data."""
