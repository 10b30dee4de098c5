"""The plan of the mini A2D: which clips it has, of which actors and actions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from a2d_tf.core.labels import A2D

TEST_SHARE = 0.3
_VID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


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
    codes: tuple[int, ...]

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
    # Endless codes of each split, by `usage`.
    first_codes = [_rounds(rng), _rounds(rng)]
    companion_codes = [_rounds(rng), _rounds(rng)]
    plans = []
    for index in range(videos):
        usage = int(index in tests)
        actors = rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3])
        codes = [next(first_codes[usage])]
        for _ in range(actors - 1):
            codes.append(next(companion_codes[usage]))
        # As on YouTube, some start with dashes and look like command-line options.
        dashes = {1: "--", 2: "-"}.get(index % 20, "")
        letters = rng.choice(list(_VID_CHARACTERS), size=11 - len(dashes))
        # Keys are 6 or 7 frames apart, with room to turn back.
        frames = int(rng.integers(36, 43))
        annotated = 5 if rng.random() < 0.08 else 3
        plans.append(
            VideoPlan(
                index=index,
                seed=seed,
                vid=dashes + "".join(letters),
                usage=usage,
                frames=frames,
                annotated=annotated,
                codes=tuple(codes),
            )
        )
    return plans


def _rounds(rng):
    """Yield shuffled rounds of the valid codes endlessly."""
    while True:
        yield from rng.permutation(A2D.codes).tolist()
