"""The scenes of the mini A2D: figures that move over a background, and their masks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from a2d_tf.core.labels import A2D
from a2d_tf.data.mini import textures
from a2d_tf.data.mini.figures import WIDTHS, Figure
from a2d_tf.data.mini.plan import VideoPlan
from a2d_tf.data.mini.programmes import PROGRAMMES, draw_steps, turn_per_step

WIDTH = 400
HEIGHT = 320
SIZE = (WIDTH, HEIGHT)
MIN_VISIBLE = 40  # pixels; smaller instances are not annotated
MIN_INSIDE = 0.6  # least share of a figure inside the frame, in annotated frames

# Width of the background beyond each side of the frame, in pixels. The camera moves by
# at most 2 pixels a frame in 28 frames, and shakes.
_MARGIN = 70
_MAX_TILT = 50.0  # degrees
_HEIGHTS = (0.12 * HEIGHT, 0.5 * HEIGHT)  # least and largest figure, pixels
_MAX_FIGURE_WIDTH = 200  # pixels
_OPAQUE = 128  # least opacity of a pixel that belongs to a figure, of 255


class _Patch(NamedTuple):
    """The part of a sprite that is inside a frame.

    Attributes:
      rows: its rows in the frame.
      columns: its columns in the frame.
      bgra: its pixels, uint8 [rows, columns, 4], premultiplied by the opacity.
    """

    rows: slice
    columns: slice
    bgra: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A moving sprite.

    Attributes:
      owner: number of the actor, from 1; 0 if the sprite is no actor.
      sprite: (index of the frame) -> image, BGRA uint8, premultiplied by the opacity.
      pivot: point of the sprite that follows the path and about which the sprite turns,
        (x, y) in the sprite, pixels.
      centres: position of the pivot in each frame, (x, y), pixels [frames, 2].
      tilts: rotation of the sprite in each frame, degrees [frames].
    """

    owner: int
    sprite: Callable[[int], np.ndarray]
    pivot: tuple[float, float]
    centres: np.ndarray
    tilts: np.ndarray

    def patch(self, index: int) -> _Patch | None:
        """Return the part of the sprite inside frame `index`; None if it is outside."""
        sprite = self.sprite(index)
        turn = math.radians(self.tilts[index])
        rotation = np.array(
            [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        )
        shift = self.centres[index] - rotation @ self.pivot
        height, width = sprite.shape[:2]
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
        corners = corners @ rotation.T + shift
        left, top = np.clip(np.floor(corners.min(axis=0)) - 1, 0, SIZE).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, SIZE).astype(int)
        if left >= right or top >= bottom:
            return None
        matrix = np.column_stack([rotation, shift - (left, top)])
        bgra = cv2.warpAffine(sprite, matrix, (right - left, bottom - top))
        return _Patch(slice(top, bottom), slice(left, right), bgra)

    def area(self, index: int) -> int:
        """Count the sprite's pixels inside frame `index`, also those behind others."""
        patch = self.patch(index)
        if patch is None:
            return 0
        return int((patch.bgra[..., 3] >= _OPAQUE).sum())


class Scene:
    """The background and the figures of a clip, and how they move.

    The seed and the index of the clip's plan determine all random choices.

    Args:
      video: plan of the clip, which lists the pair of each figure.
    """

    def __init__(self, video: VideoPlan) -> None:
        rng = np.random.default_rng([video.seed, video.index])
        self._video = video
        self._keys = np.array(video.keys) - 1
        self._middle = self._keys[len(self._keys) // 2]
        self._background = textures.background(
            HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN, rng
        )
        self._camera = self._camera_path(rng)
        actors = []
        for owner, code in enumerate(video.codes, 1):
            actors.append(self._actor(owner, code, rng))
        # The order is from back to front.
        self._layers = [actors[i] for i in rng.permutation(len(actors))]
        if rng.random() < 0.3:
            self._layers.append(self._occluder(rng))
        # The first actor labels the clip, so every annotated frame must show it.
        if self._is_hidden(actors[0]):
            self._layers.sort(key=lambda layer: layer.owner == 1)

    def _camera_path(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the camera's position in each frame, (x, y), pixels [frames, 2].

        It is (0, 0) in the middle annotated frame.
        """
        frames = self._video.frames
        wander_size = rng.uniform(-0.8, 0.8)
        wander_phase = rng.uniform(0, 6.3)
        wander = wander_size * np.sin(np.arange(frames) / 9 + wander_phase)
        heading = rng.uniform(0, 2 * math.pi) + wander
        pan = rng.uniform(0, 2) * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        shake = rng.uniform(-1, 1, size=(frames, 2)) * rng.uniform(0, 1)
        path = np.cumsum(pan, axis=0) + shake
        return path - path[self._middle]

    def _actor(self, owner: int, code: int, rng: np.random.Generator) -> _Layer:
        """Draw an actor that is inside the frame in all annotated frames if possible.

        Args:
          owner: number of the actor, from 1.
          code: A2D's code of actor and action.
          rng: draws figure, motion and position.
        """
        actor, action = A2D.name(code).split("-")
        low, high = np.log(_HEIGHTS)
        # The square root favours large figures: tiny ones have little visible flow.
        height = math.exp(low + (high - low) * math.sqrt(rng.random()))
        height = min(height, _MAX_FIGURE_WIDTH / WIDTHS[actor])
        figure = Figure(actor, height, rng)
        frames = self._video.frames
        period = rng.uniform(16, 32)
        phase = rng.uniform(0, 2 * math.pi)
        swings = np.sin(phase + 2 * math.pi * np.arange(frames) / period)
        axis = PROGRAMMES[action].axis
        steps = draw_steps(action, frames, self._video.keys, rng)
        path = np.zeros((frames, 2))
        tilts = np.full(frames, rng.uniform(-_MAX_TILT, _MAX_TILT))
        if axis == "rotation":
            turns = np.cumsum(turn_per_step(steps, figure.radius))
            tilts = tilts + turns - turns[self._middle]
        elif axis is not None:
            path[:, int(axis == "vertical")] = np.cumsum(steps)
        path = path - path[self._middle] - self._camera
        whole_area = (figure.sprite(0)[..., 3] >= _OPAQUE).sum()
        layer = _Layer(
            owner=owner,
            sprite=lambda index: figure.sprite(swings[index]),
            pivot=figure.pivot,
            centres=path + np.array([0.5, 0.5]) * SIZE,  # the middle of the frame
            tilts=tilts,
        )
        # Take the first of sixty random positions, in shares of the frame's sides, that
        # keeps the figure inside the annotated frames.
        for position in rng.uniform(0.1, 0.9, size=(60, 2)):
            moved = dataclasses.replace(layer, centres=path + position * SIZE)
            if all(moved.area(key) >= MIN_INSIDE * whole_area for key in self._keys):
                return moved
        return layer

    def _occluder(self, rng: np.random.Generator) -> _Layer:
        """Draw a pole or bush that stands in front of the actors."""
        sprite = textures.occluder(rng)
        centre = rng.uniform(0.1, 0.9, size=2) * SIZE
        return _Layer(
            owner=0,
            sprite=lambda index: sprite,
            pivot=(sprite.shape[1] / 2, sprite.shape[0] / 2),
            centres=centre - self._camera,
            tilts=np.full(self._video.frames, rng.uniform(-15, 15)),
        )

    def _is_hidden(self, layer: _Layer) -> bool:
        """Return whether too little of an actor is visible in an annotated frame."""
        for key in self._keys:
            visible = (self.owners(key) == layer.owner).sum()
            if visible < max(MIN_VISIBLE, 0.3 * layer.area(key)):
                return True
        return False

    def image(self, index: int) -> np.ndarray:
        """Draw a frame of the clip.

        Args:
          index: number of the frame, from 0.

        Returns:
          BGR uint8 [HEIGHT, WIDTH, 3].
        """
        x, y = self._camera[index] + _MARGIN
        middle = (float(x + (WIDTH - 1) / 2), float(y + (HEIGHT - 1) / 2))
        image = cv2.getRectSubPix(self._background, SIZE, middle)
        for layer in self._layers:
            patch = layer.patch(index)
            if patch is None:
                continue
            behind = image[patch.rows, patch.columns]
            transparency = 1 - patch.bgra[..., 3:].astype(np.float32) / 255
            blend = behind * transparency + patch.bgra[..., :3]
            image[patch.rows, patch.columns] = np.clip(np.round(blend), 0, 255)
        return image

    def owners(self, index: int) -> np.ndarray:
        """Find the figure that each pixel of a frame shows.

        Args:
          index: number of the frame, from 0.

        Returns:
          uint8 [HEIGHT, WIDTH]; 0 is no figure, n the figure of the plan's nth code.
        """
        owners = np.zeros((HEIGHT, WIDTH), np.uint8)
        for layer in self._layers:
            patch = layer.patch(index)
            if patch is not None:
                is_opaque = patch.bgra[..., 3] >= _OPAQUE
                owners[patch.rows, patch.columns][is_opaque] = layer.owner
        return owners

    def instances(self, index: int) -> dict[int, np.ndarray]:
        """Return the masks of the figures that are visible in a frame, the truth.

        Args:
          index: number of the frame, from 0.

        Returns:
          {index of the figure in the plan's codes, from 0: mask bool [HEIGHT, WIDTH]},
          in ascending order. Masks do not overlap and have at least MIN_VISIBLE pixels.
        """
        owners = self.owners(index)
        masks = {}
        for i in range(len(self._video.codes)):
            mask = owners == i + 1
            if mask.sum() >= MIN_VISIBLE:
                masks[i] = mask
        return masks
