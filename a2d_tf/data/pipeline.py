"""Input pipeline: from records to batches of clips with static shapes, by tf.data.

Sources of randomness in training:

| what | depends on |
|---|---|
| order of the clips: shards permuted, then blocks of records | (seed, epoch) |
| mirroring; zoom and shift; brightness and contrast | (seed, position in the stream) |

A clip's context is not random: it is the frames around its key frame. All draws are
stateless, so that a run resumed at any step sees the clips it would have seen, and
several workers together see those of a single one. To resume, serialised records are
skipped, which costs no decoding.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data import clip_records
from a2d_tf.data.instance_fields import FIELDS, Points
from a2d_tf.data.manifest import Manifest
from a2d_tf.ops import canvas as canvas_ops

CLIP: tuple[str, ...] = (
    "rgb",
    "flow",
    "size",
    "boxes",
    "masks",
    "has_mask",
    "actors",
    "actions",
    "present",
    "annotated",
    "native_size",
    "video",
    "frame",
    "row",
)
CLIP += tuple(field.name for field in FIELDS)
"""The fields of a batch."""

_BUCKETS = 1000


def is_validation(video: tf.Tensor, fraction: float) -> tf.Tensor:
    """Return whether a training video is held out, a bool tensor.

    A hash of its VID decides, so that it does not depend on the other videos.
    """
    bucket = tf.strings.to_hash_bucket_fast(video, _BUCKETS)
    return bucket < int(round(fraction * _BUCKETS))


def _resize_to_canvas(example, canvas):
    """Resize an example made for another canvas to this one; do not pad it."""
    rgb, flow, size = canvas_ops.place(example["rgb"], example["flow"], canvas)
    old_size = tf.shape(example["rgb"])[1:3]
    ratio = tf.cast(size, tf.float32) / tf.cast(old_size, tf.float32)

    def resample_masks() -> tf.Tensor:
        masks = canvas_ops.resize(example["masks"][..., None], size)[..., 0]
        return tf.cast(masks >= 0.5, tf.uint8)

    masks = tf.cond(
        tf.reduce_all(old_size == size), lambda: example["masks"], resample_masks
    )
    resized = dict(
        example,
        rgb=rgb[:, : size[0], : size[1]],
        flow=flow[:, : size[0], : size[1]],
        masks=masks,
        boxes=example["boxes"] * tf.tile(ratio, [2]),
    )
    for field in FIELDS:
        resized[field.name] = field.scaled(example[field.name], ratio)
    return resized


def _pad(example, *, canvas, frames, max_instances, base):
    """Pad frames to the canvas and instances to `max_instances`, the largest first.

    `base` is that of the label space's codes.
    """
    height, width = canvas
    size = tf.shape(example["rgb"])[1:3]
    areas = tf.reduce_prod(example["boxes"][:, 2:] - example["boxes"][:, :2], axis=1)
    order = tf.argsort(areas, direction="DESCENDING", stable=True)[:max_instances]
    count = tf.shape(order)[0]
    below = [0, height - size[0]]
    right = [0, width - size[1]]
    empty_rows = [0, max_instances - count]

    def pad_frames(name: str, channels: int) -> tf.Tensor:
        padded = tf.pad(example[name], [[0, 0], below, right, [0, 0]])
        return tf.ensure_shape(padded, [frames, height, width, channels])

    def pad_rows(name: str, shape: Sequence[int] = ()) -> tf.Tensor:
        rows = tf.gather(example[name], order)
        padded = tf.pad(rows, [empty_rows] + [[0, 0] for _ in shape])
        return tf.ensure_shape(padded, [max_instances, *shape])

    masks = tf.pad(tf.gather(example["masks"], order), [empty_rows, below, right])
    codes = pad_rows("codes")
    padded = {
        "rgb": pad_frames("rgb", 3),
        "flow": pad_frames("flow", 2),
        "size": size,
        "boxes": pad_rows("boxes", [4]),
        "masks": tf.ensure_shape(masks, [max_instances, height, width]),
        "has_mask": pad_rows("has_mask"),
        "actors": codes // base - 1,
        "actions": codes % base - 1,
        "present": tf.sequence_mask(count, max_instances),
        "native_size": example["native_size"],
        "video": example["video"],
        "frame": example["frame"],
    }
    for field in FIELDS:
        padded[field.name] = pad_rows(field.name, field.shape)
    return padded


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
      (rgb, flow, boxes, masks), of the same shapes; RGB and masks are uint8, and boxes
      are not clipped.
    """
    size = tf.cast(tf.shape(rgb)[1:3], tf.float32)
    origin = window[:2]
    step = window[2:] / size
    corners = move(tf.reshape(boxes, [-1, 2, 2]), size, window, flip)
    upper_left = tf.reduce_min(corners, axis=1)
    lower_right = tf.reduce_max(corners, axis=1)
    boxes = tf.concat([upper_left, lower_right], axis=1)
    # crop_and_resize is corner-aligned and reads zeros outside. This samples at the
    # centres of the new pixels, in frames padded by their edge (cf. ops/roi_align).
    first = (origin + 0.5 * step + 0.5) / (size + 1.0)
    last = first + step * (size - 1.0) / (size + 1.0)
    # Mirroring reads from right to left: reversing the result would take twice as long.
    left = tf.where(flip, last[1], first[1])
    right = tf.where(flip, first[1], last[1])
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
    """Move points [..., 2], (y, x), of a frame as `warp` moves its pixels.

    `size` is that of the frame, float32 [2].
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
    """Mirror, zoom and shift a clip; change its brightness and contrast.

    All its frames are changed alike. The settings `flip`, `scale_jitter` and
    `colour_jitter` bound the changes; `seed` is an integer tensor [2]. Outside of the
    frame all is zero, like padding.

    An instance is dropped if less than a tenth of its box, fewer than two pixels of a
    side, or none of its mask (if it has one) remain.
    """
    flip_seed, window_seed, colour_seed = tf.unstack(
        tf.random.experimental.stateless_split(seed, 3)
    )
    size = tf.shape(example["rgb"])[1:3]
    window = _random_window(size, training.scale_jitter, window_seed)
    flip_share = 0.5 if training.flip else 0.0
    mirrored = tf.random.stateless_uniform([], flip_seed) < flip_share
    most = training.colour_jitter
    contrast, brightness = tf.unstack(
        tf.random.stateless_uniform([2], colour_seed, -most, most)
    )
    # Before the warp, whose zeros outside of the frame must stay zero.
    rgb = tf.cast(example["rgb"], tf.float32) * (1.0 + contrast) + 128.0 * brightness
    rgb = tf.clip_by_value(rgb, 0.0, 255.0)
    rgb, flow, boxes, masks = warp(
        rgb,
        example["flow"],
        example["boxes"],
        example["masks"],
        window=window,
        flip=mirrored,
    )

    float_size = tf.cast(size, tf.float32)
    clipped = tf.clip_by_value(boxes, 0.0, tf.tile(float_size, [2]))
    old_sides = boxes[:, 2:] - boxes[:, :2]
    new_sides = clipped[:, 2:] - clipped[:, :2]
    old_areas = tf.reduce_prod(old_sides, 1)
    new_areas = tf.reduce_prod(new_sides, 1)
    keeps_box = (tf.reduce_min(new_sides, 1) >= 2.0) & (new_areas >= 0.1 * old_areas)
    keeps_mask = tf.reduce_any(masks > 0, axis=[1, 2]) | ~example["has_mask"]
    rows = {
        "boxes": clipped,
        "masks": masks,
        "has_mask": example["has_mask"],
        "codes": example["codes"],
    }
    for field in FIELDS:
        rows[field.name] = example[field.name]
        if isinstance(field, Points):
            rows[field.name] = move(rows[field.name], float_size, window, mirrored)
    augmented = dict(example, rgb=rgb, flow=flow)
    for name, values in rows.items():
        augmented[name] = tf.boolean_mask(values, keeps_box & keeps_mask)
    return augmented


def _serialized(paths, split, val_fraction):
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
      manifest: of the records.
      config: of the run; the canvas and the number of frames are those of its network.
      start_step: step of the first batch.
      replicas: number of replicas that share a batch; each element is the part of one.

    Returns:
      a dataset of dicts with the fields CLIP, see `a2d_tf.dataset`. `has_mask` is False
      where only the box of an instance is known. `annotated` is False where
      augmentation has cut off all instances: the background is unknown then.

    Raises:
      InputError: the clips are too short, the split has no record, or the replicas
        cannot share a batch evenly.
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
    records = _endless(manifest, training, start_step * training.batch_size)
    clips = records.map(load, num_parallel_calls=os.cpu_count())
    batches = clips.batch(training.batch_size // replicas, drop_remainder=True)
    return _prefetched(batches, 4)


def _endless(manifest, training, start):
    """Return the training records, epoch after epoch, from the position `start` on.

    The elements are (position in the stream, serialised record).
    """
    paths = manifest.shards("train")
    fraction = training.val_fraction
    with clip_records.naming(manifest.directory):
        records = _serialized(paths, "train", fraction)
        total = int(records.reduce(0, lambda count, _: count + 1))
    if total == 0 or not manifest.counts["train"]["instances"]:
        problem = f"--val_fraction={fraction} leaves no training clip with an instance"
        raise InputError(f"{manifest.directory}: {problem}; annotate more")
    # If a shard was truncated while we train, we would silently see fewer clips; if all
    # were empty, the dataset would loop forever.
    check_total = tf.data.experimental.assert_cardinality(total)

    def epoch_of(epoch: tf.Tensor) -> tf.data.Dataset:
        return _shuffled(paths, training, epoch).apply(check_total)

    epochs = tf.data.Dataset.range(start // total, tf.int64.max).flat_map(epoch_of)
    return epochs.skip(start % total).enumerate(start)


def _shuffled(paths, training, epoch):
    """Return the serialised training records in the order of an epoch."""
    run_seed = tf.constant([training.seed, 0x5EED], tf.int64)
    seed = tf.random.experimental.stateless_fold_in(run_seed, epoch)
    order = tf.argsort(tf.random.stateless_uniform([len(paths)], seed))

    def permute(block: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        block_seed = tf.random.experimental.stateless_fold_in(seed, block)
        return tf.random.experimental.stateless_shuffle(rows, block_seed)

    shuffled_paths = tf.gather(tf.constant(paths), order)
    records = _serialized(shuffled_paths, "train", training.val_fraction)
    blocks = records.batch(training.shuffle_buffer).enumerate()
    return blocks.map(permute).unbatch()


def _loader(manifest, config, batch_size, change=None):
    """Return a function (position in the stream, serialised record) -> padded clip.

    `change`, if given, takes the parsed example and the position, and augments it.
    """
    canvas = config.model.image_height, config.model.image_width
    frames = config.model.frames
    manifest.check_frames(frames)

    def load(position: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        original = _resize_to_canvas(clip_records.parse(serialized, frames), canvas)
        example = original
        if change is not None:
            example = change(original, position)
        # Background is known where all instances are. A record without any shows
        # background alone, but a window that lost them all may show a part of one.
        has_instances = tf.size(example["codes"]) > 0
        had_none = tf.equal(tf.size(original["codes"]), 0)
        clip = _pad(
            example,
            canvas=canvas,
            frames=frames,
            max_instances=config.training.max_instances,
            base=manifest.label_space.base,
        )
        clip["annotated"] = has_instances | had_none
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
      manifest, config: as of `training`.
      split: 'train' (without the held-out videos), 'val' (those alone) or 'test'.
      batch_size: clips of a batch; the last one may be smaller.
      fields: of the elements, by default those of `training`; no others are computed.
        One more may be asked for: `record`, the serialised records, string [B].
      every: 1 for all clips, N for each Nth.

    Raises:
      InputError: the clips are too short, or the split has no shard.
    """
    load = _loader(manifest, config, batch_size)
    paths = manifest.shards(split)
    records = _serialized(paths, split, config.training.val_fraction)
    if every > 1:
        records = records.shard(every, 0)

    def load_fields(position: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        clip = load(position, serialized)
        clip["record"] = serialized
        return {name: clip[name] for name in fields}

    clips = records.enumerate().map(load_fields, num_parallel_calls=os.cpu_count())
    return _prefetched(clips.batch(batch_size), 2)


def _prefetched(dataset, batches):
    """Prefetch batches, without autotuning.

    The thread of autotuning delays the end of the iterator by up to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(batches).with_options(options)


def key_frames(
    manifest: Manifest, split: str, names: Collection[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, RGB uint8 [h, w, 3]) of the stored key frames of these names.

    Names are `<VID>/<%05d>`.
    """
    for path in manifest.shards(split):
        for serialized in clip_records.read_shard(path):
            truth = clip_records.read_truth(serialized)
            if truth.name in names:
                clip = clip_records.parse(serialized, frames=1)
                yield truth.name, clip["rgb"][0].numpy()
