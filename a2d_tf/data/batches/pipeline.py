"""Read records into batches of clips with static shapes, by tf.data.

Randomness in training:

| random draw | depends on |
|---|---|
| order of the shards, then order within blocks of records | seed, epoch |
| mirroring; zoom and shift; brightness and contrast | seed, position in the stream |

The frames of a clip are not random: they are those around its key frame. All draws are
stateless. A resumed run therefore sees the same clips as an uninterrupted one, and
several workers together see the same clips as a single one. To resume, records are
skipped before they are decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.data import clip_records
from a2d_tf.data.batches import padding
from a2d_tf.data.batches.augmentation import augment
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.ops.motion_maps import MAPS

CLIP: tuple[str, ...] = tuple(
    """
    rgb flow size boxes masks has_mask
    actors actions present annotated
    native_size video frame row
    """.split()
)
CLIP += tuple(field.name for field in FIELDS)
"""Names of the fields of a batch, see `training`."""
MOTION: tuple[str, ...] = (*MAPS, "motion_size")
"""Names of further fields, which records with motion maps have.

In a batch, maps are padded at the right and below to the size of the largest.
"""

Clip = dict[str, tf.Tensor]
"""A clip, {name: field}: as `clip_records.parse` returns it, or padded for a batch."""
Augmentation = Callable[[Clip, tf.Tensor], Clip]
"""A function that changes a resized clip.

It takes the clip and the clip's position in the stream, an int64 scalar.
"""

_BUCKETS = 1000


def is_validation(video: tf.Tensor, fraction: float) -> tf.Tensor:
    """Return whether a training video is held out from training for validation.

    A hash of the video's name decides, so the answer does not depend on other videos.

    Args:
      video: name of the video, a string tensor of any shape.
      fraction: share of the training videos to hold out, 0 to 1.

    Returns:
      bool tensor of the same shape.
    """
    bucket = tf.strings.to_hash_bucket_fast(video, _BUCKETS)
    return bucket < int(round(fraction * _BUCKETS))


def _serialized(paths: Any, split: str, val_fraction: float) -> tf.data.Dataset:
    """Return the serialised records of a split from its shards."""
    records = tf.data.TFRecordDataset(paths)
    if split == "test":
        return records

    def is_of_split(serialized: tf.Tensor) -> tf.Tensor:
        video = clip_records.parse_video(serialized)
        return is_validation(video, val_fraction) == (split == "val")

    return records.filter(is_of_split)


# There is no `if` or `for` on tensors; AutoGraph would look for them for a second.
@tf.autograph.experimental.do_not_convert
def training(
    manifest: Manifest, config: Config, *, start_step: int = 0, replicas: int = 1
) -> tf.data.Dataset:
    """Return endless batches of augmented training clips, from `start_step` on.

    Args:
      manifest: manifest of the records to read.
      config: configuration of the run. Its network decides on the canvas and on the
        number of frames.
      start_step: number of the training step, from 0, that uses the first batch.
      replicas: number of devices that share a batch; each element of the dataset is the
        part of one replica, `batch_size / replicas` clips.

    Returns:
      a dataset of dicts with the fields CLIP, each with a first axis of clips; see
      `padding.pad`. `has_mask` is False for an instance of which only the box is known.
      `annotated` is False for a clip of which augmentation has cut off all instances;
      its background counts as unknown.

    Raises:
      InputError: the clips have too few frames, no training record has an instance, or
        the replicas cannot share a batch evenly.
    """
    settings = config.training
    batch_size = settings.batch_size
    if batch_size % replicas:
        raise InputError(
            f"--batch_size={batch_size} cannot be split evenly across {replicas}"
            " replicas"
        )

    def augment_at(
        example: dict[str, tf.Tensor], position: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        seed = tf.stack([tf.constant(settings.seed, tf.int64), position])
        return augment(example, seed, settings)

    load = _loader(manifest, config, batch_size, augment_at)
    records = _endless(manifest, settings, start_step * batch_size)
    clips = records.map(load, num_parallel_calls=os.cpu_count())
    batches = clips.batch(batch_size // replicas, drop_remainder=True)
    return _prefetched(batches, 4)


def _endless(
    manifest: Manifest, settings: TrainingConfig, start: int
) -> tf.data.Dataset:
    """Return the training records, epoch after epoch, without end.

    Args:
      manifest: manifest of the records.
      settings: training settings, of which the seed and the split count.
      start: position in the stream of the first record.

    Returns:
      a dataset of (position in the stream, serialised record).

    Raises:
      InputError: no training record has an instance.
    """
    paths = manifest.shards("train")
    fraction = settings.val_fraction
    with clip_records.reporting_damage(manifest.directory):
        records = _serialized(paths, "train", fraction)
        total = int(records.reduce(0, lambda count, _: count + 1))
    if total == 0 or not manifest.counts["train"]["instances"]:
        problem = f"--val_fraction={fraction} leaves no training clip with an instance"
        raise InputError(f"{manifest.directory}: {problem}; annotate more")
    # If a shard was truncated while we train, we would silently see fewer clips; if all
    # were empty, the dataset would loop forever.
    check_total = tf.data.experimental.assert_cardinality(total)

    def epoch_of(epoch: tf.Tensor) -> tf.data.Dataset:
        return _shuffled(paths, settings, epoch).apply(check_total)

    epochs = tf.data.Dataset.range(start // total, tf.int64.max).flat_map(epoch_of)
    return epochs.skip(start % total).enumerate(start)


def _shuffled(
    paths: Any, settings: TrainingConfig, epoch: tf.Tensor
) -> tf.data.Dataset:
    """Return the serialised training records of an epoch, in random order."""
    run_seed = tf.constant([settings.seed, 0x5EED], tf.int64)
    seed = tf.random.experimental.stateless_fold_in(run_seed, epoch)
    order = tf.argsort(tf.random.stateless_uniform([len(paths)], seed))

    def permute(block: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        block_seed = tf.random.experimental.stateless_fold_in(seed, block)
        return tf.random.experimental.stateless_shuffle(rows, block_seed)

    shuffled_paths = tf.gather(tf.constant(paths), order)
    records = _serialized(shuffled_paths, "train", settings.val_fraction)
    blocks = records.batch(settings.shuffle_buffer).enumerate()
    return blocks.map(permute).unbatch()


def _loader(
    manifest: Manifest,
    config: Config,
    batch_size: int,
    augmentation: Augmentation | None = None,
    motion: Sequence[str] = (),
) -> Callable[[tf.Tensor, tf.Tensor], Clip]:
    """Return a function (position in the stream, serialised record) -> padded clip.

    Args:
      manifest: manifest of the records.
      config: configuration of the run.
      batch_size: number of clips of a batch, which the field `row` counts.
      augmentation: changes the clip; None for unchanged clips.
      motion: names of the motion maps to load.

    Raises:
      InputError: the clips of the records have too few frames.
    """
    canvas = config.model.image_height, config.model.image_width
    frames = config.model.frames
    manifest.check_frames(frames)

    def load(position: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        example = padding.resize(clip_records.parse(serialized, frames), canvas)
        example["annotated"] = tf.constant(True)
        if augmentation is not None:
            example = augmentation(example, position)
        clip = padding.pad(
            example,
            canvas=canvas,
            frames=frames,
            max_instances=config.training.max_instances,
            base=manifest.label_space.base,
        )
        if motion:
            clip.update(clip_records.parse_motion_maps(serialized, motion))
        clip["row"] = tf.cast(position % batch_size, tf.int32)
        return clip

    return load


@tf.autograph.experimental.do_not_convert
def evaluation(
    manifest: Manifest,
    split: str,
    config: Config,
    batch_size: int,
    *,
    fields: Collection[str] = CLIP,
    every: int = 1,
) -> tf.data.Dataset:
    """Return the clips of a split once, unaugmented, in the order of the records.

    Args:
      manifest: manifest of the records to read.
      config: configuration of the run. Its network decides on the canvas and on the
        number of frames.
      split: 'train' (without videos held out for validation), 'val' (these videos) or
        'test'.
      batch_size: B, the number of clips of a batch; the last batch may be smaller.
      fields: names of the fields to compute, by default those of `training`. Further
        fields are `record`, the serialised records, string [B]; the motion maps,
        float32 [B, h, w, C]; and `motion_size`, int32 [B, 2], the (height, width) of
        the frames that motion maps were made from.
      every: 1 for all clips, N for each Nth clip.

    Returns:
      a dataset of dicts {field: tensor with a first axis of clips}.

    Raises:
      InputError: the clips have too few frames, or the split has no records.
    """
    motion = [name for name in MAPS if name in fields]
    load = _loader(manifest, config, batch_size, motion=motion)
    paths = manifest.shards(split)
    records = _serialized(paths, split, config.training.val_fraction)
    if every > 1:
        records = records.shard(every, 0)

    def load_fields(position: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        clip = load(position, serialized)
        clip["record"] = serialized
        return {name: clip[name] for name in fields}

    clips = records.enumerate().map(load_fields, num_parallel_calls=os.cpu_count())
    if motion:
        return _prefetched(clips.padded_batch(batch_size), 2)
    return _prefetched(clips.batch(batch_size), 2)


def _prefetched(dataset: tf.data.Dataset, batches: int) -> tf.data.Dataset:
    """Prefetch batches, without autotuning.

    The thread that autotunes would delay the end of an iteration by up to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(batches).with_options(options)


def key_frames(
    manifest: Manifest, split: str, names: Collection[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the key frames of a split that have these names, at their stored size.

    Args:
      manifest: manifest of the records to read.
      split: 'train' or 'test'.
      names: names of the wanted key frames, '<video>/<number with 5 digits>', such as
        'clip1/00030'.

    Yields:
      (name, RGB uint8 [h, w, 3]), in the order of the records.

    Raises:
      InputError: the split has no records, or a shard is missing or damaged.
    """
    for path in manifest.shards(split):
        for serialized in clip_records.read_shard(path):
            truth = clip_records.read_truth(serialized)
            if truth.name in names:
                clip = clip_records.parse(serialized, frames=1)
                yield truth.name, clip["rgb"][0].numpy()
