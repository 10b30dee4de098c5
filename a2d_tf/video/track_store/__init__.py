"""What `a2d start` keeps of the tracks of videos, so that no step is done twice.

DetectedTracks   the tracks that a detector found, as exports that a user can correct
FeatureFolder    the features of the instances of given tracks; `FeatureMaker` computes
                 them
"""
