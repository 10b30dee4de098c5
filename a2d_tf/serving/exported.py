"""Read an exported folder back: its facts and its functions, with no part of the network's code.

To load a SavedModel, Python rebuilds every operation of every signature, which for a small network
takes longer than its answer to a short video. `functions/` in the same folder is a SavedModel of
two of the signatures. It has no weights of its own, so that they are stored once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, number, whole
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import load_current

FACTS = "a2d_tf.json"
SAVED_MODEL = "saved_model.pb"
NAMES = ("frame", "key_frame")
_FUNCTIONS = "functions"
_VARIABLES = os.path.join("variables", "variables")
_KIND = {
    "labels": LabelSpace.from_fields,
    **dict.fromkeys(("frames", "image_height", "image_width", "clip_stride"), whole(1)),
    **dict.fromkeys(("use_flow", "joint", "boxes_only?"), bool),
    **dict.fromkeys(("label_mode", "flow_method", "precision", "checkpoint"), str),
    "score_threshold": number(0, 1),
    "sha256": {str: str},
}

Function = Callable[..., "dict[str, tf.Tensor]"]


def load(folder: str) -> tuple[dict[str, Function], dict[str, Any]]:
    """Load an exported folder for videos.

    Returns:
      ({name: function by keyword} of `NAMES`, the contents of `a2d_tf.json` but for the digests).

    Raises:
      InputError: a folder that a2d export did not make, or a damaged one.
    """
    path = os.path.join(folder, FACTS)
    missing = "use a folder of a2d export or a2d train"
    facts = load_current(path, _KIND, missing, "export the run again with a2d export")
    try:
        # TensorFlow checks the weights itself, but not the graph.
        for file, digest in facts.pop("sha256").items():
            if file_digest(os.path.join(folder, file)) != digest:
                raise OSError(f"{file} has changed since the export")
        options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=True)
        model = tf.saved_model.load(os.path.join(folder, _FUNCTIONS), options=options)
        weights = tf.train.Checkpoint(weights=model.weights)
        status = weights.read(os.path.join(folder, _VARIABLES)).expect_partial()
        status.assert_existing_objects_matched()
        loaded = {name: _keeping(model, model.signatures[name]) for name in NAMES}
    except (OSError, KeyError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: corrupt ({reason}); export the run again") from error
    return loaded, facts


def write_functions(folder: str, served: tf.Module) -> dict[str, str]:
    """Write `functions/` into the folder of a SavedModel.

    Returns:
      {file: SHA-256} of what `load` checks.
    """
    part: Any = tf.Module()
    part.weights, place = served.weights, os.path.join(folder, _FUNCTIONS)
    signatures = {name: getattr(served, name).get_concrete_function() for name in NAMES}
    tf.saved_model.save(part, place, signatures=signatures)
    shutil.rmtree(os.path.join(place, "variables"))
    files = [SAVED_MODEL, f"{_VARIABLES}.index", os.path.join(_FUNCTIONS, SAVED_MODEL)]
    return {file: file_digest(os.path.join(folder, file)) for file in files}


def _keeping(owner: Any, function: Function) -> Function:
    """Return the function with a reference to the owner of its variables, to keep it alive."""
    return lambda **arguments: (owner, function(**arguments))[1]
