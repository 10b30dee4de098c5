"""Figures of the mini A2D: actors with a pose, colours and a texture of their own.

A figure is drawn, then rendered as a sprite: an image with opacity, which the scene
moves and turns about the centroid of its mask. Actors differ in shape (`drawings`), and
most figures also in colours and texture.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from a2d_tf.data.mini.drawings import DRAWINGS, SUPERSAMPLING, Board
from a2d_tf.data.mini.textures import (
    ANY_COLOUR,
    Colours,
    add_texture,
    draw_colours,
)

_SWING_LEVELS = 6  # a swing is rounded to sixths, so that few sprites are drawn
_UNUSUAL_SHARE = 0.1  # share of the figures with random colours
_SKIN = Colours((5, 18), (60, 150), (130, 245))
_DARK = Colours((0, 180), (0, 120), (25, 80))


class _Coat(NamedTuple):
    """How an actor typically looks.

    Attributes:
      width: rough width, in units of the height.
      contrast: contrast of the texture, relative to the colour.
      colours: range of colours of each of the four parts.
      stripe_period: distance of stripes in pixels; None for no stripes.
    """

    width: float
    contrast: float
    colours: tuple[Colours, Colours, Colours, Colours]
    stripe_period: float | None = None


_COATS = {
    "adult": _Coat(
        width=0.5,
        contrast=0.2,
        colours=(
            _SKIN,
            Colours((0, 180), (120, 220), (90, 240)),
            Colours((100, 125), (60, 200), (50, 150)),
            _DARK,
        ),
    ),
    "baby": _Coat(
        width=0.8,
        contrast=0.08,
        colours=(
            Colours((5, 15), (40, 110), (200, 250)),
            Colours((0, 180), (40, 100), (210, 250)),
            ANY_COLOUR,
            _SKIN,
        ),
    ),
    "ball": _Coat(
        width=1.0,
        contrast=0.08,
        colours=(
            Colours((0, 180), (190, 250), (210, 255)),
            Colours((0, 180), (0, 40), (215, 255)),
            ANY_COLOUR,
            ANY_COLOUR,
        ),
    ),
    "bird": _Coat(
        width=1.5,
        contrast=0.22,
        stripe_period=6.0,
        colours=(
            Colours((85, 110), (90, 200), (120, 220)),
            Colours((95, 130), (120, 230), (90, 200)),
            Colours((12, 24), (190, 250), (200, 255)),
            Colours((0, 10), (180, 240), (170, 230)),
        ),
    ),
    "car": _Coat(
        width=2.2,
        contrast=0.06,
        colours=(
            Colours((0, 180), (130, 250), (110, 220)),
            Colours((90, 120), (10, 60), (60, 140)),
            _DARK,
            Colours((20, 32), (120, 200), (220, 255)),
        ),
    ),
    "cat": _Coat(
        width=1.3,
        contrast=0.3,
        stripe_period=10.0,
        colours=(
            Colours((8, 18), (110, 200), (150, 235)),
            Colours((8, 18), (120, 200), (60, 110)),
            ANY_COLOUR,
            ANY_COLOUR,
        ),
    ),
    "dog": _Coat(
        width=1.5,
        contrast=0.35,
        colours=(
            Colours((10, 22), (20, 80), (170, 245)),
            Colours((5, 15), (90, 180), (50, 100)),
            ANY_COLOUR,
            ANY_COLOUR,
        ),
    ),
}
WIDTHS = {actor: coat.width for actor, coat in _COATS.items()}
"""{actor: rough width, in units of the height}."""


class Figure:
    """One actor with its own pose, colours and texture.

    Attributes:
      pivot: (x, y) in pixels of the sprite, the image of the figure: the centroid of
        its mask, about which it turns.
      radius: mean distance of the mask's pixels from the pivot, in pixels; a turn by
        one radian moves the figure's pixels by so much on average.

    Args:
      actor: name of an actor of A2D, such as 'dog'.
      height: height of the figure in pixels.
      rng: random generator that draws pose, colours and texture.
    """

    def __init__(self, actor: str, height: float, rng: np.random.Generator) -> None:
        coat = _COATS[actor]
        self._draw = DRAWINGS[actor]
        self._stripe_period = coat.stripe_period
        self._height = height
        self._pose = rng.uniform(-1, 1, size=6)
        colours = coat.colours
        if rng.random() < _UNUSUAL_SHARE:
            colours = (ANY_COLOUR, ANY_COLOUR, ANY_COLOUR, ANY_COLOUR)
        self._colours = draw_colours(colours, rng)
        self._is_mirrored = rng.random() < 0.5
        self._contrast = coat.contrast * rng.uniform(0.7, 1.3)
        self._texture_seed = int(rng.integers(2**32))
        self._sprites: dict[int, np.ndarray] = {}
        y, x = np.nonzero(self.sprite(0.0)[..., 3] >= 128)
        self.pivot = (float(x.mean()), float(y.mean()))
        self.radius = float(np.hypot(x - x.mean(), y - y.mean()).mean())

    def sprite(self, swing: float) -> np.ndarray:
        """Return an image of the figure with its limbs at one moment of their swing.

        Args:
          swing: how far the limbs have swung, from -1 (fully back) to 1 (fully forth);
            it is rounded to sixths.

        Returns:
          BGRA uint8 [h, w, 4]; the colours are premultiplied by the opacity.
        """
        level = round(swing * _SWING_LEVELS)
        if level not in self._sprites:
            self._sprites[level] = self._render(level / _SWING_LEVELS)
        return self._sprites[level]

    def _render(self, swing: float) -> np.ndarray:
        """Draw the figure with its limbs at a swing, as `sprite` returns it."""
        board = Board(self._height)
        self._draw(board, swing, self._pose, self._colours)
        image = board.image
        if self._is_mirrored:
            image = image[:, ::-1]
        size = (image.shape[1] // SUPERSAMPLING, image.shape[0] // SUPERSAMPLING)
        image = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        alpha = image[..., 3]
        colour = image[..., :3] * 255 / np.maximum(alpha, 1)[..., None]
        return add_texture(
            colour,
            alpha,
            contrast=self._contrast,
            stripe_period=self._stripe_period,
            # The same seed gives every sprite of the figure the same texture.
            rng=np.random.default_rng(self._texture_seed),
        )
