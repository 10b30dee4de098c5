"""Predictors: they find and label the individuals in the frames of a video.

A prediction goes from the frames of a video to its files:

  reading/  Reader       the frames with their times, of a `Span` of the video
               |
  frames/   answers      each frame with its neighbours, a `Clip`, is answered with
               |         `Instances`: boxes, masks, labels, scores
            tracked_answers
               |         the instances are linked over time, and the labels of tracks
               |         are read from several frames: a `VideoFrame`
  outputs/  PredictionWriter
                         tracks.json, overlay.mp4 and other files

A `VideoPredictor` goes from a Reader to VideoFrames. There are three:

  NetworkPredictor   an InstanceFinder finds the instances
  DetectorPredictor  an ObjectDetector finds boxes, and a BoxLabeller labels them
  TrackPredictor     a user gave boxes and tracks, and a BoxLabeller labels them

`roles` has the interfaces. An InstanceFinder is

  Predictor          a network with its own detector, of a run or an export

A BoxLabeller is one of these:

  ServedLabeller     a network of a run or an export
  FittedLabeller     a fit to features of the boxes that were computed before
  UntrainedLabeller  the class of each box, and maybe an action by I3D
"""
