"""Individuals over time: who is who from frame to frame, and what each one does.

An answered frame is a frame of a video that the network has predicted: every frame, or
with --every=N each Nth one. A track is one individual, followed through the video. A
code joins actor and action in one integer, see `LabelSpace`.

instances of each answered frame
   |
Tracker            links them to tracks: `frame_links` and `candidates`, within
   |               `groups` of actors, by the overlap and the distance of `regions`.
   |               `GivenTracker` keeps the tracks that a user gave
read_labels        reads the label of each track from several frames, in
   |               `tracked_frames`: by votes in `track_labels`, or by `bout_model`
bout_lengths       fills short gaps between bouts, and leaves out short bouts
"""
