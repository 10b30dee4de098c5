"""Draw labels, instances and flow: functions from arrays to RGB uint8 images."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops.plates import AROUND, CORNERS, Plates

_GOLDEN = (5**0.5 - 1) / 2  # hues that differ by this share of a turn look different
_STAMP_COLOUR = (40, 40, 40)


def flow_to_rgb(flow: np.ndarray) -> np.ndarray:
    """Draw optical flow: its direction as hue, its speed as saturation.

    Motion to the right is red, down yellow-green, to the left cyan; no motion is white.
    The pixel with the highest speed has full saturation.

    Args:
      flow: [H, W, 2], (u, v) in pixels, u to the right and v down.

    Returns:
      RGB uint8 [H, W, 3].
    """
    u = flow[..., 0].astype(np.float32)
    v = flow[..., 1].astype(np.float32)
    speed, angle = cv2.cartToPolar(u, v, angleInDegrees=True)
    limit = max(float(np.max(speed)), 1e-6)
    saturation = np.minimum(speed / limit, 1)
    hsv = np.stack([angle, saturation, np.ones_like(speed)], axis=-1)
    return np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def track_colours(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return a colour for each track, such that tracks of close ids look different.

    Args:
      ids: N numbers of tracks, from 1.

    Returns:
      RGB uint8 [N, 3].
    """
    colours = []
    for track_id in np.asarray(ids).tolist():
        hue = ((track_id - 1) * _GOLDEN) % 1
        colours.append(np.round(255 * np.array(colorsys.hsv_to_rgb(hue, 0.8, 1))))
    return np.array(colours, np.uint8).reshape(-1, 3)


def overlay_masks(
    rgb: np.ndarray, masks: Iterable[np.ndarray | None], colours: np.ndarray
) -> np.ndarray:
    """Draw masks over an image in half-transparent colours.

    Args:
      rgb: the image, RGB uint8 [H, W, 3]; it is not changed.
      masks: N masks [H, W], bool or uint8; None for an instance without a mask. Later
        masks are drawn over earlier ones.
      colours: the colour of each mask, RGB [N, 3].

    Returns:
      a new image, RGB uint8 [H, W, 3].
    """
    image = np.ascontiguousarray(rgb).copy()
    levels = np.arange(256)[None, :, None]
    for colour, mask in zip(colours, masks):
        if mask is None:
            continue
        inside = np.asarray(mask).view(np.uint8)
        y, x, height, width = cv2.boundingRect(inside.T)  # RLEs are decoded by columns
        if height == 0:
            continue
        rows = slice(y, y + height)
        columns = slice(x, x + width)
        window = image[rows, columns]
        tints = np.round(0.5 * levels + 0.5 * colour).astype(np.uint8)
        tinted = cv2.LUT(window, tints)
        cv2.copyTo(tinted, np.ascontiguousarray(inside[rows, columns]), window)
    return image


class DrawnInstances(NamedTuple):
    """The N instances of a frame that are drawn; later ones cover earlier ones.

    Attributes:
      boxes: [N, 4] (y1, x1, y2, x2), pixels, half-open.
      codes: int [N], each instance's code of actor and action; see `LabelSpace`.
      masks: N masks [H, W], bool or uint8; None for an instance without a mask.
      scores: [N], 0 to 1, written behind the names; None to write no scores.
      ids: [N], numbers of tracks, written before the names. With them, instances have
        the colours of their tracks; with None, the colours of their labels.
    """

    boxes: Sequence | np.ndarray
    codes: Sequence[int] | np.ndarray
    masks: Iterable[np.ndarray | None]
    scores: Sequence[float] | np.ndarray | None = None
    ids: Sequence[int] | np.ndarray | None = None

    def colours(self, labels: LabelSpace) -> np.ndarray:
        """Return the colour of each instance, RGB [N, 3]."""
        if self.ids is not None:
            return track_colours(self.ids)
        # Some of A2D's colours are too dark on a frame.
        return np.array([_brighten(labels.palette[code]) for code in self.codes])

    def name(self, index: int, labels: LabelSpace) -> str:
        """Return the text beside an instance, such as '#2 dog running 87%'.

        Args:
          index: index of the instance, from 0.
          labels: the label space, which has the names of the codes.
        """
        text = labels.spoken(self.codes[index])
        if self.ids is not None:
            text = f"#{self.ids[index]} {text}"
        if self.scores is not None:
            text = f"{text} {100 * float(self.scores[index]):.0f}%"
        return text


def draw_instances(
    rgb: np.ndarray,
    instances: DrawnInstances,
    labels: LabelSpace,
    *,
    stamp: str = "",
    times: int = 1,
) -> np.ndarray:
    """Draw masks, boxes and names over a frame.

    A name is placed above, below or beside its box, where it covers neither a box nor
    another name. If there is no such place, it may cover a box; if it would cover a
    name everywhere, it is left out.

    Args:
      rgb: the frame, RGB uint8 [H, W, 3].
      instances: the instances, with boxes and masks in pixels of the frame.
      labels: the label space, which has names and colours of the codes.
      stamp: text in a corner, such as a time; in the upper right one unless a box is
        there; empty for no text.
      times: factor by which the frame is enlarged; boxes and names are drawn after
        that, so they are sharp.

    Returns:
      a new image, RGB uint8 [times H, times W, 3].
    """
    colours = instances.colours(labels)
    image = overlay_masks(rgb, instances.masks, colours)
    if times > 1:
        image = cv2.resize(
            image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC
        )
    boxes = np.asarray(instances.boxes, np.float64).reshape(-1, 4)
    edges = np.round(times * boxes).astype(int).tolist()
    shades = colours.astype(int).tolist()
    thickness = max(1, round(image.shape[0] / 320))
    for (y1, x1, y2, x2), colour in zip(edges, shades):
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, thickness)
    plates = Plates(image, edges)
    if stamp:
        height, width = image.shape[:2]
        plates.write(stamp, (0, 0, height, width), CORNERS, _STAMP_COLOUR)
    # The last box lies on top, so its name is placed first.
    for i in reversed(range(len(edges))):
        plates.write(instances.name(i, labels), edges[i], AROUND, shades[i])
    return image


def zoom(size: Sequence[int]) -> int:
    """Return the factor by which to enlarge a frame so that names fit beside actors.

    It is a whole number of at least 1, for `times` of `draw_instances`: the rounded
    factor with which the shorter side would have 360 pixels, or the longer side 1280 if
    that factor is smaller.

    Args:
      size: (height, width) of the frame in pixels.
    """
    return max(1, round(min(360 / min(size), 1280 / max(size))))


def overlay_indices(
    rgb: np.ndarray, indices: np.ndarray, palette: np.ndarray
) -> np.ndarray:
    """Draw a label map over a picture, which is shown in dark grey.

    Args:
      rgb: the picture, RGB uint8 [H, W, 3].
      indices: the label map, integers [h, w], indices of the palette; it is resized to
        the picture by nearest neighbour. A pixel with 0 stays grey.
      palette: the colour of each index, RGB [N, 3]; colours are drawn at full
        brightness.

    Returns:
      a new image, RGB uint8 [H, W, 3].
    """
    indices = cv2.resize(indices, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    grey = 0.5 * rgb.mean(axis=2, keepdims=True)
    colours = np.array([_brighten(colour) for colour in palette])[indices]
    tinted = 0.1 * grey + 0.9 * colours
    return np.where(indices[..., None] > 0, tinted, grey).astype(np.uint8)


def shrink(rgb: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture so that its longer side has at most `side` pixels.

    Args:
      rgb: the picture, uint8 [H, W, 3].
      side: largest length of the longer side, pixels.

    Returns:
      uint8 [h, w, 3] of the same aspect ratio; `rgb` itself if it is small enough.
    """
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    new_width = max(1, round(width * scale))
    new_height = max(1, round(height * scale))
    return cv2.resize(rgb, (new_width, new_height), interpolation=cv2.INTER_AREA)


def _brighten(colour: np.ndarray) -> np.ndarray:
    """Scale a colour to full brightness."""
    return np.round(colour * (255 / max(int(np.max(colour)), 1)))
