"""Visualisation of labels, instances and flow: functions from arrays to RGB uint8
images.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from a2d_tf.core.labels import LabelSpace

_GOLDEN = (5**0.5 - 1) / 2  # steps of this fraction of a turn give hues far apart


def flow_to_rgb(flow: np.ndarray) -> np.ndarray:
    """Colour flow (u, v) by its direction (hue) and speed (saturation): uint8 [H, W,
    3].

    Rightward motion is red, downward yellow-green, leftward cyan; no motion is white.
    The greatest speed in the picture is saturated.
    """
    u, v = flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32)
    speed, angle = cv2.cartToPolar(u, v, angleInDegrees=True)
    limit = max(float(np.max(speed)), 1e-6)
    hsv = np.stack([angle, np.minimum(speed / limit, 1), np.ones_like(speed)], axis=-1)
    return np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def track_colours(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the colours of track ids: uint8 [N, 3], RGB, different for close ids."""
    hues = [((i - 1) * _GOLDEN) % 1 for i in np.asarray(ids).tolist()]
    colours = [
        np.round(255 * np.array(colorsys.hsv_to_rgb(hue, 0.8, 1))) for hue in hues
    ]
    return np.array(colours, np.uint8).reshape(-1, 3)


def overlay_masks(
    rgb: np.ndarray, masks: Iterable[np.ndarray], colours: np.ndarray
) -> np.ndarray:
    """Tint masks half: uint8 [H, W, 3], a new image.

    Args:
      rgb: uint8 [H, W, 3].
      masks: N masks [H, W], bool or uint8; later ones lie over earlier ones.
      colours: [N, 3], RGB.
    """
    image, levels = np.ascontiguousarray(rgb).copy(), np.arange(256)[None, :, None]
    for colour, mask in zip(colours, masks):
        inside = np.asarray(mask).view(np.uint8)
        y, x, height, width = cv2.boundingRect(inside.T)  # RLEs are decoded by columns
        rows, columns = slice(y, y + height), slice(x, x + width)
        if height:
            window, table = image[rows, columns], 0.5 * levels + 0.5 * colour
            tinted = cv2.LUT(window, np.round(table).astype(np.uint8))
            cv2.copyTo(tinted, np.ascontiguousarray(inside[rows, columns]), window)
    return image


def draw_instances(
    rgb: np.ndarray,
    boxes: Sequence | np.ndarray,
    codes: Sequence[int] | np.ndarray,
    masks: Iterable[np.ndarray],
    *,
    label_space: LabelSpace,
    scores: Sequence[float] | np.ndarray | None = None,
    ids: Sequence[int] | np.ndarray | None = None,
    stamp: str = "",
    times: int = 1,
) -> np.ndarray:
    """Draw masks, boxes and names over a frame.

    A name is placed above its box, below or beside it where it covers neither a box nor
    another name, or else where it covers no name; if there is no such place it is left
    out.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4], y1, x1, y2, x2, pixels, half-open; later ones lie over earlier
        ones.
      codes: int [N].
      masks: as of `overlay_masks`.
      label_space: gives names and colours.
      scores: [N], 0..1.
      ids: [N], of tracks: numbers before the names; colours are by track then, not by
        code.
      stamp: text in a corner, such as a time: the upper right one, unless a box is
        there.
      times: how many times as large as the frame the picture is.

    Returns:
      uint8 [times H, times W, 3], a new image.
    """
    # Some of A2D's colours are too dark on a frame.
    of_codes = [bright(label_space.palette[code]) for code in codes]
    colours = np.array(of_codes if ids is None else track_colours(ids))
    image = overlay_masks(rgb, masks, colours)
    if times > 1:
        image = cv2.resize(
            image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC
        )
    edges = (
        np.round(times * np.asarray(boxes, np.float64).reshape(-1, 4))
        .astype(int)
        .tolist()
    )
    shades = colours.astype(int).tolist()
    thickness = max(1, round(image.shape[0] / 320))
    for (y1, x1, y2, x2), colour in zip(edges, shades):
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, thickness)
    plates = _Plates(image, edges)
    if stamp:
        plates.write(stamp, [0, 0, *image.shape[:2]], _CORNERS, (40, 40, 40))
    # The last box lies on top, so its name is placed first.
    for i in reversed(range(len(edges))):
        number = "" if ids is None else f"#{ids[i]} "
        score = "" if scores is None else f" {100 * float(scores[i]):.0f}%"
        text = f"{number}{label_space.spoken(codes[i])}{score}"
        plates.write(text, edges[i], _AROUND, shades[i])
    return image


# Places of a text by a box, (down, across): before the box -1, at its start 0, its end
# 1, behind 2. players draw their controls along the lower edge
_CORNERS = ((0, 1), (0, 0), (1, 1), (1, 0))
_AROUND = ((-1, 0), (2, 0), (0, 2), (0, -1), (0, 0), (1, 0))


class _Plates:
    """Writes texts on plates into a picture, without overlap."""

    _FONT = cv2.FONT_HERSHEY_SIMPLEX

    def __init__(self, image: np.ndarray, boxes: list[list[int]]) -> None:
        self._image = image
        self._covered = np.zeros(image.shape[:2], np.uint8)  # 1 by a box, 2 by a plate
        for y1, x1, y2, x2 in boxes:
            self._covered[y1:y2, x1:x2] = 1

    def write(
        self, text: str, box: Sequence[int], places: Sequence, colour: Sequence[int]
    ) -> None:
        """Write a text at the first free place by a box.

        A text wider than the picture is made smaller; without a free place it is left
        out.
        """
        height, width = self._image.shape[:2]
        scale = max(0.42, height / 1000)
        across = cv2.getTextSize(text, self._FONT, scale, max(1, round(2 * scale)))[0][
            0
        ]
        scale *= min(1, (width - 2) / across)
        thickness = max(1, round(2 * scale))
        (across, tall), descent = cv2.getTextSize(text, self._FONT, scale, thickness)
        size = tall + descent + 2, across + 2
        starts, ends = np.array(box[:2]), np.array(box[2:])
        options = np.array([starts - size, starts, ends - size, ends])
        corners = options[np.array(places) + 1, [0, 1]]
        corners = np.clip(
            corners, 0, np.maximum(0, np.subtract((height, width), size))
        ).tolist()
        plates = [(slice(y, y + size[0]), slice(x, x + size[1])) for y, x in corners]
        plate = min(plates, key=lambda plate: self._covered[plate].max())
        if self._covered[plate].max() == 2:
            return
        self._covered[plate] = 2
        (y1, y2), (x1, x2) = ((side.start, side.stop) for side in plate)
        # OpenCV's lower right corner is inclusive.
        cv2.rectangle(self._image, (x1, y1), (x2 - 1, y2 - 1), colour, -1)
        ink = (
            (0, 0, 0)
            if np.dot(colour, (0.299, 0.587, 0.114)) > 128
            else (255, 255, 255)
        )
        base = (x1 + 1, y2 - descent - 1)
        cv2.putText(
            self._image, text, base, self._FONT, scale, ink, thickness, cv2.LINE_AA
        )


def zoom(size: Sequence[int]) -> int:
    """Return how many times a frame (height, width) is enlarged so that names fit
    beside actors.
    """
    return max(1, round(min(360 / min(size), 1280 / max(size))))


def bright(colour: np.ndarray) -> np.ndarray:
    """Scale a colour to full brightness."""
    return np.round(colour * (255 / max(int(np.max(colour)), 1)))


def paint(rgb: np.ndarray, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Paint indices [h, w] of a palette, 0 clear, over a picture in grey: uint8 [H,
    W, 3].
    """
    indices = cv2.resize(indices, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    grey = 0.5 * rgb.mean(axis=2, keepdims=True)
    colours = np.array([bright(colour) for colour in palette])[indices]
    return np.where(indices[..., None] > 0, 0.1 * grey + 0.9 * colours, grey).astype(
        np.uint8
    )


def shrunk(rgb: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture, uint8 [H, W, 3], so that its longer side is at most `side`."""
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = [max(1, round(length * scale)) for length in rgb.shape[1::-1]]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
