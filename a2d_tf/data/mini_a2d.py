"""The mini A2D: drawn clips in the layout of the real release, with exact masks.

Actors differ in shape and texture, actions in motion only. An action is a motion
programme relative to the scene, the same for all actors: an axis (horizontal, vertical
or in-plane rotation) and a rule by which the motion changes from frame to frame. Small
and large steps, to the left and to the right, are equally frequent in all programmes of
an axis, and position, tilt and limbs have the same distribution for all actions. So
neither one frame nor one step of flow tells walking from running, only their sequence
does.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Sequence

import cv2
import h5py
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.folders import whole_folder
from a2d_tf.core.labels import A2D
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.workers import imap
from a2d_tf.data import mini_figures as figures
from a2d_tf.data.a2d_annotations import paint

WIDTH, HEIGHT, FPS = 400, 320, 25
_SIZE = WIDTH, HEIGHT
TEST_SHARE = 0.3
MIN_VISIBLE = 40  # pixels; smaller instances are not annotated
MIN_INSIDE = 0.6  # fraction of a figure inside the frame, in annotated frames

LEVELS = (3.0, 8.0)  # pixels a frame, averaged over the figure
JITTER = 0.15
TURN_RANGE = (5.0, 20.0)  # degrees a frame
PROGRAMMES = {
    "walking": ("horizontal", "steady"),
    "running": ("horizontal", "stop-and-go"),
    "crawling": ("horizontal", "to-and-fro"),
    "climbing": ("vertical", "steady"),
    "flying": ("vertical", "stop-and-go"),
    "jumping": ("vertical", "to-and-fro"),
    "rolling": ("rotation", "steady"),
    "eating": ("rotation", "to-and-fro"),
    "none": (None, "still"),
}
"""{action: (axis of the motion, rule by which its steps change)}."""

# scene around the frame in pixels; the camera moves at most 2 px x 28 frames + shake
_MARGIN = 70
_MAX_TILT = 50.0  # degrees
_HEIGHTS = (0.12 * HEIGHT, 0.5 * HEIGHT)  # figure height, pixels
_MAX_FIGURE_WIDTH = 200
_VID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_USER_BLOCK = 512  # bytes before the HDF5 part of a MATLAB v7.3 file


@dataclasses.dataclass(frozen=True)
class VideoPlan:
    """The contents of a clip.

    Attributes:
      index: number of the clip; with `seed` it determines the drawing.
      vid: 11 characters, as on YouTube.
      usage: 0 train, 1 test.
      frames: length of the clip.
      annotated: number of annotated frames, 3 or 5.
      codes: label of each actor; the first one names the clip.
    """

    index: int
    seed: int
    vid: str
    usage: int
    frames: int
    annotated: int
    codes: tuple

    @property
    def keys(self) -> tuple[int, ...]:
        """1-based numbers of the annotated frames, k * floor(n / 6), as in A2D."""
        return tuple(k * (self.frames // 6) for k in range(1, self.annotated + 1))


def plan(videos: int, seed: int) -> list[VideoPlan]:
    """Plan clips.

    At least 30 % are test clips. Labels come from shuffled rounds of the 43 pairs in
    each split (first actors and companions separately), so that each pair leads a clip
    in both splits from 144 clips on. Two splits need two clips or more.
    """
    rng = np.random.default_rng(seed)
    tests = set(rng.permutation(videos)[: math.ceil(TEST_SHARE * videos)].tolist())
    leads, companions = ([_rounds(rng), _rounds(rng)] for _ in range(2))
    plans = []
    for index in range(videos):
        usage = int(index in tests)
        count = rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3])
        codes = [next(leads[usage])] + [
            next(companions[usage]) for _ in range(count - 1)
        ]
        # As on YouTube, some start with dashes and look like command-line options.
        vid = {1: "--", 2: "-"}.get(index % 20, "")
        vid += "".join(rng.choice(list(_VID_CHARACTERS), size=11 - len(vid)))
        # keys 6 or 7 frames apart, with room to turn back
        frames = int(rng.integers(36, 43))
        annotated = 5 if rng.random() < 0.08 else 3
        plans.append(
            VideoPlan(index, seed, vid, usage, frames, annotated, tuple(codes))
        )
    return plans


def _rounds(rng):
    """Yield shuffled rounds of the valid codes endlessly."""
    while True:
        yield from rng.permutation(A2D.codes).tolist()


def programme(
    action: str, frames: int, keys: Sequence[int], rng: np.random.Generator
) -> tuple[str | None, np.ndarray]:
    """Draw the steps of an action.

    A step has one of two levels and a sign. `steady` keeps both, `stop-and-go` changes
    the level every frame, `to-and-fro` the sign. The first two turn back half-way
    between annotated frames, never within two frames of one, so that figures stay near
    their place for all actions.

    Args:
      action: name in A2D.
      frames: length of the clip.
      keys: 1-based annotated frames, equally spaced by at least 6.
      rng: numpy Generator.

    Returns:
      axis: "horizontal", "vertical", "rotation" or None.
      steps: float64 [frames], signed pixels from the frame before; steps[0] = 0.
    """
    axis, change = PROGRAMMES[action]
    index = np.arange(frames)
    level, sign = np.full(frames, rng.integers(2)), np.full(frames, rng.choice([-1, 1]))
    jitter = rng.uniform(1 - JITTER, 1 + JITTER, size=frames)
    if change == "stop-and-go":
        level = (level + index) % 2
    if change == "to-and-fro":
        sign = sign * (-1) ** index
    else:
        spacing = keys[1] - keys[0]
        for key in range(keys[0] - spacing, frames, spacing):
            # An odd spacing has no middle frame; choose either side.
            turn = key + spacing // 2 + rng.integers(1 + spacing % 2)
            sign = np.where(index >= turn, -sign, sign)
    steps = sign * np.array(LEVELS)[level] * jitter * (axis is not None)
    steps[0] = 0
    return axis, steps


def turn_per_step(steps: np.ndarray, radius: float) -> np.ndarray:
    """Convert steps in pixels to degrees, within 5-20, for a figure of this mean
    radius.
    """
    level = np.degrees(np.array(LEVELS) / radius)
    gain = np.clip(level, *TURN_RANGE) / LEVELS
    high = np.abs(steps) > LEVELS[0] * (1 + JITTER)
    return steps * gain[high.astype(int)]


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A moving sprite, by the index of the frame, with its path and tilt."""

    sprite: Callable[[int], np.ndarray]
    pivot: tuple[float, float]
    centres: np.ndarray
    tilts: np.ndarray

    def place(self, index: int) -> tuple[slice, slice, np.ndarray] | None:
        """Return the part inside frame `index` as (rows, columns, patch BGRA), or
        None.
        """
        sprite = self.sprite(index)
        turn = math.radians(self.tilts[index])
        rotation = np.array(
            [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        )
        shift = self.centres[index] - rotation @ self.pivot
        height, width = sprite.shape[:2]
        corners = (
            np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ rotation.T
            + shift
        )
        left, top = np.clip(np.floor(corners.min(axis=0)) - 1, 0, _SIZE).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, _SIZE).astype(int)
        if left >= right or top >= bottom:
            return None
        matrix = np.column_stack([rotation, shift - (left, top)])
        patch = cv2.warpAffine(sprite, matrix, (right - left, bottom - top))
        return slice(top, bottom), slice(left, right), patch

    def area(self, index: int) -> int:
        """Count the layer's pixels inside frame `index`, hidden ones included."""
        placed = self.place(index)
        return 0 if placed is None else int((placed[2][..., 3] >= 128).sum())


class Scene:
    """A clip ready to be drawn, determined by (seed, index) of its plan."""

    def __init__(self, video: VideoPlan) -> None:
        rng = np.random.default_rng([video.seed, video.index])
        self._video = video
        self._keys = np.array(video.keys) - 1
        self._middle = self._keys[len(self._keys) // 2]
        self._background = figures.background(
            HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN, rng
        )
        self._camera = self._camera_path(rng)
        actors = [self._actor(code, rng) for code in video.codes]
        # From back to front; number 0 is no actor.
        self._layers = [
            (i + 1, actors[i]) for i in rng.permutation(len(actors)).tolist()
        ]
        if rng.random() < 0.3:
            self._layers.append((0, self._occluder(rng)))
        # The first actor labels the clip, so every annotated frame must show it.
        areas = [
            (actors[0].area(key), (self.owners(key) == 1).sum()) for key in self._keys
        ]
        if any(seen < max(MIN_VISIBLE, 0.3 * area) for area, seen in areas):
            self._layers.sort(key=lambda layer: layer[0] == 1)

    def _camera_path(self, rng):
        """Return the camera's position in pixels [frames, 2], zero at the middle
        key.
        """
        frames = self._video.frames
        wander = rng.uniform(-0.8, 0.8) * np.sin(
            np.arange(frames) / 9 + rng.uniform(0, 6.3)
        )
        heading = rng.uniform(0, 2 * math.pi) + wander
        pan = rng.uniform(0, 2) * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        shake = rng.uniform(-1, 1, size=(frames, 2)) * rng.uniform(0, 1)
        path = np.cumsum(pan, axis=0) + shake
        return path - path[self._middle]

    def _actor(self, code, rng):
        actor, action = A2D.name(code).split("-")
        low, high = np.log(_HEIGHTS)
        # The square root favours large figures: tiny ones have little visible flow.
        height = math.exp(low + (high - low) * math.sqrt(rng.random()))
        height = min(height, _MAX_FIGURE_WIDTH / figures.WIDTHS[actor])
        figure = figures.Figure(actor, height, rng)
        frames = self._video.frames
        period, phase = rng.uniform(16, 32), rng.uniform(0, 2 * math.pi)
        swings = np.sin(phase + 2 * math.pi * np.arange(frames) / period)
        axis, steps = programme(action, frames, self._video.keys, rng)
        path, tilts = (
            np.zeros((frames, 2)),
            np.full(frames, rng.uniform(-_MAX_TILT, _MAX_TILT)),
        )
        if axis == "rotation":
            travelled = np.cumsum(turn_per_step(steps, figure.radius))
            tilts = tilts + travelled - travelled[self._middle]
        elif axis is not None:
            path[:, int(axis == "vertical")] = np.cumsum(steps)
        path = path - path[self._middle] - self._camera
        full = (figure.sprite(0)[..., 3] >= 128).sum()
        layer = None
        for share in [*rng.uniform(0.1, 0.9, size=(60, 2)), np.array([0.5, 0.5])]:
            centres = path + share * _SIZE
            layer = _Layer(
                lambda index: figure.sprite(swings[index]), figure.pivot, centres, tilts
            )
            if all(layer.area(key) >= MIN_INSIDE * full for key in self._keys):
                break
        return layer

    def _occluder(self, rng):
        sprite = figures.occluder(rng)
        centre = rng.uniform(0.1, 0.9, size=2) * _SIZE
        tilts = np.full(self._video.frames, rng.uniform(-15, 15))
        pivot = (sprite.shape[1] / 2, sprite.shape[0] / 2)
        return _Layer(lambda index: sprite, pivot, centre - self._camera, tilts)

    def image(self, index: int) -> np.ndarray:
        """Draw frame `index` (0-based): BGR uint8 [320, width, 3]."""
        x, y = self._camera[index] + _MARGIN
        middle = (float(x + (WIDTH - 1) / 2), float(y + (HEIGHT - 1) / 2))
        image = cv2.getRectSubPix(self._background, _SIZE, middle)
        for _, layer in self._layers:
            if placed := layer.place(index):
                rows, columns, patch = placed
                clear = 1 - patch[..., 3:].astype(np.float32) / 255
                blend = image[rows, columns] * clear + patch[..., :3]
                image[rows, columns] = np.clip(np.round(blend), 0, 255)
        return image

    def owners(self, index: int) -> np.ndarray:
        """Return each pixel's actor in frame `index`: uint8 [320, width], 0 for none.

        1 is the first of the plan's codes.
        """
        owners = np.zeros(_SIZE[::-1], np.uint8)
        for number, layer in self._layers:
            if placed := layer.place(index):
                rows, columns, patch = placed
                owners[rows, columns][patch[..., 3] >= 128] = number
        return owners

    def instances(self, index: int) -> dict[int, np.ndarray]:
        """Return the visible pixels of the actors in frame `index`.

        Returns:
          {actor, as its index in the plan's codes: mask bool [320, width]}, ascending;
          the masks are disjoint, and none is below MIN_VISIBLE.
        """
        owners = self.owners(index)
        masks = [owners == number for number in range(1, len(self._video.codes) + 1)]
        return {i: mask for i, mask in enumerate(masks) if mask.sum() >= MIN_VISIBLE}


def write_mat(path: str | os.PathLike, codes: Sequence[int], masks: np.ndarray) -> None:
    """Write a frame's annotation like A2D's, MATLAB v7.3: HDF5 behind a user block.

    Args:
      codes: code of each instance [N], N >= 1.
      masks: bool [N, H, W], disjoint.
    """
    label_map = paint(masks, codes, np.uint8)
    # Tight: x1, y1, x2, y2, 1-based and inclusive.
    corners = [np.argwhere(mask)[:, ::-1] + 1 for mask in masks]
    boxes = np.array([[*xy.min(axis=0), *xy.max(axis=0)] for xy in corners], np.float64)
    masks = masks.astype(np.uint8).transpose(0, 2, 1)  # MATLAB stores columns first
    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        _dataset(file, "reS_id", label_map.T, "uint8")
        # MATLAB drops a trailing dimension of one.
        _dataset(file, "reMask", masks[0] if len(masks) == 1 else masks, "uint8")
        _dataset(file, "reBBox", boxes.T, "double")
        _dataset(file, "id", np.array([codes], np.float64), "double")
        names = []
        for number, code in enumerate(codes):
            characters = np.frombuffer(A2D.name(code).encode("utf-16-le"), np.uint16)
            text = _dataset(file, f"#refs#/{number}", characters[:, None], "char")
            text.attrs["MATLAB_int_decode"] = np.int32(2)
            names.append(text.ref)
        cells = file.create_dataset("class", (1, len(codes)), h5py.ref_dtype)
        cells[0] = names
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
    with open(path, "r+b") as file:  # text, no subsystem, version 2, little-endian
        file.write(header.ljust(116) + bytes(8) + b"\x00\x02IM")


def _dataset(file, name, values, matlab_class):
    packing = (
        {"compression": "gzip", "compression_opts": 3} if values.size > 1000 else {}
    )
    dataset = file.create_dataset(name, data=values, track_times=False, **packing)
    dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)
    return dataset


def write_video(release: str | os.PathLike, video: VideoPlan) -> None:
    """Draw a clip and its annotations in a release."""
    release = pathlib.Path(release)
    scene = Scene(video)
    clip = release / "clips320H" / f"{video.vid}.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), FPS, _SIZE)
    for index in range(video.frames):
        writer.write(scene.image(index))
    writer.release()
    folders = {
        kind: release / "Annotations" / kind / video.vid for kind in ("mat", "col")
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    for key in video.keys:
        instances = scene.instances(key - 1)
        codes, masks = (
            [video.codes[i] for i in instances],
            np.stack([*instances.values()]),
        )
        write_mat(folders["mat"] / f"{key:05d}.mat", codes, masks)
        colours = A2D.palette[paint(masks, codes, np.uint8)]
        image = folders["col"] / f"{key:05d}.png"
        cv2.imwrite(str(image), colours[..., ::-1])


def make_release(
    output: str | os.PathLike, videos: int, seed: int, workers: int
) -> pathlib.Path:
    """Make `output`/Release atomically and return its path.

    The result depends on `videos` and `seed` only, see `plan`. An existing release that
    was made with the same arguments is kept.

    Raises:
      InputError: another release exists, or the folder cannot be written.
    """
    output = pathlib.Path(output)
    release = output / "Release"
    plans = plan(videos, seed)
    made_with = f"--videos={videos} --seed={seed}"
    readme = _README.format(made_with=made_with)
    if release.exists():
        present = release / "README"
        if present.is_file() and present.read_bytes() == readme.encode():
            return release
        raise InputError(
            f"{release} was not made with {made_with}; delete it, or use another"
        )
    with whole_folder(os.fspath(release), replace=False) as folder:
        partial = pathlib.Path(folder)
        (partial / "clips320H").mkdir()
        made = imap(functools.partial(write_video, partial), plans, workers)
        for _ in progress_bar(made, "mini A2D", len(plans), unit="clip"):
            pass
        with open(partial / "videoset.csv", "w", encoding="utf-8") as file:
            for v in plans:
                end = f"00:00:{math.ceil(v.frames / FPS):02d}"
                cells = (v.vid, v.codes[0], "00:00:00", end, HEIGHT, WIDTH)
                print(*cells, v.frames, v.annotated, v.usage, sep=",", file=file)
        (partial / "README").write_text(readme, encoding="utf-8")
    return release


_README = """Mini A2D: drawn clips in the layout of the Actor-Action Dataset (A2D).

Made by a2d mini {made_with}, drawing 3

videoset.csv                          vid,label,start,end,height,width,frames,\
annotated,usage
                                      (usage 0 train, 1 test)
clips320H/<VID>.mp4                   clips
Annotations/mat/<VID>/<frame>.mat     reS_id, reMask, reBBox, id, class (MATLAB v7.3)
Annotations/col/<VID>/<frame>.png     label maps in A2D's colours

Frames are numbered from 1. Actors are told by shape and coat, actions by their \
motion alone.
"""
