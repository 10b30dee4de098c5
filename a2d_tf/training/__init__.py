"""Train the network: the loop, steps, optimizers, checkpoints, and initial weights."""
