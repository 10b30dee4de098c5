"""The machine: cores, memory and GPUs, processes, threads and signals."""
