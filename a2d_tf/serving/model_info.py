"""The facts about a served network beside its graph: `a2d_tf.json` of an export."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypedDict, cast

from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.file_format import FORMAT, load_current
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.record_folder.manifest import BOUT_SECONDS_KIND
from a2d_tf.data.record_folder.motion_facts import MOTION_KIND, MotionFields
from a2d_tf.runs import held_out_scores, run_folder
from a2d_tf.serving.descriptions import describe_network
from a2d_tf.serving.signatures import BOX_SIGNATURES

if TYPE_CHECKING:
    from a2d_tf.runs.loading import Run

FILE = "a2d_tf.json"
"""Its name in the folder of an export."""


class ModelInfo(TypedDict, total=False):
    """The contents of `a2d_tf.json`; a plain dictionary."""

    # What the network says.
    labels: dict[str, Any]  # fields of the `LabelSpace`
    base: int  # a code is base * actor + action
    label_mode: str  # of --label_mode
    joint: bool  # whether p(action) is a sum over actors
    score_threshold: float  # least p(actor) of an instance
    boxes_only: bool  # there if true: masks fill their boxes
    labels_only: bool  # there if true: it labels given boxes, and finds none
    bout_seconds: dict[str, float]  # {action: seconds that a coded bout lasts}
    held_out: dict[str, Any]  # how good labels were, see `runs.held_out_scores`

    # What it is given.
    frames: int  # of a clip, 2L + 1
    clip_stride: int  # source frames from one of a clip to the next
    use_flow: bool  # without it, flow is not looked at
    flow_method: str  # of --flow_method
    image_height: int  # pixels; flow is computed in frames that fit into this size
    image_width: int
    canvas: list[int]  # height and width, pixels, of what the network sees
    motion: MotionFields  # absent if no motion maps are read

    # How its functions are called: {name: description}, see `serving.descriptions`.
    inputs: dict[str, str]
    outputs: dict[str, str]
    signatures: dict[str, str]

    # Where it comes from.
    schema: int  # format of records, runs and exports
    written_by: str  # version of a2d_tf
    precision: str  # of --precision
    checkpoint: str  # name of the file or folder of its weights
    sha256: dict[str, str]  # {file of the export: digest}; in the file alone


_POSITIVE = whole(1)
_KIND = {
    "labels": LabelSpace.from_fields,
    "frames": _POSITIVE,
    "image_height": _POSITIVE,
    "image_width": _POSITIVE,
    "clip_stride": _POSITIVE,
    "use_flow": bool,
    "joint": bool,
    "boxes_only?": bool,
    "labels_only?": bool,
    "label_mode": str,
    "flow_method": str,
    "precision": str,
    "checkpoint": str,
    "score_threshold": number(0, 1),
    "motion?": MOTION_KIND,
    "bout_seconds?": BOUT_SECONDS_KIND,
    "held_out?": held_out_scores.KIND,
    "sha256": {str: str},
}


def read(folder: str) -> ModelInfo:
    """Read `a2d_tf.json` of an export.

    Raises:
      InputError: a folder that a2d export did not make, or a damaged one.
    """
    run_folder.check_weights_path(folder)
    fields = load_current(
        os.path.join(folder, FILE),
        _KIND,
        "use a folder of a2d export or a2d train",
        "export the run again with a2d export",
    )
    return cast(ModelInfo, fields)


def of_run(run: Run) -> ModelInfo:
    """Return the contents of `a2d_tf.json` for a run, without digests."""
    model = run.config.model
    network = run.network
    description = describe_network(network)
    fields = {
        "labels": json.loads(network.labels.to_json()),
        "base": network.labels.base,
        **FORMAT,
        **run.records,
        "frames": model.frames,
        "use_flow": model.use_flow,
        "label_mode": model.label_mode,
        "joint": network.label_mode.is_joint,
        "canvas": list(network.image_size),
        "score_threshold": run.config.inference.score_threshold,
        "precision": run.config.compute.precision,
        "checkpoint": os.path.basename(run.checkpoint),
        **description._asdict(),
    }
    info = cast(ModelInfo, fields)
    if network.motion_readout is not None:
        digest = ""
        if model.action_backbone and run.motion is not None:
            digest = run.motion.sha256
        info["motion"] = {
            "action_backbone": model.action_backbone,
            "sha256": digest,
            "flow_histograms": model.flow_histograms,
        }
    if not (model.use_mask or model.use_refiner):
        info["boxes_only"] = True
    if run.labels_only:
        info["labels_only"] = True
        info["signatures"] = {}
        for name in BOX_SIGNATURES:
            if name in description.signatures:
                info["signatures"][name] = description.signatures[name]
    if run.bout_seconds:
        info["bout_seconds"] = run.bout_seconds
    if run.held_out is not None:
        info["held_out"] = run.held_out.to_json()
    return info
