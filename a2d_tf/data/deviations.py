"""How large RGB and flow of records are: their deviations over key frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.data.manifest import Manifest
from a2d_tf.data.read_records import read_records

if TYPE_CHECKING:
    from a2d_tf.data.clip_records import ClipTruth


class Deviations(NamedTuple):
    """Standard deviations over key frames: roots of the channels' mean variance.

    ImageNet's filters and norms expect RGB, and flow is many times smaller: hence
    --flow_scale.

    Attributes:
      rgb: in levels.
      flow: in pixels.
    """

    rgb: float
    flow: float


class Moments:
    """Sums the moments of key frames, each of which has the same weight."""

    def __init__(self) -> None:
        self._rgb: list[np.ndarray] = []
        self._flow: list[np.ndarray] = []

    def add(self, fields: dict[str, np.ndarray], scale: float = 1.0) -> None:
        """Add the only frame of a record.

        Args:
          fields: as of `clip_records.parse`, with one frame.
          scale: pixels of the flow's unit by those of the record.
        """
        self._rgb.append(_moments(fields["rgb"][0]))
        self._flow.append(_moments(fields["flow"][0] * scale))

    def deviations(self) -> Deviations:
        return Deviations(_deviation(self._rgb), _deviation(self._flow))


def _moments(image: np.ndarray) -> np.ndarray:
    """Return the mean and the mean square of each channel of an image: [2, C]."""
    values = image.reshape(-1, image.shape[-1]).astype(np.float64)
    return np.stack([values.mean(axis=0), np.square(values).mean(axis=0)])


def _deviation(moments_of_frames: Sequence[np.ndarray]) -> float:
    """Return the root of the channels' mean variance over frames."""
    mean, mean_square = np.mean(moments_of_frames, axis=0)
    variances = mean_square - np.square(mean)
    return float(np.sqrt(np.mean(variances)))


def canvas_scale(truth: ClipTruth, canvas: tuple[int, int]) -> float:
    """Return the pixels of the canvas by those of a record."""
    return min(canvas[0] / truth.size[0], canvas[1] / truth.size[1])


def sample_deviations(
    manifest: Manifest, canvas: tuple[int, int] | None = None, most: int = 256
) -> Deviations:
    """Return the deviations of some of the training split's key frames.

    Args:
      canvas: the network's (height, width), in whose pixels the flow counts; by default
        it counts in those of the stored frames.
      most: about the number of records that are decoded, evenly over the split.

    Raises:
      InputError: no training split, or a damaged shard.
    """
    every = -(-manifest.counts["train"]["records"] // most)
    moments = Moments()
    for record in read_records(manifest, ["train"], decode=True, frames=1, every=every):
        scale = 1.0
        if canvas is not None:
            scale = canvas_scale(record.truth, canvas)
        moments.add(record.fields, scale)
    return moments.deviations()


def describe_flow(deviations: Deviations, flow_scale: float, rgb_scale: float) -> str:
    """Describe how large the flow is beside RGB, as a network sees both.

    Args:
      flow_scale: factor on the flow in pixels.
      rgb_scale: what the weights divide mean-free levels by.
    """
    if not deviations.flow:
        return "flow beside RGB: nothing moves in the key frames"
    ratio = deviations.flow * flow_scale / (deviations.rgb / rgb_scale)
    return (
        f"flow beside RGB: r = {ratio:.2g} with --flow_scale={flow_scale:g}, of a"
        f" deviation of {deviations.flow:.2g} pixels; frozen batch norm is best at 1"
        " (docs/training.md, flow beside RGB)"
    )
