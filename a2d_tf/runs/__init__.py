"""What a training leaves: run folders, checkpoints, their scores; packed models."""
