"""Input pipeline: from records to batches of clips with static shapes, by tf.data.

Sources of randomness in training:

| what | depends on |
|---|---|
| order of the clips: a permutation of the shards, then of blocks of records | (seed, epoch) |
| mirroring; zoom and shift; brightness and contrast | (seed, position in the stream) |

A clip's context is not random: it is the frames around its key frame. All draws are
stateless, so that a run resumed at any step sees the clips it would have seen, and
several workers together see those of a single one. To resume, serialised records are
skipped, which costs no decoding.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data import clip_records
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.manifest import Manifest
from a2d_tf.ops import canvas as canvas_ops

CLIP = (
    *(
        "rgb",
        "flow",
        "size",
        "boxes",
        "masks",
        "has_mask",
        "actors",
        "actions",
        "present",
    ),
    *("annotated", "native_size", "video", "frame", "row"),
    *(field.name for field in FIELDS),
)
"""The fields of a batch."""

_BUCKETS = 1000


def is_validation(video: tf.Tensor, fraction: float) -> tf.Tensor:
    """Return whether a training video is held out, a bool tensor: decided by a hash
    of its VID.
    """
    return tf.strings.to_hash_bucket_fast(video, _BUCKETS) < int(
        round(fraction * _BUCKETS)
    )


def _fit(example, canvas):
    """Resize an example to the canvas if its records were made for another; do not
    pad it.
    """
    rgb, flow, size = canvas_ops.place(example["rgb"], example["flow"], canvas)
    old = tf.shape(example["rgb"])[1:3]

    def resample() -> tf.Tensor:
        masks = canvas_ops.resize(example["masks"][..., None], size)[..., 0]
        return tf.cast(masks >= 0.5, tf.uint8)

    ratio = tf.cast(size, tf.float32) / tf.cast(old, tf.float32)
    return dict(
        example,
        rgb=rgb[:, : size[0], : size[1]],
        flow=flow[:, : size[0], : size[1]],
        masks=tf.cond(tf.reduce_all(old == size), lambda: example["masks"], resample),
        boxes=example["boxes"] * tf.tile(ratio, [2]),
        **{field.name: field.scaled(example[field.name], ratio) for field in FIELDS},
    )


def _pad(example, canvas, frames, max_instances, base):
    """Pad frames to the canvas and instances to `max_instances`, the largest first."""
    size = tf.shape(example["rgb"])[1:3]
    areas = tf.reduce_prod(example["boxes"][:, 2:] - example["boxes"][:, :2], axis=1)
    order = tf.argsort(areas, direction="DESCENDING", stable=True)[:max_instances]
    count = tf.shape(order)[0]
    border = [[0, 0], [0, canvas[0] - size[0]], [0, canvas[1] - size[1]]]
    more = [0, max_instances - count]

    def rows(
        name: str, shape: Sequence[int] = (), sides: Sequence[Any] = ()
    ) -> tf.Tensor:
        values = tf.pad(
            tf.gather(example[name], order), [more, *(sides or [[0, 0]] * len(shape))]
        )
        return tf.ensure_shape(values, [max_instances, *shape])

    codes = rows("codes")
    return {
        "rgb": tf.ensure_shape(
            tf.pad(example["rgb"], [*border, [0, 0]]), [frames, *canvas, 3]
        ),
        "flow": tf.ensure_shape(
            tf.pad(example["flow"], [*border, [0, 0]]), [frames, *canvas, 2]
        ),
        "size": size,
        "boxes": rows("boxes", [4]),
        "masks": rows("masks", canvas, border[1:]),
        "has_mask": rows("has_mask"),
        "actors": codes // base - 1,
        "actions": codes % base - 1,
        "present": tf.sequence_mask(count, max_instances),
        **{name: example[name] for name in ("native_size", "video", "frame")},
        **{field.name: rows(field.name, field.shape) for field in FIELDS},
    }


def warp(
    rgb: tf.Tensor,
    flow: tf.Tensor,
    boxes: tf.Tensor,
    masks: tf.Tensor,
    *,
    window: tf.Tensor,
    flip: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Crop a window of a clip, resize it to the frame's size and mirror it.

    A point at pixel (y, x) moves to ((y - y0) / s, (x - x0) / s), s = window size /
    frame size, and then, if mirrored, to (y', W - x'). Flow vectors are divided by s,
    and mirroring negates u. Outside of the frame all is zero.

    Args:
      rgb: [T, H, W, 3], 0..255.
      flow: float32 [T, H, W, 2].
      boxes: [N, 4].
      masks: 0/1 [N, H, W].
      window: float32 [4] y0, x0, height, width in pixels, inside the frame or around
        it.
      flip: bool scalar.

    Returns:
      the four, of the same shapes, RGB and masks uint8; boxes are not clipped.
    """
    size = tf.cast(tf.shape(rgb)[1:3], tf.float32)
    origin, step = window[:2], window[2:] / size
    corners = move(tf.reshape(boxes, [-1, 2, 2]), size, window, flip)
    boxes = tf.concat(
        [tf.reduce_min(corners, axis=1), tf.reduce_max(corners, axis=1)], axis=1
    )
    # crop_and_resize is corner-aligned and reads zeros outside. This samples at the
    # centres of the new pixels, in frames padded by their edge (cf. ops/roi_align).
    first = (origin + 0.5 * step + 0.5) / (size + 1.0)
    last = first + step * (size - 1.0) / (size + 1.0)
    # Mirroring reads from right to left: reversing the result would take twice as long.
    left, right = tf.where(flip, last[1], first[1]), tf.where(flip, first[1], last[1])
    box = tf.stack([first[0], left, last[0], right])[None]

    def resample(images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        images = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        count = tf.shape(images)[0]
        return tf.image.crop_and_resize(
            images, tf.tile(box, [count, 1]), tf.range(count), tf.shape(rgb)[1:3]
        )

    factor = tf.stack([tf.where(flip, -1.0, 1.0), 1.0]) / step[::-1]
    rgb = tf.cast(tf.clip_by_value(tf.round(resample(rgb)), 0.0, 255.0), tf.uint8)
    flow = canvas_ops.scale_vectors(resample(flow), factor)
    masks = tf.cast(resample(masks[..., None])[..., 0] >= 0.5, tf.uint8)
    return rgb, flow, boxes, masks


def move(
    points: tf.Tensor, size: tf.Tensor, window: tf.Tensor, flip: tf.Tensor
) -> tf.Tensor:
    """Move points [..., 2] (y, x) of a frame of `size` [2] as `warp` moves its
    pixels.
    """
    y, x = tf.unstack((points - window[:2]) / (window[2:] / size), axis=-1)
    return tf.stack([y, tf.where(flip, size[1] - x, x)], axis=-1)


def _random_window(size, jitter, seed):
    """Draw a window of the frame's aspect, smaller or larger by up to `jitter`."""
    draw = tf.random.stateless_uniform([3], seed)
    size = tf.cast(size, tf.float32)
    extent = size * (1.0 + jitter * (2.0 * draw[0] - 1.0))
    return tf.concat([(size - extent) * draw[1:], extent], axis=0)


def augment(
    example: dict[str, tf.Tensor], seed: tf.Tensor, training: TrainingConfig
) -> dict[str, tf.Tensor]:
    """Mirror, zoom and shift a clip and change its brightness and contrast, alike in
    all frames.

    The settings `flip`, `scale_jitter` and `colour_jitter` bound the changes; `seed` is
    an integer tensor [2]. Outside of the frame all is zero, like padding. An instance
    is dropped if less than a tenth of its box, fewer than two pixels of a side or none
    of its mask, if it has one, remain.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    size = tf.shape(example["rgb"])[1:3]
    window = _random_window(size, training.scale_jitter, seeds[1])
    mirrored = tf.random.stateless_uniform([], seeds[0]) < (
        0.5 if training.flip else 0.0
    )
    most = training.colour_jitter
    draw = tf.random.stateless_uniform([2], seeds[2], -most, most)
    # Before the warp, whose zeros outside of the frame must stay zero.
    rgb = tf.cast(example["rgb"], tf.float32) * (1.0 + draw[0]) + 128.0 * draw[1]
    rgb = tf.clip_by_value(rgb, 0.0, 255.0)
    others = (example[name] for name in ("flow", "boxes", "masks"))
    rgb, flow, boxes, masks = warp(rgb, *others, window=window, flip=mirrored)
    clipped = tf.clip_by_value(boxes, 0.0, tf.cast(tf.tile(size, [2]), tf.float32))
    old, new = boxes[:, 2:] - boxes[:, :2], clipped[:, 2:] - clipped[:, :2]
    kept = (tf.reduce_min(new, 1) >= 2.0) & (
        tf.reduce_prod(new, 1) >= 0.1 * tf.reduce_prod(old, 1)
    )
    kept &= tf.reduce_any(masks > 0, axis=[1, 2]) | ~example["has_mask"]
    place = tf.cast(size, tf.float32), window, mirrored
    moved = {x.name: move(example[x.name], *place) for x in FIELDS if x.moves}
    plain = {
        x: example[x] for x in ("has_mask", "codes", *(field.name for field in FIELDS))
    }
    rows = {"boxes": clipped, "masks": masks, **plain, **moved}
    left = {name: tf.boolean_mask(values, kept) for name, values in rows.items()}
    return dict(example, rgb=rgb, flow=flow, **left)


def _serialized(paths, split, val_fraction):
    """Return the serialised records of a split from its shards."""
    clips = tf.data.TFRecordDataset(paths)
    if split == "test":
        return clips
    return clips.filter(
        lambda clip: is_validation(clip_records.parse_video(clip), val_fraction)
        == (split == "val")
    )


# There is no `if` or `for` on tensors; AutoGraph would look for them for a second.
@tf.autograph.experimental.do_not_convert
def training(
    manifest: Manifest, config: Config, *, start_step: int = 0, replicas: int = 1
) -> tf.data.Dataset:
    """Return endless batches of augmented training clips, from `start_step` on.

    Args:
      config: of the run; the canvas and the number of frames are those of its network.
      start_step: step of the first batch.
      replicas: that share a batch: each element is the equal part of one of them.

    Returns:
      a dataset of dicts with the fields CLIP, see `a2d_tf.dataset`. has_mask is False
      where only the box of an instance is known, annotated where augmentation has cut
      off all instances: the background is unknown then.

    Raises:
      InputError: too short clips, no record in the split, or a batch that the replicas
        cannot share evenly.
    """
    training = config.training
    if training.batch_size % replicas:
        flag = f"--batch_size={training.batch_size}"
        raise InputError(f"{flag} cannot be split evenly across {replicas} replicas")

    def augmented(
        example: dict[str, tf.Tensor], position: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        seed = tf.stack([tf.constant(training.seed, tf.int64), position])
        return augment(example, seed, training)

    load = _loader(manifest, config, training.batch_size, augmented)
    clips = _endless(manifest, training, start_step * training.batch_size)
    clips = clips.map(load, num_parallel_calls=os.cpu_count())
    return _prefetched(
        clips.batch(training.batch_size // replicas, drop_remainder=True), 4
    )


def _endless(manifest, training, start):
    """Return the training records, epoch after epoch, as (position, serialised) from
    `start` on.
    """
    paths, fraction = manifest.shards("train"), training.val_fraction
    with clip_records.naming(manifest.directory):
        total = int(
            _serialized(paths, "train", fraction).reduce(0, lambda count, _: count + 1)
        )
    if total == 0 or not manifest.counts["train"]["instances"]:
        problem = f"--val_fraction={fraction} leaves no training clip with an instance"
        raise InputError(f"{manifest.directory}: {problem}; annotate more")
    # Shards that were cut between records meanwhile would be less to learn from; empty,
    # no end.
    whole = tf.data.experimental.assert_cardinality(total)
    epochs = tf.data.Dataset.range(start // total, tf.int64.max).flat_map(
        lambda epoch: _shuffled(paths, training, epoch).apply(whole)
    )
    return epochs.skip(start % total).enumerate(start)


def _shuffled(paths, training, epoch):
    """Return the serialised records in the order of an epoch."""
    run_seed = tf.constant([training.seed, 0x5EED], tf.int64)
    seed = tf.random.experimental.stateless_fold_in(run_seed, epoch)
    order = tf.argsort(tf.random.stateless_uniform([len(paths)], seed))

    def permute(block: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        block_seed = tf.random.experimental.stateless_fold_in(seed, block)
        return tf.random.experimental.stateless_shuffle(rows, block_seed)

    clips = _serialized(
        tf.gather(tf.constant(paths), order), "train", training.val_fraction
    )
    return clips.batch(training.shuffle_buffer).enumerate().map(permute).unbatch()


def _loader(manifest, config, batch_size, change=None):
    """Return the function from (position in the stream, serialised record) to a
    padded clip.
    """
    base, model = manifest.label_space.base, config.model
    canvas, frames = (model.image_height, model.image_width), model.frames
    manifest.check_frames(frames)

    def load(position: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        example = _fit(clip_records.parse(serialized, frames), canvas)
        changed = change(example, position) if change else example
        # Background is known where all instances are. A record without any shows
        # background alone, but a window that lost them all may show a part of one.
        known = (tf.size(changed["codes"]) > 0) | tf.equal(tf.size(example["codes"]), 0)
        padded = _pad(changed, canvas, frames, config.training.max_instances, base)
        return dict(
            padded, annotated=known, row=tf.cast(position % batch_size, tf.int32)
        )

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
      manifest, config: as of `training`.
      split: 'train' (without the held-out videos), 'val' (those alone) or 'test'.
      batch_size: clips of a batch; the last one may be smaller.
      fields: of the elements, by default those of `training`; no others are computed.
        `record` is one more, the serialised records, string [B].
      every: 1 for all clips, N for each Nth.

    Raises:
      InputError: too short clips, or no shard of the split.
    """
    load = _loader(manifest, config, batch_size)
    clips = _serialized(manifest.shards(split), split, config.training.val_fraction)
    clips = clips.shard(every, 0) if every > 1 else clips

    def load_fields(position: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        example = {**load(position, serialized), "record": serialized}
        return {name: example[name] for name in fields}

    clips = clips.enumerate().map(load_fields, num_parallel_calls=os.cpu_count())
    return _prefetched(clips.batch(batch_size), 2)


def _prefetched(dataset, batches):
    """Prefetch without autotuning: its thread delays the end of the iterator by up
    to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(batches).with_options(options)


def key_frames(
    manifest: Manifest, split: str, names: Collection[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the stored key frames of these names, `<VID>/<%05d>`, with RGB uint8 [h,
    w, 3].
    """
    for path in manifest.shards(split):
        for serialized in clip_records.read_shard(path):
            truth = clip_records.read_truth(serialized)
            if truth.name in names:
                yield truth.name, clip_records.parse(serialized, 1)["rgb"][0].numpy()
