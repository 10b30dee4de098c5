"""What this machine makes of a training: kernels, repeatability, time and memory of a step."""
