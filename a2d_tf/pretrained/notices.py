"""What a folder that holds public weights says of their authors: its file NOTICE."""

from __future__ import annotations

import os

from a2d_tf.core.files import write_text

FILE = "NOTICE"


def write(folder: str | os.PathLike[str], action_backbone: str) -> None:
    """Write the file into the folder of a run, a packed model or an export.

    Args:
      action_backbone: of the network there; there is no file without one.
    """
    if action_backbone:
        from a2d_tf.model import backbones  # late: it imports TensorFlow

        notice = backbones.ACTION_BACKBONES[action_backbone].notice
        write_text(os.path.join(folder, FILE), notice)
