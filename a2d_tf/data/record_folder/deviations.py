"""Standard deviations of RGB and flow in the key frames of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records

if TYPE_CHECKING:
    from a2d_tf.data.clip_records import ClipTruth


class Deviations(NamedTuple):
    """Standard deviations of RGB and flow over key frames, which set `--flow_scale`.

    Each is the root of the channels' mean variance. Filters that were trained on
    ImageNet expect the deviation of RGB, which is many times that of flow; the setting
    --flow_scale makes up for this.

    Attributes:
      rgb: deviation of RGB, in levels from 0 to 255.
      flow: deviation of flow, in pixels.
    """

    rgb: float
    flow: float


class Moments:
    """Collects means and mean squares of key frames, and computes deviations from them.

    Each key frame has the same weight, whatever its size. `add` each, then read
    `deviations`.
    """

    def __init__(self) -> None:
        self._rgb: list[np.ndarray] = []
        self._flow: list[np.ndarray] = []

    def add(self, fields: dict[str, np.ndarray], scale: float = 1.0) -> None:
        """Add a key frame with its flow.

        Args:
          fields: fields of a record as `clip_records.parse` returns them for one frame,
            as arrays; `rgb` and `flow` are used.
          scale: factor that converts flow from pixels of the record to the wanted unit.
        """
        self._rgb.append(_moments(fields["rgb"][0]))
        self._flow.append(_moments(fields["flow"][0] * scale))

    def deviations(self) -> Deviations:
        """Return the deviations over all key frames that were added, one or more."""
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
    """Return the factor from pixels of a record to pixels of the network's canvas.

    Args:
      truth: ground truth of the record, which has the size of its stored frames.
      canvas: (height, width) of the network's input, pixels.
    """
    return min(canvas[0] / truth.size[0], canvas[1] / truth.size[1])


def sample_deviations(
    manifest: Manifest, canvas: tuple[int, int] | None = None, most: int = 256
) -> Deviations:
    """Measure the deviations of RGB and flow in some key frames of the training split.

    Args:
      manifest: manifest of the records.
      canvas: (height, width) of the network's input, in whose pixels flow is measured;
        None to measure it in pixels of the stored frames.
      most: about how many records are decoded, spread evenly over the split.

    Raises:
      InputError: there is no training split, or a shard is damaged.
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
    """Describe in a line how large flow is beside RGB, as the network sees them.

    Args:
      deviations: standard deviations of the records' flow, in pixels, and RGB.
      flow_scale: the setting --flow_scale, the factor by which flow enters the network.
      rgb_scale: number by which the network divides RGB, as its pretrained weights
        need.
    """
    if not deviations.flow:
        return "flow beside RGB: nothing moves in the key frames"
    ratio = deviations.flow * flow_scale / (deviations.rgb / rgb_scale)
    return (
        f"flow beside RGB: r = {ratio:.2g} with --flow_scale={flow_scale:g}, of a"
        f" deviation of {deviations.flow:.2g} pixels; frozen batch norm is best at 1"
        " (docs/training.md, flow beside RGB)"
    )
