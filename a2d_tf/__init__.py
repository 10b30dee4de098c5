"""Joint actor-action semantic segmentation in video (Ji et al., ECCV 2018)."""

import importlib.util
import os

# OpenCV's own complaints would bury the one clear message; it reads these when it is imported, and
# FFmpeg's at its first use.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

# After TensorFlow 2.15 `tf.keras` is Keras 3, unless this is set before its first use; the code is
# for Keras 2, which there is the package tf-keras.
if importlib.util.find_spec("tf_keras"):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
