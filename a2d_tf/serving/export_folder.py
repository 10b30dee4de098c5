"""The folder of an exported network: a SavedModel with `a2d_tf.json` and `functions/`
in it.

`a2d_tf.json` holds what is not in the graph: the label space, the method of the flow
and the distance between the frames of a clip.

To load a SavedModel, Python rebuilds every operation of every signature, which for a
small network takes longer than its answer to a short video. `functions/` in the same
folder is a SavedModel of two of the signatures. It has no weights of its own, so that
they are stored once.

To build and trace a network takes longer still, so exports of runs and packed models
are kept in `served/` of the user's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.core import devices, files, folders
from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import FORMAT, load_current
from a2d_tf.pretrained import cache
from a2d_tf.runs import loading, packed
from a2d_tf.serving.served_network import INPUTS, OUTPUTS, SIGNATURES, ServedNetwork

_FACTS, _SAVED_MODEL, _FUNCTIONS = "a2d_tf.json", "saved_model.pb", "functions"
_VARIABLES = os.path.join("variables", "variables")
_CHECKED = (_SAVED_MODEL, f"{_VARIABLES}.index", os.path.join(_FUNCTIONS, _SAVED_MODEL))
NAMES = ("frame", "key_frame")
_KIND = {
    "labels": LabelSpace.from_fields,
    **dict.fromkeys(("frames", "image_height", "image_width", "clip_stride"), whole(1)),
    **dict.fromkeys(("use_flow", "joint", "boxes_only?"), bool),
    **dict.fromkeys(("label_mode", "flow_method", "precision", "checkpoint"), str),
    "score_threshold": number(0, 1),
    "sha256": {str: str},
}
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_KEPT = 5  # models; the paper's takes half a gigabyte

Loaded = tuple[dict[str, Callable[..., "dict[str, tf.Tensor]"]], dict[str, Any]]
"""{'frame', 'key_frame': function by keyword}, and the contents of `a2d_tf.json`."""


def facts(run: loading.Run) -> dict[str, Any]:
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
        # whether p(action) is a sum over actors
        "joint": bool(run.network.label_mode.columns),
        "canvas": list(run.network.image_size),
        "score_threshold": inference.score_threshold,
        "precision": run.config.compute.precision,
        "checkpoint": os.path.basename(run.checkpoint),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "signatures": SIGNATURES,
        **({"boxes_only": True} if boxes_only else {}),  # masks fill their boxes
    }


def export(run: loading.Run, output: str, saved_model: bool = True) -> None:
    """Write a run as a SavedModel folder, whole or not at all; an older export is
    replaced.

    Args:
      saved_model: whether it is one, or only what `load` reads.

    Raises:
      InputError: something else is at `output`, or the folder cannot be written.
    """
    folders.check_output_folder(output, (_SAVED_MODEL, _FACTS), "an export")
    served = ServedNetwork(
        run.network, run.config.inference, run.records["clip_stride"]
    )
    part: Any = tf.Module()
    part.weights = served.weights
    try:
        with folders.whole_folder(output) as new:
            if saved_model:
                tf.saved_model.save(served, new, signatures=served.signatures())
            place = os.path.join(new, _FUNCTIONS)
            functions = {
                name: getattr(served, name).get_concrete_function() for name in NAMES
            }
            tf.saved_model.save(part, place, signatures=functions)
            variables = os.path.join(place, "variables")
            if saved_model:
                shutil.rmtree(variables)
            else:
                shutil.move(variables, new)
            checked = _CHECKED if saved_model else _CHECKED[1:]
            digests = {
                name: files.file_digest(os.path.join(new, name)) for name in checked
            }
            files.write_json(
                os.path.join(new, _FACTS), {**facts(run), "sha256": digests}
            )
    except tf.errors.OpError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error


def load(folder: str) -> Loaded:
    """Load an exported folder for videos.

    Raises:
      InputError: a folder that a2d export did not make, or a damaged one.
    """
    path = os.path.join(folder, _FACTS)
    missing = "use a folder of a2d export or a2d train"
    contents = load_current(
        path, _KIND, missing, "export the run again with a2d export"
    )
    try:
        # TensorFlow checks the weights itself, but not the graph.
        for file, digest in contents.pop("sha256").items():
            if files.file_digest(os.path.join(folder, file)) != digest:
                raise OSError(f"{file} has changed since the export")
        options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=True)
        model = tf.saved_model.load(os.path.join(folder, _FUNCTIONS), options=options)
        weights = tf.train.Checkpoint(weights=model.weights)
        status = weights.read(os.path.join(folder, _VARIABLES)).expect_partial()
        status.assert_existing_objects_matched()
        functions = {name: _keeping(model, model.signatures[name]) for name in NAMES}
    except (OSError, KeyError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{folder}: corrupt ({reason}); export the run again"
        ) from error
    return functions, contents


def _keeping(owner, function):
    """Return the function with a reference to the owner of its variables, to keep it
    alive.
    """
    return lambda **arguments: (owner, function(**arguments))[1]


def serve(run: loading.Run) -> Loaded:
    """Return what `load` would of an export of a run."""
    served = ServedNetwork(run.network, run.config.inference)
    key_frame = served.key_frame
    functions = {
        "frame": served.frame,
        "key_frame": lambda size, **frames: key_frame(frames, size),
    }
    return functions, facts(run)


def kept(folder: str, given: dict[str, Any], kind: str) -> Loaded:
    """Return what `load` would of an export of a run folder or packed model, and keep
    the export.

    The last _KEPT of a user are kept; of a cache that takes none, they are made at each
    start.

    Args and errors are those of `loading.load`.
    """
    run = None
    try:
        place = _place(folder, given, kind)
        with contextlib.suppress(InputError, OSError):
            os.utime(place)  # the last used are kept
            return load(str(place))
        shutil.rmtree(place, ignore_errors=True)  # damaged
        run = loading.load(folder, given, kind)
        export(run, str(place), saved_model=False)
        for old in sorted(place.parent.glob("[!.]*"), key=os.path.getmtime)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return load(str(place))
    except (InputError, OSError, RuntimeError):  # the last for a user without a home
        return serve(run or loading.load(folder, given, kind))


def _place(folder, given, kind):
    """The folder in the cache, named by a digest of all that an export depends on."""
    run = pathlib.Path(folder)
    # Some may be half copied or damaged, and whole at the next start.
    sizes = sorted(
        (x.st_size, x.st_mtime_ns) for x in map(os.stat, run.glob("*/*.data-*"))
    )
    best = [path.read_text() for path in run.glob("best/*.json")]
    origin = (
        packed.identity(folder),
        sizes,
        best,
        given,
        kind,
        tf.__version__,
        devices.on_gpu(),
    )
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True, default=str).encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return cache.folder() / "served" / digest.hexdigest()
