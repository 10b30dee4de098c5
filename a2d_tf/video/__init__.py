"""From a video to the instances in it: reading, streaming, tracking, and the files written."""
