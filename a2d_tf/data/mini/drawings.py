"""Drawings of the mini A2D: the seven actors, with moving limbs, in flat colours.

Coordinates are in units of the figure's height: x from the middle to the right, which
is where the figure looks, and y up from the ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Union

import cv2
import numpy as np

SUPERSAMPLING = 2
"""Pixels of a drawing along one pixel of the figure."""

# Extent of the drawing board, in figure heights.
_HALF_WIDTH = 1.2
_BELOW = 0.1
_ABOVE = 1.3


_Point = Union[Sequence[float], np.ndarray]
_Points = Union[Sequence[_Point], np.ndarray]


class Board:
    """A drawing board for one figure, with coordinates in units of the figure's height.

    A point is (x, y): x from the figure's middle to the right, y up from the ground.
    Each shape has a dark outline; `outline` is its width in figure heights, and 0 means
    none. Colours are BGR [3], 0 to 255.

    Args:
      figure_height: height of the figure in pixels.

    Attributes:
      image: the drawing, BGRA uint8, `SUPERSAMPLING` times as large as the figure.
    """

    def __init__(self, figure_height: float) -> None:
        self._scale = figure_height * SUPERSAMPLING
        height = self._scale * (_BELOW + _ABOVE)
        width = self._scale * 2 * _HALF_WIDTH
        self.image = np.zeros((math.ceil(height), math.ceil(width), 4), np.uint8)

    def polygon(
        self, points: _Points, colour: np.ndarray, outline: float = 0.012
    ) -> None:
        """Draw a filled polygon.

        Args:
          points: corners, (x, y) each, in figure heights.
          colour: colour of the filling, BGR [3].
          outline: width of the outline, in figure heights; 0 for none.
        """
        corners = np.asarray(points, np.float64)
        from_top_left = np.stack(
            [corners[:, 0] + _HALF_WIDTH, _ABOVE - corners[:, 1]], axis=1
        )
        # OpenCV's stubs take no list of arrays.
        pixels: Any = np.round(from_top_left * self._scale * 16).astype(np.int32)
        colour = np.clip(colour, 0, 255)
        fill = [*map(float, colour), 255.0]
        cv2.fillPoly(self.image, [pixels], fill, cv2.LINE_8, shift=4)
        if outline:
            width = max(1, round(outline * self._scale))
            edge = [*map(float, 0.35 * colour), 255.0]
            cv2.polylines(self.image, [pixels], True, edge, width, cv2.LINE_8, shift=4)

    def ellipse(
        self,
        centre: _Point,
        axes: Sequence[float],
        colour: np.ndarray,
        angle: float = 0.0,
        outline: float = 0.012,
    ) -> None:
        """Draw a filled ellipse.

        Args:
          centre: centre, (x, y), in figure heights.
          axes: half axes along x and y before the turn, in figure heights.
          colour: colour of the filling, BGR [3].
          angle: turn about the centre in degrees, from x towards y.
          outline: width of the outline, in figure heights; 0 for none.
        """
        self.polygon(_ellipse(centre, axes, angle), colour, outline)

    def limb(
        self,
        start: _Point,
        end: _Point,
        start_width: float,
        end_width: float,
        colour: np.ndarray,
        outline: float = 0.012,
    ) -> None:
        """Draw a limb: two circles and the area between them; all in figure heights.

        Args:
          start: centre of the first circle, (x, y).
          end: centre of the second circle, (x, y).
          start_width: diameter of the first circle.
          end_width: diameter of the second circle.
          colour: the limb's colour, BGR [3].
          outline: width of the outline; 0 for none.
        """
        circles = [
            _ellipse(start, [start_width / 2] * 2),
            _ellipse(end, [end_width / 2] * 2),
        ]
        hull = cv2.convexHull(np.concatenate(circles).astype(np.float32))[:, 0]
        self.polygon(hull, colour, outline)

    def eye(self, centre: _Point, radius: float) -> None:
        """Draw an eye: a white circle with a dark pupil.

        Args:
          centre: centre of both circles, (x, y), in figure heights.
          radius: radius of the white circle, in figure heights.
        """
        pupil = radius * 0.55
        self.ellipse(centre, (radius, radius), np.full(3, 245.0), outline=0)
        self.ellipse(centre, (pupil, pupil), np.full(3, 15.0), outline=0)


def _ellipse(centre: _Point, axes: Sequence[float], angle: float = 0.0) -> np.ndarray:
    """Return 32 points (x, y) on an ellipse, [32, 2]."""
    turn = np.linspace(0, 2 * math.pi, 32, endpoint=False)
    x = axes[0] * np.cos(turn)
    y = axes[1] * np.sin(turn)
    cos = math.cos(math.radians(angle))
    sin = math.sin(math.radians(angle))
    xs = centre[0] + x * cos - y * sin
    ys = centre[1] + x * sin + y * cos
    return np.stack([xs, ys], axis=1)


def _reach(start: _Point, angle: float, length: float) -> tuple[float, float]:
    """Return the point at a distance and angle from another point.

    Args:
      start: the other point, (x, y).
      angle: degrees; 0 is down, 90 is forward.
      length: the distance.
    """
    turn = math.radians(angle)
    return start[0] + length * math.sin(turn), start[1] - length * math.cos(turn)


# The functions below draw one actor each. Their arguments are:
#   board: where to draw.
#   swing: how far the limbs have swung, in [-1, 1].
#   pose: six numbers in [-1, 1] that are constant for a figure.
#   colours: the figure's four colours, BGR [4, 3].


def _adult(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    skin, shirt, trousers, hair = colours
    spread = 13 + 5 * pose[0]
    for side in (-1, 1):
        leg = trousers * (0.8 if side < 0 else 1)  # darker on the far side
        hip = (0.05 * side, 0.5)
        angle = side * spread + 7 * swing
        knee = _reach(hip, angle, 0.24)
        foot = _reach(knee, angle - 6, 0.23)
        board.limb(knee, foot, 0.1, 0.075, leg)
        board.limb(hip, knee, 0.13, 0.1, leg)
        board.limb(foot, (foot[0] + 0.07, foot[1] - 0.005), 0.06, 0.045, hair)
    for side in (-1, 1):
        shoulder = (0.13 * side, 0.78)
        angle = side * (30 + 14 * pose[1 if side < 0 else 2]) - 7 * swing
        elbow = _reach(shoulder, angle, 0.17)
        hand = _reach(elbow, angle + 22, 0.16)
        board.limb(elbow, hand, 0.07, 0.06, skin)
        board.limb(shoulder, elbow, 0.095, 0.075, shirt * 0.85)
    board.limb((0, 0.8), (0.01, 0.88), 0.07, 0.07, skin)
    board.polygon(
        [
            (-0.16, 0.8),
            (-0.05, 0.84),
            (0.05, 0.84),
            (0.16, 0.8),
            (0.13, 0.47),
            (-0.13, 0.47),
        ],
        shirt,
    )
    board.ellipse((0.01, 0.915), (0.075, 0.09), skin)
    cap = _ellipse((0.0, 0.925), (0.083, 0.09))
    board.polygon(cap[cap[:, 1] > 0.945 - 0.4 * cap[:, 0]], hair, outline=0)
    board.eye((0.035, 0.925), 0.014)


def _baby(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    skin, shirt, _, hair = colours
    for side in (-1, 1):
        hip = (0.1 * side, 0.2)
        knee = _reach(hip, side * (50 + 15 * pose[0]) + 8 * swing, 0.17)
        foot = _reach(knee, side * 15 + 8 * swing, 0.1)
        board.limb(hip, knee, 0.15, 0.13, skin)
        board.limb(knee, foot, 0.13, 0.1, skin)
        shoulder = (0.14 * side, 0.46)
        angle = side * (70 + 30 * pose[1 if side < 0 else 2]) - 8 * swing
        board.limb(shoulder, _reach(shoulder, angle, 0.2), 0.12, 0.09, skin)
    board.ellipse((0, 0.36), (0.19, 0.2), shirt)
    board.polygon(
        [
            (-0.2, 0.32),
            (0.2, 0.32),
            (0.17, 0.18),
            (0.05, 0.08),
            (-0.05, 0.08),
            (-0.17, 0.18),
        ],
        np.full(3, 235.0),
    )
    board.ellipse((0.0, 0.76), (0.27, 0.24), skin)
    board.ellipse((-0.265, 0.74), (0.04, 0.055), skin)
    board.limb((-0.04, 0.98), (0.06, 1.0), 0.07, 0.03, hair)
    for side in (-1, 1):
        board.eye((0.05 + 0.1 * side, 0.77), 0.035)
    board.ellipse((0.05, 0.64), (0.06, 0.022), np.array([60.0, 40.0, 150.0]), outline=0)


def _ball(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    first, second, third, _ = colours
    middle = np.array([0.0, 0.5])
    board.ellipse(middle, (0.5, 0.5), first, outline=0.025)

    def rim(
        degrees: float | np.ndarray, radius: float | np.ndarray = 0.48
    ) -> np.ndarray:
        turn = np.radians(degrees)
        return middle + radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)

    if pose[0] < -0.33:  # a beach ball: sectors and a button
        for first_angle, colour in ((0, second), (120, third), (240, second)):
            edge = rim(first_angle + np.linspace(0, 60, 8))
            board.polygon([middle, *edge], colour)
        board.ellipse(middle, (0.11, 0.11), third)
    elif pose[0] < 0.33:  # a football: pentagons joined by seams
        corners = np.arange(5) * 72 + 90
        for corner in corners:
            start, end = rim(corner, np.array([0.2, 0.36])[:, None])
            board.limb(start, end, 0.035, 0.035, second, outline=0)
            turns = corner + np.array([-17, 0, 17, 17, -17])
            board.polygon(
                rim(turns, np.array([[0.4], [0.3], [0.4], [0.48], [0.48]])), second
            )
        board.polygon(rim(corners, 0.2), second)
    else:  # a basketball: two straight seams and two bows
        for seam in (
            np.array([[-0.48, 0], [0.48, 0]]),
            np.array([[0, -0.48], [0, 0.48]]),
        ):
            start, end = middle + seam
            board.limb(start, end, 0.04, 0.04, 0.25 * second, outline=0)
        for side in (-1, 1):
            turn = np.linspace(-1, 1, 9)
            bow = middle + np.stack(
                [side * (0.18 + 0.1 * turn**2), 0.38 * turn], axis=1
            )
            for start, end in zip(bow, bow[1:]):
                board.limb(start, end, 0.04, 0.04, 0.25 * second, outline=0)


def _bird(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    body, wing, beak, crest = colours
    lift = 0.05 * pose[0] + 0.04 * swing
    for x in (-0.04, 0.1):
        foot = (x + 0.03 + 0.02 * swing, 0.02)
        board.limb((x, 0.25), foot, 0.035, 0.03, beak, outline=0)
        board.limb(foot, (foot[0] + 0.1, 0.01), 0.03, 0.02, beak, outline=0)
    board.polygon(
        [
            (-0.25, 0.5),
            (-0.72, 0.5),
            (-0.8, 0.4),
            (-0.7, 0.34),
            (-0.74, 0.24),
            (-0.2, 0.3),
        ],
        wing,
    )
    far = [(0.12, 0.5), (0.1, 0.85 + lift), (0.02, 0.9 + lift), (-0.2, 0.5)]
    board.polygon(far, wing * 0.7)
    board.ellipse((0.0, 0.42), (0.37, 0.2), body, angle=18)
    board.polygon([(0.44, 0.76), (0.72, 0.64 + 0.03 * pose[1]), (0.42, 0.6)], beak)
    board.ellipse((0.36, 0.69), (0.14, 0.13), body)
    board.polygon([(0.3, 0.8), (0.16, 0.86), (0.24, 0.72)], crest)
    rising = [
        (-0.02, 0.8 + lift),
        (-0.18, 0.98 + lift),
        (-0.5, 1.0 + lift),
        (-0.44, 0.88 + lift),
    ]
    feathers = [(-0.54, 0.82 + lift), (-0.42, 0.72 + lift), (-0.48, 0.64 + lift)]
    board.polygon([(0.12, 0.48), *rising, *feathers, (-0.3, 0.42)], wing)
    board.eye((0.4, 0.72), 0.032)


def _car(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    paint = colours[0]
    glass = 0.4 * colours[1] + 60
    tyre = 0.3 * colours[2]
    light = colours[3]
    rear = 0.12 * pose[0]
    roof = 0.05 * pose[1]
    top = 0.98 + roof
    trunk = [(-1.08, 0.22), (-1.1, 0.58), (-0.85, 0.64), (-0.58 - rear, 0.95 + roof)]
    bonnet = [(0.33, 0.95 + roof), (0.66, 0.64), (1.02, 0.55), (1.1, 0.42), (1.1, 0.22)]
    board.polygon([*trunk, (-0.5 - rear, top), (0.25, top), *bonnet], paint)
    top = 0.9 + roof
    board.polygon(
        [(-0.72, 0.64), (-0.5 - rear, top), (-0.18, top), (-0.18, 0.64)], glass
    )
    board.polygon([(-0.1, 0.64), (-0.1, top), (0.23, top), (0.5, 0.64)], glass)
    board.limb((-0.14, 0.6), (-0.14, 0.28), 0.02, 0.02, 0.35 * paint, outline=0)
    board.limb((-0.05, 0.54), (0.05, 0.54), 0.03, 0.03, 0.35 * paint, outline=0)
    board.ellipse((1.03, 0.46), (0.06, 0.06), light)
    board.polygon([(-1.1, 0.55), (-1.02, 0.56), (-1.02, 0.42), (-1.1, 0.42)], light)
    for x in (-0.62, 0.62):
        board.ellipse((x, 0.22), (0.24, 0.24), tyre)
        board.ellipse((x, 0.22), (0.13, 0.13), np.full(3, 190.0))
        for spoke in (0, 60, 120):
            tip = np.array(_reach((0, 0), spoke + 14 * swing, 0.12))
            board.limb((x, 0.22) - tip, (x, 0.22) + tip, 0.03, 0.03, tyre, outline=0)


def _cat(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    fur, patch = colours[:2]
    for side, x in ((-1, -0.27), (1, 0.25), (1, -0.36), (-1, 0.15)):
        shade = fur * (1 if side > 0 else 0.7)  # darker on the far side
        knee = _reach((x, 0.38), side * (5 + 8 * swing), 0.2)
        foot = _reach(knee, side * (3 + 8 * swing), 0.16)
        board.limb((x, 0.38), knee, 0.11, 0.07, shade)
        board.limb(knee, foot, 0.07, 0.06, shade)
    bend = 0.05 * pose[0] + 0.03 * swing
    turn = np.linspace(0, 1, 12)
    x = -0.42 - 0.3 * np.sin(2.4 * turn) + (bend + 0.3) * turn**3
    y = 0.46 + 0.62 * turn - 0.08 * turn**4
    tail = np.stack([x, y], axis=1)
    widths = np.linspace(0.08, 0.065, 12)
    for i in range(11):
        board.limb(tail[i], tail[i + 1], widths[i], widths[i + 1], patch, outline=0)
    board.ellipse((-0.06, 0.43), (0.41, 0.135), fur)
    for x in (-0.25, -0.12, 0.01):
        board.limb((x, 0.55), (x - 0.03, 0.44), 0.05, 0.02, patch, outline=0)
    board.limb((0.22, 0.46), (0.38, 0.6), 0.2, 0.18, fur)
    for x, lean in ((0.31, -0.05), (0.5, 0.04)):
        board.polygon([(x - 0.08, 0.74), (x + lean, 0.98), (x + 0.08, 0.74)], patch)
    board.ellipse((0.41, 0.68), (0.17, 0.15), fur)
    board.ellipse((0.51, 0.62), (0.07, 0.05), np.full(3, 225.0))
    board.ellipse(
        (0.54, 0.645), (0.025, 0.018), np.array([110.0, 90.0, 200.0]), outline=0
    )
    board.eye((0.4, 0.71), 0.03)
    board.eye((0.51, 0.71), 0.03)


def _dog(board: Board, swing: float, pose: np.ndarray, colours: np.ndarray) -> None:
    fur, patch = colours[:2]
    for side, x in ((-1, -0.3), (1, 0.32), (1, -0.4), (-1, 0.22)):
        shade = fur * (1 if side > 0 else 0.7)
        knee = _reach((x, 0.42), side * (6 + 8 * swing), 0.22)
        foot = _reach(knee, side * 8 * swing, 0.18)
        board.limb((x, 0.42), knee, 0.17, 0.1, shade)
        board.limb(knee, foot, 0.1, 0.09, shade)
        board.limb(foot, (foot[0] + 0.06, foot[1]), 0.08, 0.06, shade)
    tail = _reach((-0.46, 0.58), -125 - 12 * pose[0] - 8 * swing, 0.2)
    board.limb((-0.44, 0.56), tail, 0.09, 0.05, patch)
    board.ellipse((-0.06, 0.5), (0.46, 0.18), fur)
    board.ellipse((-0.15, 0.56), (0.17, 0.1), patch, outline=0)
    board.limb((0.3, 0.55), (0.45, 0.76), 0.26, 0.2, fur)
    board.limb((0.52, 0.82), (0.85, 0.72 + 0.02 * pose[1]), 0.19, 0.12, fur)
    board.ellipse((0.46, 0.84), (0.16, 0.14), fur)
    board.ellipse(
        (0.9, 0.755 + 0.02 * pose[1]), (0.045, 0.04), np.full(3, 20.0), outline=0
    )
    board.limb((0.62, 0.69), (0.84, 0.66), 0.02, 0.02, np.full(3, 20.0), outline=0)
    board.limb((0.39, 0.93), (0.3, 0.64), 0.09, 0.17, patch)
    board.eye((0.55, 0.87), 0.032)


DRAWINGS: dict[str, Callable[[Board, float, np.ndarray, np.ndarray], None]] = {
    "adult": _adult,
    "baby": _baby,
    "ball": _ball,
    "bird": _bird,
    "car": _car,
    "cat": _cat,
    "dog": _dog,
}
"""{actor of A2D: function that draws it}."""
