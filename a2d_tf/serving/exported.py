"""Read an exported folder back: its facts and its functions, with no part of the network's code."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_FRAMES
from a2d_tf.data.manifest import check_facts
from a2d_tf.serving import functions

FACTS = "a2d_tf.json"
SAVED_MODEL = "saved_model.pb"


def check_folder(folder: str) -> None:
    """Raise InputError unless the folder is one that `export_folder.export` made."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; a2d_tf.export makes one from a run")
    for name in (SAVED_MODEL, FACTS):
        if not os.path.isfile(os.path.join(folder, name)):
            raise InputError(f"{folder}: no {name} there, so not a SavedModel of a2d_tf.export")


def load(folder: str) -> tuple[dict[str, functions.Function], dict[str, Any]]:
    """Load an exported folder for videos.

    Args:
      folder: of `export_folder.export`.

    Returns:
      ({name: function by keyword} of `functions.NAMES`, the contents of `a2d_tf.json` but for the
      digests in it).

    Raises:
      InputError: no such folder, one that a2d_tf.export did not make, one from before it knew
        streaming, or a damaged one.
    """
    check_folder(folder)
    try:
        facts = read_json(os.path.join(folder, FACTS))
        check_facts(facts)
        if type(facts["frames"]) is not int or not 1 <= facts["frames"] <= MAX_FRAMES:
            raise ValueError(f"frames {shown(facts['frames'])}")
        _ = facts["use_flow"], facts["checkpoint"], float(facts["score_threshold"])
        LabelSpace.from_fields(facts["labels"])
        loaded = functions.load(folder, facts.pop("functions", None))
        if loaded is None:
            model = tf.saved_model.load(folder)
            loaded = {name: functions.keeping(model, f) for name, f in model.signatures.items()}
    except (OSError, KeyError, TypeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: damaged ({reason}); export the run again") from error
    for name in functions.NAMES:
        if name not in loaded:
            raise InputError(
                f"{folder}: no signature '{name}', so from an older a2d_tf.export; export the run "
                "again"
            )
    return loaded, facts
