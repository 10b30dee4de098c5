"""tf.data: records to batches of clips with static shapes.

What is random in training, and what it comes from:

| what | from |
|---|---|
| which clips a batch samples: shards, then blocks of records, are permuted | (seed, epoch) |
| mirror; zoom and shift of the window; brightness and contrast | (seed, place in the stream) |

A sampled clip's context is not random: it is the frames about its key frame, as far as the network
looks. All of this is stateless, so that a run that resumes at any step sees what it would have
seen, and several workers together what one would see. A resume skips serialized records, which
costs no decoding.
"""

import os

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.data import records
from a2d_tf.ops import canvas as canvas_ops

_BUCKETS = 1000


def is_validation(video, fraction):
    """Whether a training video is held out: by a hash of its VID, so for good (bool tensor)."""
    bucket = tf.strings.to_hash_bucket_fast(video, _BUCKETS)
    return bucket < int(round(fraction * _BUCKETS))


def warp(rgb, flow, boxes, masks, window, flip):
    """Cut a window out of a clip, scale it to the frame's size, mirror it: all parts by one map.

    A point at pixel (y, x) moves to ((y - y0) / s, (x - x0) / s), s = window size / frame size, and
    then, mirrored, to (y', W - x'). Flow vectors are divided by s, and u changes its sign with a
    mirror. Outside of the frame is zero.

    Args:
      rgb: [T, H, W, 3], 0..255; flow: float32 [T, H, W, 2]; boxes: [N, 4]; masks: 0/1 [N, H, W].
      window: float32 [4] y0, x0, height, width in pixels, inside the frame or around it.
      flip: bool scalar.

    Returns:
      the four, of the same shapes, RGB and masks uint8; boxes are not clipped.
    """
    size = tf.cast(tf.shape(rgb)[1:3], tf.float32)
    origin, step = window[:2], window[2:] / size
    # crop_and_resize is corner-aligned and reads zeros outside; this makes it sample at the new
    # pixels' centres, on frames padded by their own edge (cf. ops/roi_align).
    first = (origin + 0.5 * step + 0.5) / (size + 1.0)
    last = first + step * (size - 1.0) / (size + 1.0)
    # Read from right to left where mirrored: to turn it round afterwards would take twice as long.
    left, right = tf.where(flip, last[1], first[1]), tf.where(flip, first[1], last[1])
    box = tf.stack([first[0], left, last[0], right])[None]

    def resample(images):
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
    boxes = (boxes - tf.tile(origin, [2])) / tf.tile(step, [2])
    y1, x1, y2, x2 = tf.unstack(boxes, axis=1)
    x1, x2 = tf.where(flip, size[1] - x2, x1), tf.where(flip, size[1] - x1, x2)
    return rgb, flow, tf.stack([y1, x1, y2, x2], axis=1), masks


def _random_window(size, jitter, seed):
    """A window of the frame's aspect, smaller or larger by up to `jitter`, at a random place."""
    draw = tf.random.stateless_uniform([3], seed)
    size = tf.cast(size, tf.float32)
    extent = size * (1.0 + jitter * (2.0 * draw[0] - 1.0))
    return tf.concat([(size - extent) * draw[1:], extent], axis=0)


def augment(example, seed, flip, scale_jitter, colour_jitter):
    """Random mirror, zoom with shift, and brightness and contrast, the same for all frames.

    What a window shows of the outside of the frame is zero, as padding is. An instance of which it
    leaves less than a tenth of its box, less than two pixels or no mask is dropped.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    size = tf.shape(example["rgb"])[1:3]
    mirrored = tf.random.stateless_uniform([], seeds[0]) < (0.5 if flip else 0.0)
    draw = tf.random.stateless_uniform([2], seeds[2], -colour_jitter, colour_jitter)
    # Before the warp, which puts zeros outside of the frame: they are no part of the picture.
    rgb = tf.cast(example["rgb"], tf.float32) * (1.0 + draw[0]) + 128.0 * draw[1]
    rgb, flow, boxes, masks = warp(
        tf.clip_by_value(rgb, 0.0, 255.0),
        example["flow"],
        example["boxes"],
        example["masks"],
        _random_window(size, scale_jitter, seeds[1]),
        mirrored,
    )
    limit = tf.cast(tf.tile(size, [2]), tf.float32)
    clipped = tf.clip_by_value(boxes, 0.0, limit)
    old, new = boxes[:, 2:] - boxes[:, :2], clipped[:, 2:] - clipped[:, :2]
    seen = (tf.reduce_min(new, 1) >= 2.0) & (tf.reduce_prod(new, 1) >= 0.1 * tf.reduce_prod(old, 1))
    seen &= tf.reduce_any(masks > 0, axis=[1, 2])
    return dict(
        example,
        rgb=rgb,
        flow=flow,
        boxes=tf.boolean_mask(clipped, seen),
        masks=tf.boolean_mask(masks, seen),
        codes=tf.boolean_mask(example["codes"], seen),
    )


def _fit(example, canvas):
    """Scale the example to the canvas, where its records were made for another; no padding yet."""
    rgb, flow, size = canvas_ops.place(example["rgb"], example["flow"], canvas)
    old = tf.shape(example["rgb"])[1:3]

    def resample():
        masks = canvas_ops.resize(example["masks"][..., None], size)[..., 0]
        return tf.cast(masks >= 0.5, tf.uint8)

    ratio = tf.tile(tf.cast(size, tf.float32) / tf.cast(old, tf.float32), [2])
    return dict(
        example,
        rgb=rgb[:, : size[0], : size[1]],
        flow=flow[:, : size[0], : size[1]],
        masks=tf.cond(tf.reduce_all(old == size), lambda: example["masks"], resample),
        boxes=example["boxes"] * ratio,
    )


def _parse(serialized, frames, labels):
    """`records.parse`, which fails where a code is no valid pair of the label space."""
    example = records.parse(serialized, frames)
    codes, known = example["codes"], tf.constant(labels.codes, tf.int32)
    valid = tf.reduce_all(tf.reduce_any(codes[:, None] == known, axis=1))
    what = ["codes of no valid pair", codes, example["video"], example["frame"]]
    with tf.control_dependencies([tf.debugging.Assert(valid, what)]):
        return {**example, "codes": tf.identity(codes)}


def _pad(example, canvas, frames, max_instances, base):
    """Pad frames to the canvas and instances to `max_instances`, the largest first."""
    size = tf.shape(example["rgb"])[1:3]
    areas = tf.reduce_prod(example["boxes"][:, 2:] - example["boxes"][:, :2], axis=1)
    order = tf.argsort(areas, direction="DESCENDING", stable=True)[:max_instances]
    count = tf.shape(order)[0]
    border = [[0, 0], [0, canvas[0] - size[0]], [0, canvas[1] - size[1]]]
    more = [0, max_instances - count]
    codes = tf.pad(tf.gather(example["codes"], order), [more])
    masks = tf.pad(tf.gather(example["masks"], order), [more, *border[1:]])
    batch = {
        "rgb": tf.ensure_shape(tf.pad(example["rgb"], [*border, [0, 0]]), [frames, *canvas, 3]),
        "flow": tf.ensure_shape(tf.pad(example["flow"], [*border, [0, 0]]), [frames, *canvas, 2]),
        "size": size,
        "boxes": tf.pad(tf.gather(example["boxes"], order), [more, [0, 0]]),
        "masks": masks,
        "actors": codes // base - 1,
        "actions": codes % base - 1,
        "present": tf.sequence_mask(count, max_instances),
        # A frame none of whose instances is annotated says nothing about what is background.
        "annotated": count > 0,
        "native_size": example["native_size"],
        "video": example["video"],
        "frame": example["frame"],
    }
    shapes = {
        "boxes": [max_instances, 4],
        "masks": [max_instances, *canvas],
        "actors": [max_instances],
        "actions": [max_instances],
    }
    return {
        name: tf.ensure_shape(x, shapes[name]) if name in shapes else x for name, x in batch.items()
    }


def check_manifest(manifest, frames):
    """Refuse records whose clips are shorter than the network's temporal field."""
    if manifest.clip_frames < frames:
        raise InputError(
            f"records hold clips of {manifest.clip_frames} frames, but the network looks at "
            f"{frames} (2 x temporal_layers + 1): build them again with --clip_frames={frames}, or "
            f"lower --temporal_layers"
        )


def check_batch(batch_size, replicas):
    """Refuse a batch that so many replicas cannot share evenly."""
    if batch_size % replicas:
        raise InputError(
            f"--batch_size={batch_size} cannot be shared evenly by {replicas} replicas"
        )


def _serialized(paths, keep):
    return tf.data.TFRecordDataset(paths).filter(lambda x: keep(records.parse_video(x)))


def count(paths, keep):
    """How many records of the shards belong to a split."""
    return int(_serialized(paths, keep).reduce(0, lambda total, _: total + 1))


def training(
    manifest,
    canvas,
    frames,
    batch_size,
    seed,
    max_instances,
    val_fraction,
    shuffle_buffer,
    flip,
    scale_jitter,
    colour_jitter,
    start_step=0,
    input_context=None,
):
    """Endless batches of augmented training clips, from `start_step` on.

    Args:
      manifest: a manifest.Manifest.
      canvas: (height, width); frames: 2L + 1.
      batch_size: of a step, all workers together.
      input_context: a tf.distribute.InputContext, where `distribute_datasets_from_function` calls
        this once per worker: its elements hold a replica's equal part of a batch. What the replicas
        see together at a step is what one would see alone, to the bit.

    Returns:
      a dataset of dicts: rgb uint8 [B, T, H, W, 3], flow float32 [B, T, H, W, 2], size int32 [B, 2]
      (the frame inside the canvas), boxes [B, N, 4], masks uint8 [B, N, H, W], actors and actions
      int32 [B, N] (0-based), present bool [B, N], annotated bool [B], native_size int32 [B, 2],
      video string [B], frame int [B], row int32 [B] (the clip's place in the step's whole batch).

    Raises:
      InputError: too short clips, no record in the split, or a batch that the replicas cannot
        share evenly.
    """
    check_manifest(manifest, frames)
    context = input_context or tf.distribute.InputContext()
    replicas = max(context.num_replicas_in_sync, context.num_input_pipelines)
    check_batch(batch_size, replicas)
    paths, keep = split_shards(manifest, "train"), split_filter("train", val_fraction)
    total = count(paths, keep)
    if total == 0:
        raise InputError(
            f"no training record: {manifest.counts['train']['records']} in the records, all of "
            f"them held out by --val_fraction={val_fraction}"
        )
    start = start_step * batch_size
    labels = manifest.label_space

    def epoch(number):
        draw = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, 0x5EED], tf.int64), number
        )
        order = tf.argsort(tf.random.stateless_uniform([len(paths)], draw))

        # Block by block, since Dataset.shuffle takes no seed that is a tensor, such as an epoch's.
        def permute(block, rows):
            return tf.random.experimental.stateless_shuffle(
                rows, tf.random.experimental.stateless_fold_in(draw, block)
            )

        blocks = _serialized(tf.gather(tf.constant(paths), order), keep).batch(shuffle_buffer)
        return blocks.enumerate().map(permute).unbatch()

    def load(place, serialized):
        example = _fit(_parse(serialized, frames, labels), canvas)
        example = augment(
            example,
            tf.stack([tf.constant(seed, tf.int64), place]),
            flip,
            scale_jitter,
            colour_jitter,
        )
        row = tf.cast(place % batch_size, tf.int32)
        return dict(_pad(example, canvas, frames, max_instances, labels.base), row=row)

    epochs = tf.data.Dataset.range(start // total, tf.int64.max).flat_map(epoch)
    return _ahead(
        epochs.skip(start % total)
        .enumerate(start)
        .shard(context.num_input_pipelines, context.input_pipeline_id)
        .map(load, num_parallel_calls=os.cpu_count())
        .batch(batch_size // replicas, drop_remainder=True),
        4,
    )


def evaluation(
    manifest, split, canvas, frames, batch_size, max_instances, val_fraction, input_context=None
):
    """The clips of a split in the records' order, once, unaugmented, the last batch maybe short.

    `split` is 'train' (without the held-out videos), 'val' (those alone) or 'test'. With an
    `input_context` each worker gets every so many-th clip; `batch_size` is that of one replica. For
    elements and errors see `training`.
    """
    check_manifest(manifest, frames)
    context = input_context or tf.distribute.InputContext()
    paths, labels = split_shards(manifest, split), manifest.label_space

    def load(place, serialized):
        example = _fit(_parse(serialized, frames, labels), canvas)
        row = tf.cast(place % batch_size, tf.int32)
        return dict(_pad(example, canvas, frames, max_instances, labels.base), row=row)

    dataset = _serialized(paths, split_filter(split, val_fraction)).enumerate()
    dataset = dataset.shard(context.num_input_pipelines, context.input_pipeline_id)
    return _ahead(dataset.map(load, num_parallel_calls=os.cpu_count()).batch(batch_size), 2)


def _ahead(dataset, batches):
    """Prefetched, and not tuned: the tuner sleeps for up to a minute, and the iterator's end waits
    for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(batches).with_options(options)


def key_frames(manifest, split, names):
    """Yield (`<VID>/<%05d>`, RGB uint8 [h, w, 3]), as stored, of a split's records so named."""
    for path in split_shards(manifest, split):
        for serialized in records.read_shard(path):
            truth = records.read_truth(serialized)
            name = f"{truth.video}/{truth.frame:05d}"
            if name in names:
                yield name, records.parse(serialized, 1)["rgb"][0].numpy()


def split_shards(manifest, split):
    """The shards that hold a split; those of 'train' and 'val' are the same."""
    return manifest.shards("test" if split == "test" else "train")


def split_filter(split, val_fraction):
    """The predicate on videos that makes 'train' and 'val' of the training shards."""
    if split == "test":
        return lambda video: tf.constant(True)
    if split == "val":
        return lambda video: is_validation(video, val_fraction)
    return lambda video: ~is_validation(video, val_fraction)
