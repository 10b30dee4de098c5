"""Choose the frames of predictions to correct next.

`reasons` finds the reasons to correct a frame, and `chosen_frames` the frames whose
reasons have the highest values, spread over videos and time.
"""
