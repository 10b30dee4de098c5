"""The benchmark's protocol and the paper's tables."""
