"""Random and drawn videos of tracked objects, for the scores over time."""

import numpy as np

from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.metrics.tracks import ComparedFrame, Objects

SIZE = (24, 32)
"""The (height, width) of the frames, in pixels."""


def square(top, left, side=8, size=SIZE):
    """Return a mask, bool [H, W], with the part of a square that is in the frame.

    Args:
      top, left: position of its corner, in pixels; it may be negative.
      side: side of the square, in pixels.
      size: (height, width) of the frame.
    """
    mask = np.zeros(size, bool)
    mask[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
    return mask


def objects(*seen):
    """Return the objects of a frame; those with an empty mask are left out.

    Args:
      *seen: (track, code, mask) or (track, code, mask, score) each.
    """
    rows = [(*row, 1.0)[:4] for row in seen if row[2].any()]
    tracks, codes, masks, scores = zip(*rows) if rows else ((), (), (), ())
    masks = [encode_mask(mask) for mask in masks]
    return Objects(
        np.array(tracks, int), np.array(codes, int), masks, np.array(scores, float)
    )


def video(*frames):
    """Return the frames of a video, each with its true and its predicted objects.

    Args:
      *frames: (true, predicted) each, two lists of arguments of `objects`.
    """
    return [ComparedFrame(objects(*t), objects(*p)) for t, p in frames]


def random_frames(rng, frames=8, codes=(11, 18, 61)):
    """Draw frames of squares that drift, as arguments of `video`.

    True ones appear and vanish. Predicted ones jitter, are missed, swap their tracks
    and change their codes; some are made up.

    Args:
      rng: NumPy's random generator.
      frames: number of the frames.
      codes: codes of the objects' labels to draw from.
    """
    count = int(rng.integers(1, 5))
    place, drift = rng.integers(-4, 24, (count, 2)), rng.integers(-2, 3, (count, 2))
    birth, death = (
        rng.integers(0, frames // 2, count),
        rng.integers(frames // 2, frames + 1, count),
    )
    code, alias = rng.choice(codes, count), 10 + np.arange(count)
    made = []
    for t in range(frames):
        if count > 1 and rng.random() < 0.2:
            alias[:2] = alias[1::-1]
        if rng.random() < 0.1:
            alias[0] = 50 + t
        true, found = [], []
        for i in np.flatnonzero((birth <= t) & (t < death)):
            top, left = place[i] + t * drift[i]
            true.append((int(i), int(code[i]), square(top, left)))
            if rng.random() < 0.8:
                shift = rng.integers(-3, 4, 2)
                said = code[i] if rng.random() < 0.8 else rng.choice(codes)
                mask = square(top + shift[0], left + shift[1], int(rng.integers(6, 10)))
                found.append((int(alias[i]), int(said), mask, float(rng.random())))
        if rng.random() < 0.3:
            mask = square(*rng.integers(0, 20, 2), int(rng.integers(3, 9)))
            found.append((90, int(rng.choice(codes)), mask, float(rng.random())))
        made.append((true, found))
    return made


def random_videos(seed):
    """Return the two videos of a random case.

    Args:
      seed: seed of the case.
    """
    rng = np.random.default_rng(seed)
    return [video(*random_frames(rng)) for _ in range(2)]
