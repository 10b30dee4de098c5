"""Train the network: the loop, steps, optimizers, checkpoints, and initial weights.

`train.py` calls `fit.fit`, the loop over steps; `train_step` computes gradients and the
update of a step; `forward` computes its loss terms. `suggestion/` suggests settings of
a training. `given_tracks/` fits labels of given tracks without one.
"""
