"""A run's folder: its settings, checkpoints and TensorBoard events."""
