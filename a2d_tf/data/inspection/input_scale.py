"""Magnitude of flow relative to RGB in records, for the choice of --flow_scale.

A motion backbone with ImageNet's weights has filters, and frozen norms, for photographs, but flow
in pixels is many times smaller than mean-subtracted RGB.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class InputScale:
    """Running moments of RGB and flow over the key frames of records."""

    def __init__(self) -> None:
        self._moments = {name: np.zeros((3, size)) for name, size in (("rgb", 3), ("flow", 2))}

    def add(self, rgb: np.ndarray, flow: np.ndarray) -> None:
        """Add a key frame: RGB 0..255 [h, w, 3] and flow (u, v) in pixels [h, w, 2]."""
        for name, image in (("rgb", rgb), ("flow", flow)):
            values = np.reshape(image, (-1, image.shape[-1])).astype(np.float64)
            self._moments[name] += [
                np.full(values.shape[1], len(values)),
                values.sum(axis=0),
                np.square(values).sum(axis=0),
            ]

    def deviation(self, name: str) -> float:
        """Return the standard deviation of 'rgb' or 'flow', with the channels' mean variance."""
        count, total, squares = self._moments[name]
        return float(np.sqrt(np.mean(squares / count - np.square(total / count))))

    def ratio(self, flow_scale: float = 1.0, rgb_std: float = 1.0) -> float:
        """Return std(flow * flow_scale) / std(mean-subtracted RGB / rgb_std).

        Args:
          flow_scale: the network's --flow_scale.
          rgb_std: divisor of RGB in the flavour of the weights; see `model.flavours`.
        """
        return flow_scale * self.deviation("flow") / (self.deviation("rgb") / rgb_std)

    def text(self, divisors: Mapping[str, float]) -> list[str]:
        """Format the scales for weights with the given divisors of RGB, {name: divisor}.

        There are no lines without key frames, or if all are constant.
        """
        if not self._moments["rgb"][0].any():
            return []
        rgb, flow = self.deviation("rgb"), self.deviation("flow")
        if not rgb or not flow:
            return []
        ratios = [f"{self.ratio(1.0, std):.3g} ({name})" for name, std in divisors.items()]
        return [
            f"inputs: standard deviation {rgb:.1f} of RGB, {flow:.2f} px of flow",
            f"  their ratio at --flow_scale=1, as weights want RGB: {', '.join(ratios)}",
        ]
