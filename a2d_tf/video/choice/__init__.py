"""Choose the frames of predictions to correct next, for `a2d next`.

`reasons` finds the reasons to correct a frame, and `chosen_frames` the frames whose
reasons have the highest values, spread over videos and time. `choice_folder` writes
them for an annotation tool.
"""
