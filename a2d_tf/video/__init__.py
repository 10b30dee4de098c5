"""Reading a video, predicting its frames, tracking, and the files of a prediction."""
