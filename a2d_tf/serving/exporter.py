"""Export a run as a folder, or serve it without one."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import cast

import tensorflow as tf

from a2d_tf.core import files, folders
from a2d_tf.core.errors import InputError
from a2d_tf.data.record_folder.manifest import FORMAT
from a2d_tf.pretrained import notices
from a2d_tf.runs.loading import Run
from a2d_tf.serving import model_info, served_motion
from a2d_tf.serving.export_folder import CHECKED, ServedFunctions
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.serving.signatures import (
    BOX_SIGNATURES,
    VIDEO_SIGNATURES,
    FrameSignatures,
    describe_network,
)
from a2d_tf.serving.stored_functions import GRAPH, Function


def describe(run: Run) -> ModelInfo:
    """Return the contents of `a2d_tf.json`, without digests."""
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
        for name in (*BOX_SIGNATURES, "block"):
            if name in description.signatures:
                info["signatures"][name] = description.signatures[name]
    if run.bout_seconds:
        info["bout_seconds"] = run.bout_seconds
    if run.held_out:
        info["held_out"] = run.held_out
    return info


def export(run: Run, output: str, names: Collection[str] | None = None) -> None:
    """Write a run as a SavedModel folder, whole or not at all.

    An older export is replaced.

    Args:
      names: of the signatures to store; fewer take less time. None for all.

    Raises:
      InputError: something else is at `output`, or the folder cannot be written.
    """
    folders.check_output_folder(output, (GRAPH, model_info.FILE), "an export")
    served = ServedNetwork(
        run.network, run.config.inference, run.records["clip_stride"]
    )
    try:
        with folders.whole_folder(output) as folder:
            stored: tf.Module = served
            if names is not None:
                stored = tf.Module()  # without the functions of the others
                stored.weights = served.weights
            tf.saved_model.save(stored, folder, signatures=served.signatures(names))
            info = describe(run)
            info["sha256"] = {}
            for name in CHECKED:
                info["sha256"][name] = files.file_digest(os.path.join(folder, name))
            files.write_json(os.path.join(folder, model_info.FILE), info)
            notices.write(folder, run.config.model.action_backbone)
    except tf.errors.OpError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error


def serve(run: Run, signatures: FrameSignatures = VIDEO_SIGNATURES) -> ServedFunctions:
    """Return what `export_folder.load` would return of an export of a run."""
    served = ServedNetwork(run.network, run.config.inference)
    motion_names = served_motion.input_specs(run.network)

    def take_motion(frames: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {name: frames.pop(name) for name in motion_names}

    def key_frame(size: tf.Tensor, **frames: tf.Tensor) -> dict[str, tf.Tensor]:
        motion = take_motion(frames)
        return served.key_frame(frames, size, motion)

    def label_boxes(
        size: tf.Tensor, boxes: tf.Tensor, num_boxes: tf.Tensor, **frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        motion = take_motion(frames)
        return served.boxes(frames, size, boxes, num_boxes, motion)

    answer: Function = key_frame
    if signatures == BOX_SIGNATURES:
        answer = label_boxes
    return ServedFunctions(
        frame=served.frame, answer=answer, info=describe(run), block=served.block
    )
