"""Train the network: the loop over steps, checkpoints, and initial weights.

`train.py` calls `fit.fit`, the loop. It calls the step of `step/train_step.py`, which
calls `step/forward.py` for the loss terms. `suggestion/` suggests the settings of a
training. `given_tracks/` fits the labels of given tracks, for which no network is
trained.
"""
