"""Run folders: settings, checkpoints, TensorBoard events; the runs of an experiment."""
