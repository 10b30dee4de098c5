"""What a machine makes of a training, and settings suggested for it."""
