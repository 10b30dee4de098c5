"""From an A2D release, or other annotated videos, to batches of clips."""
