"""From an A2D release on disk to batches of clips."""
