"""Joint actor-action semantic segmentation in video (Ji et al., ECCV 2018)."""

import os

# OpenCV's own complaints would bury the one clear message; it reads these when it is imported, and
# FFmpeg's at its first use.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
