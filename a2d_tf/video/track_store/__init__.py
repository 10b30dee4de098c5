"""What `a2d start` keeps of the tracks of videos, so that no step is done twice.

DetectedTracks   the tracks of a detector, as exports that a user can correct
FeatureFolder    the features of the instances of given tracks; `FeatureMaker` computes
                 them
"""
