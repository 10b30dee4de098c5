"""The commands beside train, evaluate, export and predict; `tools/` starts them in a clone."""
