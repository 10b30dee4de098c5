"""Textures, colours, backgrounds and occluders of the mini A2D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np


class Colours(NamedTuple):
    """A range of colours, from which a part of a figure gets its own.

    Attributes:
      hue: least and largest hue, 0 to 180, as in OpenCV.
      saturation: least and largest saturation, 0 to 255.
      value: least and largest value (brightness), 0 to 255.
    """

    hue: tuple[int, int]
    saturation: tuple[int, int]
    value: tuple[int, int]


ANY_COLOUR = Colours((0, 180), (10, 220), (60, 240))


def noise(
    height: int, width: int, scales: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Draw a field of smooth random noise.

    Args:
      height: height of the field in pixels.
      width: width of the field in pixels.
      scales: sizes of the noise's features in pixels; the noises of all sizes are
        added.
      rng: random generator that draws the noise.

    Returns:
      float32 [height, width] with mean 0 and standard deviation 1.
    """
    field = np.zeros((height, width), np.float32)
    for scale in scales:
        grid = (math.ceil(height / scale) + 2, math.ceil(width / scale) + 2)
        coarse = rng.standard_normal(grid).astype(np.float32)
        size = (math.ceil(grid[1] * scale), math.ceil(grid[0] * scale))
        fine = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        field += fine[:height, :width]
    return (field - field.mean()) / (field.std() + 1e-6)


def stripes(
    height: int, width: int, period: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw wavy stripes in a random direction.

    Args:
      height: height of the field in pixels.
      width: width of the field in pixels.
      period: distance of the stripes in pixels.
      rng: random generator that draws direction and waves.

    Returns:
      float [height, width] in [-1, 1], the brightness across the stripes.
    """
    angle = rng.uniform(0, math.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period)
    waves = noise(height, width, [4 * period], rng)
    return np.sin(phase + waves + rng.uniform(0, 2 * math.pi))


def background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a cluttered background of noise, stripes and blobs.

    Args:
      height: height of the image in pixels.
      width: width of the image in pixels.
      rng: random generator that draws everything.

    Returns:
      BGR uint8 [height, width, 3].
    """
    palette = draw_colours([ANY_COLOUR] * 4, rng)
    field = noise(height, width, [7, 20, 60, 160], rng)
    share = np.clip(0.5 + 0.35 * field, 0, 1)[..., None]
    image = palette[0] * share + palette[1] * (1 - share)
    if rng.random() < 0.7:
        wave = stripes(height, width, rng.uniform(14, 60), rng)
        region = noise(height, width, [90], rng) > rng.uniform(-1, 1)
        alpha = (0.5 * (wave > 0) * region)[..., None]
        image = image * (1 - alpha) + palette[2] * alpha
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(10, 40)):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(rng.integers(4, 36, size=2).tolist())
        colour = palette[rng.integers(4)] * rng.uniform(0.6, 1.3)
        turn = rng.uniform(0, 180)
        if rng.random() < 0.5:
            cv2.ellipse(
                image, centre, axes, turn, 0, 360, colour.tolist(), -1, cv2.LINE_AA
            )
        else:
            corners = cv2.boxPoints((centre, axes, turn)).astype(np.int32)
            cv2.fillPoly(image, [corners], colour.tolist(), cv2.LINE_AA)
    grain = noise(height, width, [3, 8], rng)[..., None] * rng.uniform(5, 14)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def occluder(rng: np.random.Generator) -> np.ndarray:
    """Draw a textured pole or bush, which hides parts of the figures behind it.

    Args:
      rng: random generator that draws kind, size and texture.

    Returns:
      BGRA uint8 [h, w, 4]; the colours are premultiplied by the opacity.
    """
    if rng.random() < 0.5:
        alpha = np.full((640, int(rng.integers(8, 22))), 255, np.uint8)
    else:
        height, width = rng.integers(60, 100, size=2).tolist()
        alpha = np.zeros((height, width), np.uint8)
        for _ in range(14):
            angle = rng.uniform(0, 2 * math.pi)
            reach = rng.uniform(0.1, 0.3)
            x = (0.5 + reach * math.cos(angle)) * width
            y = (0.5 + reach * math.sin(angle)) * height
            radius = int(rng.uniform(0.1, 0.19) * min(height, width))
            cv2.circle(alpha, (int(x), int(y)), radius, (255,), -1)
    colour = draw_colours([ANY_COLOUR], rng)[0]
    image = colour * np.ones((*alpha.shape, 3))
    return add_texture(image, alpha, contrast=0.35, stripe_period=None, rng=rng)


def draw_colours(ranges: Sequence[Colours], rng: np.random.Generator) -> np.ndarray:
    """Draw a colour from each of N ranges.

    Args:
      ranges: the ranges of hue, saturation and value.
      rng: random generator that draws the colours.

    Returns:
      BGR float32 [N, 3], 0 to 255.
    """
    hsv = []
    for colours in ranges:
        hsv.append([rng.uniform(least, most) for least, most in colours])
    pixels = np.array(hsv).astype(np.uint8)[None]
    return cv2.cvtColor(pixels, cv2.COLOR_HSV2BGR)[0].astype(np.float32)


def add_texture(
    image: np.ndarray,
    alpha: np.ndarray,
    *,
    contrast: float,
    stripe_period: float | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Add a random texture to an image, and multiply its colours by its opacity.

    Args:
      image: BGR [h, w, 3], 0 to 255, not premultiplied.
      alpha: opacity of the image [h, w], 0 to 255.
      contrast: contrast of the texture, relative to the colour.
      stripe_period: distance of stripes in pixels; None for no stripes.
      rng: random generator that draws the texture.

    Returns:
      BGRA uint8 [h, w, 4]; the colours are premultiplied by the opacity.
    """
    height, width = alpha.shape
    size = rng.uniform(4, 9)
    field = noise(height, width, [size, 2 * size], rng)
    if stripe_period:
        period = rng.uniform(0.8, 1.3) * stripe_period
        field = 0.5 * field + stripes(height, width, period, rng)
    colour = np.clip(image * (1 + contrast * field[..., None]), 0, 255)
    opacity = alpha[..., None].astype(np.float32)
    premultiplied = np.concatenate([colour * opacity / 255, opacity], axis=2)
    return premultiplied.round().astype(np.uint8)
