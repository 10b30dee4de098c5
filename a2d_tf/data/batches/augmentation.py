"""Random changes of training clips: mirroring, zoom and shift, brightness and contrast.

All frames of a clip change alike. Pixels that leave the frame are dropped, and pixels
that come in from outside are zero, like padding.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.data.instance_fields import FIELDS, Points
from a2d_tf.ops import canvas as canvas_ops


class View(NamedTuple):
    """A window of a clip's frames, resized to the size of the frame, perhaps mirrored.

    It is the geometric part of an augmentation. Its methods give what frames, flow,
    masks and boxes look like in it. A point (y, x) moves to ((y - y0) / s, (x - x0) /
    s), s = window size / frame size. If the view is mirrored, the point (y', x') then
    moves to (y', W - x').

    Attributes:
      frame_size: float32 [2], height and width of the frames in pixels.
      window: float32 [4], y0, x0, height, width in pixels; it may exceed the frame.
      is_mirrored: bool scalar, whether left and right are exchanged.
    """

    frame_size: tf.Tensor
    window: tf.Tensor
    is_mirrored: tf.Tensor

    @property
    def _step(self) -> tf.Tensor:
        """Distance of the view's pixels in pixels of the frame, (y, x), float32 [2]."""
        return self.window[2:] / self.frame_size

    def points(self, points: tf.Tensor) -> tf.Tensor:
        """Return where points of the frame lie in the view.

        Args:
          points: float32 [..., 2], (y, x) in pixels of the frame.

        Returns:
          float32 [..., 2], (y, x) in pixels of the view; they may lie outside.
        """
        y, x = tf.unstack((points - self.window[:2]) / self._step, axis=-1)
        mirrored_x = tf.where(self.is_mirrored, self.frame_size[1] - x, x)
        return tf.stack([y, mirrored_x], axis=-1)

    def boxes(self, boxes: tf.Tensor) -> tf.Tensor:
        """Return where boxes of the frame lie in the view.

        Args:
          boxes: float32 [N, 4], (y1, x1, y2, x2) in pixels of the frame.

        Returns:
          float32 [N, 4], (y1, x1, y2, x2) in pixels of the view, not clipped to it.
        """
        corners = self.points(tf.reshape(boxes, [-1, 2, 2]))
        upper_left = tf.reduce_min(corners, axis=1)
        lower_right = tf.reduce_max(corners, axis=1)
        return tf.concat([upper_left, lower_right], axis=1)

    def frames(self, rgb: tf.Tensor) -> tf.Tensor:
        """Resample RGB frames to the view.

        Args:
          rgb: frames [T, H, W, 3], values 0 to 255.

        Returns:
          uint8 [T, H, W, 3]; black where the view exceeds the frame.
        """
        levels = tf.clip_by_value(tf.round(self._resample(rgb)), 0.0, 255.0)
        return tf.cast(levels, tf.uint8)

    def flow(self, flow: tf.Tensor) -> tf.Tensor:
        """Resample flow to the view, and scale and mirror its vectors likewise.

        Args:
          flow: float32 [T, H, W, 2], (u, v) in pixels of the frame.

        Returns:
          float32 [T, H, W, 2], (u, v) in pixels of the view; 0 outside the frame.
        """
        direction = tf.stack([tf.where(self.is_mirrored, -1.0, 1.0), 1.0])
        factors = direction / self._step[::-1]
        return canvas_ops.scale_vectors(self._resample(flow), factors)

    def masks(self, masks: tf.Tensor) -> tf.Tensor:
        """Resample masks to the view.

        Args:
          masks: [N, H, W], 0 or 1.

        Returns:
          uint8 [N, H, W], 1 where at least half of a pixel is covered.
        """
        cover = self._resample(masks[..., None])[..., 0]
        return tf.cast(cover >= 0.5, tf.uint8)

    def _resample(self, images: tf.Tensor) -> tf.Tensor:
        """Resample images [N, H, W, C] to the view, float32; zero outside the frame."""
        # TensorFlow's crop_and_resize places its outermost samples on the window's
        # corners and reads zeros outside the frame. These samples are at the centres of
        # the view's pixels, in frames padded by their edge, as in `ops.crop`.
        origin = self.window[:2]
        padded_size = self.frame_size + 1.0
        first = (origin + 0.5 * self._step + 0.5) / padded_size
        last = first + self._step * (self.frame_size - 1.0) / padded_size
        # A mirrored view is sampled from right to left; reversing the result would take
        # twice as long.
        left = tf.where(self.is_mirrored, last[1], first[1])
        right = tf.where(self.is_mirrored, first[1], last[1])
        box = tf.stack([first[0], left, last[0], right])
        size = tf.shape(images)[1:3]
        images = tf.cast(images, tf.float32)
        images = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        count = tf.shape(images)[0]
        boxes = tf.tile(box[None], [count, 1])
        return tf.image.crop_and_resize(images, boxes, tf.range(count), size)


class Tint(NamedTuple):
    """A random change of a clip's contrast and brightness.

    Attributes:
      contrast: float32 scalar; levels are multiplied by 1 + contrast.
      brightness: float32 scalar; 128 * brightness is then added to levels.
    """

    contrast: tf.Tensor
    brightness: tf.Tensor

    def frames(self, rgb: tf.Tensor) -> tf.Tensor:
        """Change the contrast and then the brightness of RGB frames.

        Args:
          rgb: frames [T, H, W, 3], values 0 to 255.

        Returns:
          float32 [T, H, W, 3], clipped to 0 to 255.
        """
        levels = tf.cast(rgb, tf.float32) * (1.0 + self.contrast)
        return tf.clip_by_value(levels + 128.0 * self.brightness, 0.0, 255.0)


def augment(
    example: dict[str, tf.Tensor], seed: tf.Tensor, training: TrainingConfig
) -> dict[str, tf.Tensor]:
    """Mirror, zoom, shift and tint a training clip at random.

    Args:
      example: a clip as `clip_records.parse` returns it, {field: tensor}.
      seed: two integers, int64 [2]; the same seed gives the same changes.
      training: settings of the training. `flip` mirrors half of the clips,
        `scale_jitter` is the largest change of the window's size as a share of the
        frame's, `colour_jitter` the largest change of contrast and brightness.

    Returns:
      the clip with changed frames, flow, boxes, masks and points, and with `annotated`,
      bool: False if instances were there and all of them were cut off.
    """
    flip_seed, window_seed, colour_seed = tf.unstack(
        tf.random.experimental.stateless_split(seed, 3)
    )
    frame_size = tf.cast(tf.shape(example["rgb"])[1:3], tf.float32)
    mirrored_share = 0.5 if training.flip else 0.0
    view = View(
        frame_size=frame_size,
        window=_draw_window(frame_size, training.scale_jitter, window_seed),
        is_mirrored=tf.random.stateless_uniform([], flip_seed) < mirrored_share,
    )
    most = training.colour_jitter
    contrast, brightness = tf.unstack(
        tf.random.stateless_uniform([2], colour_seed, -most, most)
    )
    return change(example, view, Tint(contrast, brightness))


def _draw_window(frame_size: tf.Tensor, jitter: float, seed: tf.Tensor) -> tf.Tensor:
    """Draw a window with the frame's aspect ratio at a random position.

    Args:
      frame_size: float32 [2], height and width in pixels.
      jitter: largest difference of the window's size to the frame's, as a share of it.
      seed: two integers.

    Returns:
      float32 [4], y0, x0, height, width in pixels.
    """
    draw = tf.random.stateless_uniform([3], seed)
    extent = frame_size * (1.0 + jitter * (2.0 * draw[0] - 1.0))
    return tf.concat([(frame_size - extent) * draw[1:], extent], axis=0)


def change(
    example: dict[str, tf.Tensor], view: View, tint: Tint
) -> dict[str, tf.Tensor]:
    """Return a clip as it looks through a view, with changed contrast and brightness.

    An instance is dropped if less than a tenth of its box is in the view, if a side of
    the rest is shorter than two pixels, or if its mask has no pixel in the view.

    Args:
      example: a clip as `clip_records.parse` returns it, {field: tensor}.
      view: the window of the frame to show.
      tint: the change of contrast and brightness.

    Returns:
      the fields of the clip, and `annotated`, a bool scalar. It is False if all
      instances
      were dropped: the view may show a part of one, so the background is unknown.
    """
    masks = view.masks(example["masks"])
    boxes = view.boxes(example["boxes"])
    clipped = tf.clip_by_value(boxes, 0.0, tf.tile(view.frame_size, [2]))
    old_sides = boxes[:, 2:] - boxes[:, :2]
    new_sides = clipped[:, 2:] - clipped[:, :2]
    old_areas = tf.reduce_prod(old_sides, 1)
    new_areas = tf.reduce_prod(new_sides, 1)
    keeps_box = (tf.reduce_min(new_sides, 1) >= 2.0) & (new_areas >= 0.1 * old_areas)
    keeps_mask = tf.reduce_any(masks > 0, axis=[1, 2]) | ~example["has_mask"]
    is_kept = keeps_box & keeps_mask
    rows = {
        "boxes": clipped,
        "masks": masks,
        "has_mask": example["has_mask"],
        "codes": example["codes"],
    }
    for field in FIELDS:
        rows[field.name] = example[field.name]
        if isinstance(field, Points):
            rows[field.name] = view.points(rows[field.name])
    # Frames are tinted first, because zeros outside of the frame must stay zero.
    changed = dict(
        example,
        rgb=view.frames(tint.frames(example["rgb"])),
        flow=view.flow(example["flow"]),
    )
    for name, values in rows.items():
        changed[name] = tf.boolean_mask(values, is_kept)
    changed["annotated"] = tf.reduce_any(is_kept) | tf.equal(tf.size(is_kept), 0)
    return changed
