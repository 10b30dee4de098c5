"""The plan of the mini A2D: its clips with their actors and actions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from a2d_tf.core.labels import A2D

TEST_SHARE = 0.3
_VID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclasses.dataclass(frozen=True)
class VideoPlan:
    """What a clip of the mini A2D shows, before it is drawn.

    Attributes:
      index: number of the clip, from 0.
      seed: seed of the mini A2D; it and `index` determine the drawing.
      vid: name of the clip, 11 characters as on YouTube.
      usage: 0 for the training split, 1 for the test split.
      frames: number of frames of the clip.
      annotated: number of annotated frames, 3 or 5.
      codes: A2D's number of the actor-action pair of each figure, such as 43 for
        bird-eating; videoset.csv has the first one as the clip's.
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
        """Numbers of the annotated frames, from 1, spaced as in A2D."""
        return tuple(k * (self.frames // 6) for k in range(1, self.annotated + 1))


def plan(videos: int, seed: int) -> list[VideoPlan]:
    """Plan the clips of a mini A2D: which actors do what in which clip and split.

    The test split has 30 % of the clips, rounded up. In each split, the first figures
    of the clips get the 43 pairs of A2D in random order, again and again, and so do the
    other figures. So with 144 clips or more, each split has clips with each pair as the
    first figure's.

    Args:
      videos: number of clips, at least 2.
      seed: seed of all random choices.

    Returns:
      the plans, in the order of their index.
    """
    rng = np.random.default_rng(seed)
    tests = set(rng.permutation(videos)[: math.ceil(TEST_SHARE * videos)].tolist())
    # Endless codes for each split, indexed by `usage`.
    first_codes = [_rounds(rng), _rounds(rng)]
    companion_codes = [_rounds(rng), _rounds(rng)]
    plans = []
    for index in range(videos):
        usage = int(index in tests)
        actors = rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3])
        codes = [next(first_codes[usage])]
        for _ in range(actors - 1):
            codes.append(next(companion_codes[usage]))
        # As on YouTube, some names begin with dashes and look like flags.
        dashes = {1: "--", 2: "-"}.get(index % 20, "")
        letters = rng.choice(list(_VID_CHARACTERS), size=11 - len(dashes))
        # Annotated frames are 6 or 7 frames apart: motion can turn back between them.
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


def _rounds(rng: np.random.Generator) -> Iterator[int]:
    """Yield all codes of A2D in random order, again and again without end."""
    while True:
        yield from rng.permutation(A2D.codes).tolist()
