"""The folder of an exported network: a SavedModel with `a2d_tf.json` beside `saved_model.pb`.

`a2d_tf.json` holds what is not in the graph: the label space, how flow is made and how far the
frames of a clip lie apart.
"""

import json
import os
import shutil
import tempfile

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.serving import warmup
from a2d_tf.serving.served_network import INPUTS, OUTPUTS, SIGNATURES, ServedNetwork

FACTS = "a2d_tf.json"


def facts(run):
    """What a user of the graph must know and the graph does not say: a dict, ready for JSON."""
    model, inference = run.config.model, run.config.inference
    return {
        "labels": json.loads(run.network.labels.to_json()),
        "base": run.network.labels.base,
        **run.records,
        "frames": model.frames,
        "use_flow": model.use_flow,
        "label_mode": model.label_mode,
        "canvas": list(run.network.image_size),
        "score_threshold": inference.score_threshold,
        "paint": inference.paint,
        "precision": run.config.compute.precision,
        "checkpoint": os.path.basename(run.checkpoint),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "signatures": SIGNATURES,
    }


def check_folder(folder):
    """InputError unless the folder is one that `export` made."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; a2d_tf.export makes one from a run")
    for name in ("saved_model.pb", FACTS):
        if not os.path.isfile(os.path.join(folder, name)):
            raise InputError(f"{folder}: no {name} there, so not a SavedModel of a2d_tf.export")


def check_versions(folder):
    """InputError unless a folder can hold the versions of a model, each in one of its own."""
    if os.path.isfile(os.path.join(folder, "saved_model.pb")):
        raise InputError(
            f"{folder}: is a SavedModel itself; for --version give another --output, of which "
            "each version is a subfolder"
        )


def check_output(output):
    """InputError unless `output` is new, empty, or an older export that may be replaced."""
    if os.path.isdir(output) and not os.listdir(output):
        return
    if os.path.lexists(output):
        try:
            check_folder(output)
        except InputError as error:
            raise InputError(
                f"{output}: is there already and is no export; delete it or give another --output"
            ) from error


def export(run, output, warm_up=False):
    """Write a run as a SavedModel folder, whole or not at all; an older export is replaced.

    Args:
      run: a `runs.Run`.
      output: the folder.
      warm_up: whether to add `assets.extra/tf_serving_warmup_requests`; see `warmup`.

    Returns:
      {name: concrete function} of the signatures.

    Raises:
      InputError: something else is there, or the folder cannot be written.
    """
    check_output(output)
    parent = os.path.dirname(os.path.abspath(output))
    served = ServedNetwork(run.network, run.config.inference, run.records["clip_stride"])
    signatures = served.signatures()
    try:
        os.makedirs(parent, exist_ok=True)
        partial = tempfile.mkdtemp(prefix=".partial-", dir=parent)
        try:
            new, old = os.path.join(partial, "new"), os.path.join(partial, "old")
            tf.saved_model.save(served, new, signatures=signatures)
            write_json(os.path.join(new, FACTS), facts(run))
            if warm_up:
                size = run.records["image_height"], run.records["image_width"]
                warmup.write(new, signatures, run.config.model.frames, size)
            if os.path.isdir(output):
                os.replace(output, old)
            try:
                os.replace(new, output)
            except OSError:
                if os.path.isdir(old):
                    os.replace(old, output)
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{output}: cannot be written ({error})") from error
    return signatures
