"""Export a run as a folder, or serve it without one."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection
from typing import Any

import tensorflow as tf

from a2d_tf.core import files, folders
from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import FORMAT, MotionFacts
from a2d_tf.pretrained import notices
from a2d_tf.runs.loading import Run
from a2d_tf.serving import served_motion, stored_functions
from a2d_tf.serving.export_folder import (
    BOX_SIGNATURES,
    CHECKED,
    INFO,
    BoxFunctions,
    VideoFunctions,
)
from a2d_tf.serving.served_network import ServedNetwork, descriptions


def describe(run: Run) -> dict[str, Any]:
    """Return the contents of `a2d_tf.json`."""
    model = run.config.model
    info = {
        "labels": json.loads(run.network.labels.to_json()),
        "base": run.network.labels.base,
        **FORMAT,
        **run.records,
        "frames": model.frames,
        "use_flow": model.use_flow,
        "label_mode": model.label_mode,
        # whether p(action) is a sum over actors
        "joint": run.network.label_mode.is_joint,
        "canvas": list(run.network.image_size),
        "score_threshold": run.config.inference.score_threshold,
        "precision": run.config.compute.precision,
        "checkpoint": os.path.basename(run.checkpoint),
        **descriptions(run.network),
    }
    if run.network.motion_readout is not None:
        digest = ""
        if model.action_backbone and run.motion is not None:
            digest = run.motion.sha256
        motion = MotionFacts(model.action_backbone, digest, model.flow_histograms)
        info["motion"] = dataclasses.asdict(motion)
    if not (model.use_mask or model.use_refiner):
        info["boxes_only"] = True  # masks fill their boxes
    if run.labels_only:
        info["labels_only"] = True
        signatures = info["signatures"]
        info["signatures"] = {}
        for name in (*BOX_SIGNATURES, "block"):
            if name in signatures:
                info["signatures"][name] = signatures[name]
    if run.bout_seconds:
        info["bout_seconds"] = run.bout_seconds
    return info


def export(run: Run, output: str, signatures: Collection[str] | None = None) -> None:
    """Write a run as a SavedModel folder, whole or not at all.

    An older export is replaced.

    Args:
      signatures: names of those to store; fewer take less time. None for all.

    Raises:
      InputError: something else is at `output`, or the folder cannot be written.
    """
    folders.check_output_folder(output, (stored_functions.GRAPH, INFO), "an export")
    served = ServedNetwork(
        run.network, run.config.inference, run.records["clip_stride"]
    )
    try:
        with folders.whole_folder(output) as folder:
            stored: tf.Module = served
            if signatures is not None:
                stored = tf.Module()  # without the functions of the others
                stored.weights = served.weights
            tf.saved_model.save(
                stored, folder, signatures=served.signatures(signatures)
            )
            digests = {}
            for name in CHECKED:
                digests[name] = files.file_digest(os.path.join(folder, name))
            info = {**describe(run), "sha256": digests}
            files.write_json(os.path.join(folder, INFO), info)
            notices.write(folder, run.config.model.action_backbone)
    except tf.errors.OpError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error


def serve(run: Run, for_boxes: bool = False) -> VideoFunctions | BoxFunctions:
    """Return what `export_folder.load` would return of an export of a run."""
    served = ServedNetwork(run.network, run.config.inference)
    motion_names = served_motion.input_specs(run.network)

    def pop_motion(frames):
        return {name: frames.pop(name) for name in motion_names}

    def key_frame(size, **frames):
        if not motion_names:
            return served.key_frame(frames, size)
        motion = pop_motion(frames)
        return served.key_frame(frames, size, motion)

    def label_boxes(size, boxes, num_boxes, **frames):
        if not motion_names:
            return served.boxes(frames, size, boxes, num_boxes)
        motion = pop_motion(frames)
        return served.boxes(frames, size, boxes, num_boxes, motion)

    block = getattr(served, "block", None)
    if for_boxes:
        return BoxFunctions(served.frame, label_boxes, describe(run), block)
    return VideoFunctions(served.frame, key_frame, describe(run), block)
