"""Random inputs of the right form; no figure of a suite that takes them depends on the values."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def frames(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 [count, height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def boxes(
    count: int, height: int, width: int, least: float, *, most: float, seed: int = 0
) -> np.ndarray:
    """float32 [count, 4] inside the image, sides from `least` to `most`, small ones as likely."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(least), np.log(most), (count, 2)))
    sides = np.minimum(sides, (height, width))
    corner = rng.uniform(0, (height, width) - sides)
    return np.hstack([corner, corner + sides]).astype(np.float32)


def labelled(
    batch: int, length: int, height: int, width: int, *, instances: int, seed: int = 0
) -> dict[str, tf.Tensor]:
    """Clips with truth, in the form of `pipeline.training`; masks fill their boxes."""
    rng = np.random.default_rng(seed)
    sides = {"least": height / 8, "most": height / 2}
    truth = np.stack(
        [boxes(instances, height, width, **sides, seed=seed + i) for i in range(batch)]
    )
    masks = np.zeros((batch, instances, height, width), np.uint8)
    for mask, box in zip(masks.reshape(-1, height, width), truth.reshape(-1, 4)):
        y1, x1, y2, x2 = np.round(box).astype(int)
        mask[y1:y2, x1:x2] = 1
    flow = rng.normal(0, 2, (batch, length, height, width, 2)).astype(np.float32)
    made = {
        "rgb": frames(batch * length, height, width, seed).reshape(*flow.shape[:-1], 3),
        "flow": flow,
        "size": np.tile(np.int32([height, width]), (batch, 1)),
        "boxes": truth,
        "masks": masks,
        "actors": np.tile(np.arange(instances, dtype=np.int32) % 7, (batch, 1)),
        "actions": np.zeros((batch, instances), np.int32),
        "present": np.ones((batch, instances), bool),
        "annotated": np.ones(batch, bool),
        "row": np.arange(batch, dtype=np.int32),
    }
    return {name: tf.constant(value) for name, value in made.items()}
