"""Draw labels, instances and flow: functions from arrays to RGB uint8 images."""

from __future__ import annotations

import colorsys
import enum
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from a2d_tf.core.labels import LabelSpace

_GOLDEN = (5**0.5 - 1) / 2  # steps of this fraction of a turn give hues far apart
_LUMA = (0.299, 0.587, 0.114)  # share of red, green and blue in the brightness, BT.601


def flow_to_rgb(flow: np.ndarray) -> np.ndarray:
    """Colour flow (u, v) by direction (hue) and speed (saturation).

    Rightward motion is red, downward yellow-green, leftward cyan; no motion is white.
    The greatest speed in the picture is saturated.

    Args:
      flow: [H, W, 2], pixels.

    Returns:
      uint8 [H, W, 3].
    """
    u = flow[..., 0].astype(np.float32)
    v = flow[..., 1].astype(np.float32)
    speed, angle = cv2.cartToPolar(u, v, angleInDegrees=True)
    limit = max(float(np.max(speed)), 1e-6)
    saturation = np.minimum(speed / limit, 1)
    hsv = np.stack([angle, saturation, np.ones_like(speed)], axis=-1)
    return np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def track_colours(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the colours of track ids: uint8 [N, 3], RGB, different for close ids."""
    colours = []
    for track_id in np.asarray(ids).tolist():
        hue = ((track_id - 1) * _GOLDEN) % 1
        colours.append(np.round(255 * np.array(colorsys.hsv_to_rgb(hue, 0.8, 1))))
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
    image = np.ascontiguousarray(rgb).copy()
    levels = np.arange(256)[None, :, None]
    for colour, mask in zip(colours, masks):
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

    A name is placed above, below or beside its box, where it covers neither a box nor
    another name. If there is no such place, it may cover a box; if it would cover a
    name everywhere, it is left out.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4], y1, x1, y2, x2, pixels, half-open; later ones lie over earlier
        ones.
      codes: int [N].
      masks: as of `overlay_masks`.
      label_space: gives names and colours.
      scores: [N], 0..1.
      ids: [N], of tracks, written before the names; a colour is then that of the track,
        not of the code.
      stamp: text in a corner, such as a time: in the upper right one, unless a box is
        there.
      times: the picture is so many times as large as the frame.

    Returns:
      uint8 [times H, times W, 3], a new image.
    """
    if ids is None:
        # Some of A2D's colours are too dark on a frame.
        colours = np.array([_brighten(label_space.palette[code]) for code in codes])
    else:
        colours = track_colours(ids)
    image = overlay_masks(rgb, masks, colours)
    if times > 1:
        image = cv2.resize(
            image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC
        )
    scaled_boxes = np.round(times * np.asarray(boxes, np.float64).reshape(-1, 4))
    edges = scaled_boxes.astype(int).tolist()
    shades = colours.astype(int).tolist()
    thickness = max(1, round(image.shape[0] / 320))
    for (y1, x1, y2, x2), colour in zip(edges, shades):
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, thickness)
    plates = _Plates(image, edges)
    if stamp:
        height, width = image.shape[:2]
        plates.write(stamp, (0, 0, height, width), _CORNERS, _STAMP_COLOUR)
    # The last box lies on top, so its name is placed first.
    for i in reversed(range(len(edges))):
        text = label_space.spoken(codes[i])
        if ids is not None:
            text = f"#{ids[i]} {text}"
        if scores is not None:
            text = f"{text} {100 * float(scores[i]):.0f}%"
        plates.write(text, edges[i], _AROUND, shades[i])
    return image


class _Side(enum.Enum):
    """Where a text lies by a box, in one direction."""

    BEFORE = enum.auto()
    AT_START = enum.auto()
    AT_END = enum.auto()
    BEHIND = enum.auto()

    def start(self, box_start: int, box_end: int, length: int) -> int:
        """Return where a text of some length starts, pixels."""
        if self is _Side.BEFORE:
            return box_start - length
        if self is _Side.AT_START:
            return box_start
        if self is _Side.AT_END:
            return box_end - length
        return box_end


# Places of a text by a box: its sides (down, across), the best one first. Players draw
# their controls along the lower edge.
_CORNERS = (
    (_Side.AT_START, _Side.AT_END),
    (_Side.AT_START, _Side.AT_START),
    (_Side.AT_END, _Side.AT_END),
    (_Side.AT_END, _Side.AT_START),
)
_AROUND = (
    (_Side.BEFORE, _Side.AT_START),
    (_Side.BEHIND, _Side.AT_START),
    (_Side.AT_START, _Side.BEHIND),
    (_Side.AT_START, _Side.BEFORE),
    (_Side.AT_START, _Side.AT_START),
    (_Side.AT_END, _Side.AT_START),
)
_STAMP_COLOUR = (40, 40, 40)
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# What a pixel of the picture is covered by.
_BY_BOX = 1
_BY_PLATE = 2


class _Plates:
    """Writes texts on plates into a picture, without overlap."""

    def __init__(self, image: np.ndarray, boxes: list[list[int]]) -> None:
        self._image = image
        self._covered = np.zeros(image.shape[:2], np.uint8)
        for y1, x1, y2, x2 in boxes:
            self._covered[y1:y2, x1:x2] = _BY_BOX

    def write(
        self,
        text: str,
        box: Sequence[int],
        places: Sequence[tuple[_Side, _Side]],
        colour: Sequence[int],
    ) -> None:
        """Write a text at the first free place by a box.

        A text wider than the picture is made smaller; without a free place it is left
        out.

        Args:
          box: y1, x1, y2, x2.
          places: see `_AROUND`.
          colour: of the plate, RGB.
        """
        height, width = self._image.shape[:2]
        scale = max(0.42, height / 1000)
        (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, _thickness(scale))
        scale *= min(1, (width - 2) / text_width)
        thickness = _thickness(scale)
        (text_width, ascent), descent = cv2.getTextSize(text, _FONT, scale, thickness)
        plate_height = ascent + descent + 2
        plate_width = text_width + 2

        corner = None
        least_cover = _BY_PLATE
        for down, across in places:
            y = down.start(box[0], box[2], plate_height)
            y = max(0, min(y, height - plate_height))
            x = across.start(box[1], box[3], plate_width)
            x = max(0, min(x, width - plate_width))
            cover = self._covered[y : y + plate_height, x : x + plate_width].max()
            if cover < least_cover:
                least_cover = cover
                corner = (y, x)
        if corner is None:
            return

        y1, x1 = corner
        y2 = y1 + plate_height
        x2 = x1 + plate_width
        self._covered[y1:y2, x1:x2] = _BY_PLATE
        # OpenCV's lower right corner is inclusive.
        cv2.rectangle(self._image, (x1, y1), (x2 - 1, y2 - 1), colour, -1)
        ink = _WHITE
        if np.dot(colour, _LUMA) > 128:
            ink = _BLACK
        cv2.putText(
            self._image,
            text,
            (x1 + 1, y2 - descent - 1),
            _FONT,
            scale,
            ink,
            thickness,
            cv2.LINE_AA,
        )


def _thickness(scale):
    """Return the width of the lines of letters, pixels."""
    return max(1, round(2 * scale))


def zoom(size: Sequence[int]) -> int:
    """Return the factor that enlarges a frame so that names fit beside actors.

    Args:
      size: (height, width) of the frame.
    """
    return max(1, round(min(360 / min(size), 1280 / max(size))))


def overlay_indices(
    rgb: np.ndarray, indices: np.ndarray, palette: np.ndarray
) -> np.ndarray:
    """Colour a picture in grey by indices of a palette.

    Args:
      rgb: uint8 [H, W, 3].
      indices: [h, w], resized to the picture; where they are 0, it stays grey.
      palette: [N, 3], RGB.

    Returns:
      uint8 [H, W, 3].
    """
    indices = cv2.resize(indices, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    grey = 0.5 * rgb.mean(axis=2, keepdims=True)
    colours = np.array([_brighten(colour) for colour in palette])[indices]
    tinted = 0.1 * grey + 0.9 * colours
    return np.where(indices[..., None] > 0, tinted, grey).astype(np.uint8)


def _brighten(colour):
    """Scale a colour to full brightness."""
    return np.round(colour * (255 / max(int(np.max(colour)), 1)))


def shrink(rgb: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture, uint8 [H, W, 3], so that its longer side is at most `side`."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    new_width = max(1, round(width * scale))
    new_height = max(1, round(height * scale))
    return cv2.resize(rgb, (new_width, new_height), interpolation=cv2.INTER_AREA)
