"""From the frames of a video to frames with tracks.

The steps, in this order; each is a generator that yields frame after frame:

  prepared_frames    each frame at the stored size, with its flow
  frame_motion       the motion maps of the frames
  clips              the features of each frame and of its neighbours: a `Clip`
  answers            the `Instances` in the key frame of each clip; this module also
                     runs the steps so far in threads
  tracked_answers    the tracks of the instances, and their labels: a `VideoFrame`
  tidy_frames        bouts and gaps of the least length

`feature_network` has the interface of the network, and `track_settings` the settings
of the tracks.
"""
