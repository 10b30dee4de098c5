"""The network for others to use: the served graph, the exported folder, and its predictor."""
