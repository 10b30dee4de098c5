"""The frames that a2d next asked to correct, a file beside records.

  {"clip9": [12, 48], ...}

Later records that continue these put the videos into the training split, so that a
training learns from the corrections.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from a2d_tf.core.checked_json import load_json, whole
from a2d_tf.core.files import write_json

FILE = "asked_frames.json"


def read(records: str | os.PathLike) -> dict[str, list[int]]:
    """Read which frames `a2d next` has asked somebody to correct.

    Args:
      records: folder of the records.

    Returns:
      {name of a video: numbers of its frames, from 1}; empty if there is no file.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(records, FILE)
    if not os.path.exists(path):
        return {}
    return load_json(path, {str: [whole(1)]}, "delete it, and run a2d next again")


def add(records: str | os.PathLike, frames: Mapping[str, Collection[int]]) -> None:
    """Add frames to the file of those that `a2d next` has asked somebody to correct.

    Args:
      records: folder of the records, in which asked_frames.json is written.
      frames: {name of a video: numbers of its frames, from 1}.

    Raises:
      InputError: the earlier file is damaged, or the new one cannot be written.
    """
    asked = read(records)
    for video, numbers in frames.items():
        asked[video] = sorted({*asked.get(video, ()), *numbers})
    write_json(os.path.join(records, FILE), asked)
