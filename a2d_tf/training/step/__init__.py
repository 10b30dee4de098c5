"""A training step: forward pass, gradients and update, on one device or several.

`train_step` is the step, and calls `forward` for its loss terms and `optimizer` for the
update. `phases` says what is trained, and `replicas` has what several devices need.
"""
