"""The file NOTICE, which names the authors of public weights in a folder."""

from __future__ import annotations

import os

from a2d_tf.core.files import write_text

FILE = "NOTICE"


def write(folder: str | os.PathLike[str], action_backbone: str) -> None:
    """Write the file into the folder of a run, a packed model or an export.

    Args:
      folder: the folder.
      action_backbone: name of the network's action backbone; if empty, no file is
        written.
    """
    if action_backbone:
        from a2d_tf.model import backbones  # late: it imports TensorFlow

        notice = backbones.ACTION_BACKBONES[action_backbone].notice
        write_text(os.path.join(folder, FILE), notice)
