"""Training: fit -> train_step -> forward, and the run folder."""
