"""Copy-paste (Ghiasi et al. 2021) for clips: an instance of another clip of the batch over a clip.

The instance keeps its place and its pixels and flow in every frame. Its mask is known in the key
frame; in the others it is that mask, moved by the mean of the flow inside (times the clip's
stride, for flow spans one frame of the video), in whole pixels.

All draws depend on (seed, step, row) alone: neither on how workers share a batch nor on a resume.
"""

from __future__ import annotations

import tensorflow as tf

VISIBLE = 0.3
"""Instances of which a smaller part stays in sight are dropped."""
_STREAM = 0xC0B1  # tells these draws from those of the other augmentation


def with_donors(
    clips: tf.data.Dataset, batch_size: int, *, seed: int, probability: float
) -> tf.data.Dataset:
    """Give each clip of a stream another one of its batch.

    Args:
      clips: endless (position int64, serialised record), from the start of a batch.
      batch_size: B, at least 2.
      seed: of the run; probability: of each clip to get an instance pasted.

    Returns:
      dataset of (position, serialised record, donor): a dict of `serialized`, `position`, `chosen`
      (bool, whether to paste) and `pick`, float32 in [0, 1), which tells the instance.
    """

    def pair(positions, serialized):
        step = positions[0] // batch_size
        stream = tf.constant([seed, _STREAM], tf.int64)
        seeds = tf.random.experimental.stateless_split(
            tf.random.experimental.stateless_fold_in(stream, step), 3
        )
        shape = [batch_size]
        offsets = tf.random.stateless_uniform(shape, seeds[0], 1, batch_size, tf.int32)
        rows = (tf.range(batch_size) + offsets) % batch_size
        donor = {
            "serialized": tf.gather(serialized, rows),
            "position": tf.gather(positions, rows),
            "chosen": tf.random.stateless_uniform(shape, seeds[1]) < probability,
            "pick": tf.random.stateless_uniform(shape, seeds[2]),
        }
        return positions, serialized, donor

    return clips.batch(batch_size, drop_remainder=True).map(pair).unbatch()


def paste(
    example: dict[str, tf.Tensor],
    donor: dict[str, tf.Tensor],
    pick: tf.Tensor,
    frames: int,
    stride: int = 1,
) -> dict[str, tf.Tensor]:
    """Paste an instance of one clip over another.

    Masks lose what it covers in the key frame, and their boxes shrink to the rest; an instance of
    which less than VISIBLE is left is dropped. A frame without instances stays as it is: it need
    not tell what is background, and a pasted instance would claim that it does.

    Args:
      example: of `records.parse`: rgb [T, H, W, 3], flow [T, H, W, 2], boxes [N, 4], masks
        [N, H, W] of the key frame, codes [N].
      donor: the same of the other clip, of as many frames; its frames may have another size.
      pick: float32 in [0, 1): which of the donor's instances; frames: T.
      stride: frames of the video from one frame of the clip to the next; flow spans one.

    Returns:
      the example, the pasted instance last.
    """
    size = tf.shape(example["masks"])[1:]
    counts = tf.shape(example["codes"])[0], tf.shape(donor["codes"])[0]
    index = tf.minimum(tf.cast(pick * tf.cast(counts[1], tf.float32), tf.int32), counts[1] - 1)

    def pasted():
        mask = _fitted(donor["masks"][index][None, ..., None], size)[0, ..., 0] > 0
        flow = _fitted(donor["flow"], size)
        masks = _over_time(mask, flow * float(stride), frames)
        covered = dict(
            example,
            rgb=tf.where(masks[..., None], _fitted(donor["rgb"], size), example["rgb"]),
            flow=tf.where(masks[..., None], flow, example["flow"]),
        )
        instance = {
            "masks": tf.cast(mask, tf.uint8)[None],
            "boxes": _extents(mask[None]),
            "codes": donor["codes"][index][None],
        }
        rest = _uncovered(example, mask)
        added = {name: tf.concat([rest[name], instance[name]], 0) for name in instance}
        # Cropping to the size of this clip may leave next to nothing.
        enough = tf.reduce_min(instance["boxes"][0, 2:] - instance["boxes"][0, :2]) >= 2.0
        return tf.cond(enough, lambda: {**covered, **added}, lambda: example)

    return tf.cond((counts[0] > 0) & (counts[1] > 0), pasted, lambda: dict(example))


def _fitted(images, size):
    """Cut or fill up by zeros, at the right and below, to a size: [T, H, W, C]."""
    images = images[:, : size[0], : size[1]]
    missing = size - tf.shape(images)[1:3]
    return tf.pad(images, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])


def _over_time(mask, flow, frames):
    """Move the key frame's mask along the flow between frames inside it: bool [T, H, W]."""
    middle = frames // 2
    moved, place = {middle: mask}, {middle: tf.zeros([2])}
    for step in (1, -1):
        for frame in range(middle + step, frames if step > 0 else -1, step):
            before = frame - step
            # Flow leads from the frame before to its own.
            inside = flow[max(frame, before)]
            weight = tf.cast(moved[before], tf.float32)[..., None]
            total = tf.maximum(tf.reduce_sum(weight), 1.0)
            mean = tf.reduce_sum(inside * weight, [0, 1])[::-1] / total
            place[frame] = place[before] + step * mean
            moved[frame] = _shifted(mask, tf.cast(tf.round(place[frame]), tf.int32))
    return tf.stack([moved[frame] for frame in range(frames)])


def _shifted(mask, by):
    """Move a mask [H, W] by (dy, dx) in whole pixels; False comes in."""
    size = tf.shape(mask)
    start = size - tf.clip_by_value(by, -size, size)
    return tf.slice(tf.pad(mask, [[size[0]] * 2, [size[1]] * 2]), start, size)


def _uncovered(example, mask):
    """The instances with what a mask [H, W] leaves of them."""
    masks = tf.where(mask, tf.zeros_like(example["masks"]), example["masks"])
    before, after = (
        tf.reduce_sum(tf.cast(m, tf.float32), [1, 2]) for m in (example["masks"], masks)
    )
    boxes = tf.where((after < before)[:, None], _extents(masks > 0), example["boxes"])
    rest = {"masks": masks, "boxes": boxes, "codes": example["codes"]}
    kept = (after >= VISIBLE * before) & (after > 0)
    return {name: tf.boolean_mask(values, kept) for name, values in rest.items()}


def _extents(masks):
    """Boxes y1, x1, y2, x2 of masks bool [N, H, W]; zero where one is empty: float32 [N, 4]."""
    edges = []
    for axis in (2, 1):
        there = tf.reduce_any(masks, axis)
        length = tf.shape(there)[1]
        first = tf.argmax(there, 1, tf.int32)
        last = length - tf.argmax(there[:, ::-1], 1, tf.int32)
        edges.append((first, tf.where(tf.reduce_any(there, 1), last, first)))
    (y1, y2), (x1, x2) = edges
    return tf.cast(tf.stack([y1, x1, y2, x2], axis=1), tf.float32)
