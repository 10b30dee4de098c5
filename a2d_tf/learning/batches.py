"""Training batches with the settings of a run, and each replica's part of them."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest


def training(
    manifest: Manifest,
    config: Config,
    *,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Return the endless `pipeline.training` of a run, on its network's canvas."""
    names = (
        "seed max_instances val_fraction shuffle_buffer flip scale_jitter colour_jitter copy_paste"
    )
    return pipeline.training(
        manifest,
        (config.model.image_height, config.model.image_width),
        config.model.frames,
        config.learning.batch_size,
        start_step=start_step,
        input_context=input_context,
        **{name: getattr(config.learning, name) for name in names.split()},
    )


def without_names(batch: dict) -> dict:
    """Drop the strings of a batch: a step has no use for them, and a GPU cannot hold them."""
    return {name: value for name, value in batch.items() if value.dtype != tf.string}


def distributed(manifest: Manifest, config: Config, *, start_step: int) -> Iterator[dict]:
    """Iterate over `training` from a step on, each replica's part on its device."""

    def part(context):
        dataset = training(manifest, config, start_step=start_step, input_context=context)
        return dataset.map(without_names)

    return iter(tf.distribute.get_strategy().distribute_datasets_from_function(part))
