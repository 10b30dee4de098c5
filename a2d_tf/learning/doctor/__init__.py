"""How a machine trains: kernels, determinism, time and memory of a step."""
