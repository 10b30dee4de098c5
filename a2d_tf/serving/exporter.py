"""Export a run as a folder, or serve it without one."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

import tensorflow as tf

from a2d_tf.core import files, folders
from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import notices
from a2d_tf.runs.loading import Run
from a2d_tf.serving import model_info, motion_graphs
from a2d_tf.serving.export_folder import CHECKED, FrameFunctions
from a2d_tf.serving.saved_model_loader import GRAPH, Function
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.serving.signatures import (
    BOX_SIGNATURES,
    VIDEO_SIGNATURES,
    FrameSignatures,
)


def export(run: Run, output: str, names: Collection[str] | None = None) -> None:
    """Write the network of a run as a SavedModel folder, whole or not at all.

    The folder gets `saved_model.pb`, `variables/`, `a2d_tf.json` and, if the network
    has an action backbone, `NOTICE`, which names the authors of its weights. An older
    export is replaced.

    Args:
      run: the loaded network with its settings.
      output: path of the folder to write.
      names: names of the signatures to store; None for all. Fewer take less time.

    Raises:
      InputError: something else is at `output`, or the folder cannot be written.
    """
    folders.check_output_folder(output, (GRAPH, model_info.FILE), "an export")
    served = ServedNetwork(
        run.network, run.config.inference, run.records["clip_stride"]
    )
    try:
        with folders.whole_folder(output) as folder:
            root: tf.Module = served
            if names is not None:
                root = _Weights(served.weights)
            tf.saved_model.save(root, folder, signatures=served.signatures(names))
            info = model_info.of_run(run)
            info["sha256"] = {}
            for name in CHECKED:
                info["sha256"][name] = files.file_digest(os.path.join(folder, name))
            files.write_json(os.path.join(folder, model_info.FILE), info)
            notices.write(folder, run.config.model.action_backbone)
    except tf.errors.OpError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error


def serve(run: Run, signatures: FrameSignatures = VIDEO_SIGNATURES) -> FrameFunctions:
    """Return the functions that answer the frames of a video, without an export.

    They do the same as those that `export_folder.load` returns for the run's export.

    Args:
      run: the loaded network with its settings.
      signatures: VIDEO_SIGNATURES to find the instances of frames, or BOX_SIGNATURES
        to label given boxes.
    """
    served = ServedNetwork(run.network, run.config.inference)
    motion_names = motion_graphs.input_specs(run.network)

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
    return FrameFunctions(
        frame=served.frame,
        answer=answer,
        info=model_info.of_run(run),
        block=served.block,
    )


class _Weights(tf.Module):
    """The root of an export of some signatures: the variables, and no functions.

    A SavedModel also stores the functions of its root, be they signatures or not.
    """

    def __init__(self, weights: Sequence[tf.Variable]) -> None:
        super().__init__()
        self.weights = weights
