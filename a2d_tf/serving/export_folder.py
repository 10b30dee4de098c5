"""The folder of an exported network: a SavedModel with `a2d_tf.json` and `functions/` in it.

`a2d_tf.json` holds what is not in the graph: the label space, the method of the flow and the
distance between the frames of a clip. `functions/` is for a quick start; see `exported`.
"""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import check_place, whole_folder, write_json
from a2d_tf.data.manifest import FORMAT
from a2d_tf.runs.loading import Run
from a2d_tf.serving.exported import FACTS, SAVED_MODEL, write_functions
from a2d_tf.serving.served_network import INPUTS, OUTPUTS, SIGNATURES, ServedNetwork


def facts(run: Run) -> dict[str, Any]:
    """Return the contents of `a2d_tf.json`."""
    model, inference = run.config.model, run.config.inference
    boxes_only = not (model.use_mask or model.use_refiner)
    return {
        "labels": json.loads(run.network.labels.to_json()),
        "base": run.network.labels.base,
        **FORMAT,
        **run.records,
        "frames": model.frames,
        "use_flow": model.use_flow,
        "label_mode": model.label_mode,
        "joint": bool(run.network.label_mode.columns),  # whether p(action) is a sum over actors
        "canvas": list(run.network.image_size),
        "score_threshold": inference.score_threshold,
        "precision": run.config.compute.precision,
        "checkpoint": os.path.basename(run.checkpoint),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "signatures": SIGNATURES,
        **({"boxes_only": True} if boxes_only else {}),  # masks fill their boxes
    }


def check(output: str) -> None:
    """Raise InputError where a folder is neither new nor empty nor an older export."""
    check_place(output, (SAVED_MODEL, FACTS), "an export")


def export(run: Run, output: str) -> None:
    """Write a run as a SavedModel folder, whole or not at all; an older export is replaced.

    Raises:
      InputError: something else is at `output`, or the folder cannot be written.
    """
    check(output)
    served = ServedNetwork(run.network, run.config.inference, run.records["clip_stride"])
    try:
        with whole_folder(output) as new:
            tf.saved_model.save(served, new, signatures=served.signatures())
            digests = write_functions(new, served)
            write_json(os.path.join(new, FACTS), {**facts(run), "sha256": digests})
    except tf.errors.OpError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error
