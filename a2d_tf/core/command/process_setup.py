"""Set up a process for a command: quiet libraries, plain log lines, a fast start."""

from __future__ import annotations

import atexit
import faulthandler
import gc
import io
import logging
import os
import sys

from a2d_tf.core.machine import devices


def prepare() -> None:
    """Set up this process for a command, before TensorFlow is imported.

    Libraries become quiet, log records of this package become plain lines, and Python
    looks for garbage less often. Libraries read their environment variables when they
    load, so that commands import TensorFlow after this; child processes inherit them.
    Variables that are set already stay.
    """
    # With an NVIDIA card, TensorFlow's warnings say which library of CUDA is missing.
    # Without one, nothing that it prints helps a user.
    uses_nvidia = devices.may_have_nvidia() and not devices.hides_nvidia()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if uses_nvidia else "3")
    # The messages of OpenCV and FFmpeg would bury the one line that matters.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
        if "cv2" in sys.modules:
            cv2 = sys.modules["cv2"]
            getattr(cv2.utils, "logging", cv2).setLogLevel(0)  # OpenCV 4.13 moved it
    # a name that it cannot show ends no command
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # TensorFlow 2.15 imports distutils, in whose place setuptools loads all of itself.
    hook = sys.modules.get("_distutils_hack")
    if hook is not None and hasattr(hook, "remove_shim"):  # not from Python 3.12 on
        hook.remove_shim()
    # Importing TensorFlow makes some 300000 objects that stay. Python looks for garbage
    # after every 700 new ones, which takes a fifth of the time of the import.
    gc.set_threshold(50_000)
    # Nor need it look a last time, when the process ends.
    atexit.register(gc.freeze)
    faulthandler.enable()  # a crash of a library prints where it was called
    logger = logging.getLogger("a2d_tf")
    logger.setLevel(logging.INFO)
    logger.handlers = [_Console()]
    logger.propagate = False


class _Console(logging.Handler):
    """Prints log records as plain lines, notes to stdout and warnings to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.WARNING:
            print(f"warning: {text}", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stdout, flush=True)
