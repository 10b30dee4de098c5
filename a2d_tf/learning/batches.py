"""Training batches with the settings of a run, and each replica's part of them."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from a2d_tf.core.config import LearningConfig
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest


def training(
    manifest: Manifest,
    canvas: tuple[int, int],
    frames: int,
    learning: LearningConfig,
    *,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Return the endless `pipeline.training` of a run, on its canvas (height, width)."""
    names = "seed max_instances val_fraction shuffle_buffer flip scale_jitter colour_jitter"
    settings = {name: getattr(learning, name) for name in names.split()}
    return pipeline.training(
        manifest,
        canvas,
        frames,
        learning.batch_size,
        start_step=start_step,
        input_context=input_context,
        **settings,
    )


def without_names(batch: dict) -> dict:
    """Drop the strings of a batch: a step has no use for them, and a GPU cannot hold them."""
    return {name: value for name, value in batch.items() if value.dtype != tf.string}


def distributed(
    manifest: Manifest, canvas: tuple[int, int], frames: int, learning: LearningConfig, *, step: int
) -> Iterator[dict]:
    """Iterate over `training` from a step on, each replica's part on its device."""

    def part(context):
        dataset = training(
            manifest, canvas, frames, learning, start_step=step, input_context=context
        )
        return dataset.map(without_names)

    return iter(tf.distribute.get_strategy().distribute_datasets_from_function(part))
