"""Predict videos: read them, follow individuals, write pages; choose frames.

`predictors` has a picture of the way from the frames of a video to its prediction, and
`library` the steps of a folder of videos.
"""
