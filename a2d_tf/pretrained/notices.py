"""The file NOTICE, which names the authors of public weights in a folder."""

from __future__ import annotations

import os

from a2d_tf.core.files import write_text

FILE = "NOTICE"


def write(folder: str | os.PathLike[str], action_backbone: str) -> None:
    """Write the file NOTICE on the weights of an action backbone into a folder.

    The licence of such weights asks for it in every folder that holds them. No file is
    written if the network has no action backbone.

    Args:
      folder: the folder of a run, a packed model or an export.
      action_backbone: a key of `backbones.ACTION_BACKBONES`, or "" if the network has
        none.
    """
    if action_backbone:
        from a2d_tf.model import backbones  # late: it imports TensorFlow

        notice = backbones.ACTION_BACKBONES[action_backbone].notice
        write_text(os.path.join(folder, FILE), notice)
