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
"""The name of this file in the folder of an export."""


class ModelInfo(TypedDict, total=False):
    """The contents of `a2d_tf.json`, as a plain dictionary: the facts about a network.

    Attributes:
      labels: the label space, as the fields of `LabelSpace.from_fields`.
      base: the factor in a code, which is base * actor + action.
      label_mode: value of --label_mode.
      joint: whether p(action) is a sum over actors of p(actor) p(action).
      score_threshold: least p(actor) of an instance, 0 to 1.
      boxes_only: True if the network has no masks, so that masks fill their boxes;
        absent otherwise.
      labels_only: True if the network labels given boxes, and finds none; absent
        otherwise.
      bout_seconds: {action: mean length in seconds of its coded bouts}; absent if no
        times were coded.
      held_out: how good the labels were in videos held out from training, see
        `runs.held_out_scores`; absent if unknown.
      frames: number of frames of a clip, 2L + 1.
      clip_stride: number of source frames from one frame of a clip to the next.
      use_flow: whether the network reads optical flow.
      flow_method: value of --flow_method, by which flow is computed.
      image_height: flow is computed in frames that fit into this height, pixels.
      image_width: flow is computed in frames that fit into this width, pixels.
      canvas: height and width in pixels of the image that the network sees.
      motion: the motion maps that the network reads; absent if it reads none.
      inputs: {input: its description}, see `serving.descriptions`.
      outputs: {output: its description}.
      signatures: {signature: its description}.
      schema: version of the format of records, runs and exports.
      written_by: version of a2d_tf that wrote the file.
      precision: value of --precision.
      checkpoint: name of the file or folder that the weights came from.
      sha256: {file of the export: its digest}; only in the file, not in memory.
    """

    labels: dict[str, Any]
    base: int
    label_mode: str
    joint: bool
    score_threshold: float
    boxes_only: bool
    labels_only: bool
    bout_seconds: dict[str, float]
    held_out: dict[str, Any]

    frames: int
    clip_stride: int
    use_flow: bool
    flow_method: str
    image_height: int
    image_width: int
    canvas: list[int]
    motion: MotionFields

    inputs: dict[str, str]
    outputs: dict[str, str]
    signatures: dict[str, str]

    schema: int
    written_by: str
    precision: str
    checkpoint: str
    sha256: dict[str, str]


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
    """Read and check `a2d_tf.json` in the folder of an export.

    Raises:
      InputError: `folder` was not made by a2d export, is damaged, or has the format of
        another version.
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
    """Return the contents of `a2d_tf.json` for a run's network, without `sha256`."""
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
