"""The ground truth of a frame, from any source."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The ground truth of one frame, at the size of the video.

    A code is the number of an actor-action pair, see `LabelSpace`.

    Attributes:
      label_map: code of each pixel [H, W], in the label space's `code_dtype`; 0 is
        background. An instance without a mask is not in it.
      masks: bool [N, H, W], the instances' masks, which may overlap. The mask of an
        instance with a box alone has no pixels.
      codes: int32 [N], code of each instance.
      boxes: float32 [N, 4] (y1, x1, y2, x2), pixels from 0, inside the frame; the row
        y2 and the column x2 lie outside the instance.
      note: description of repairs; empty if there were none.
      tracks: int64 [N], number of each instance's individual in its video, -1 if
        unknown; None if the source has no such numbers.
      fields: {name in `instance_fields.FIELDS`: [N, ...]}, the further labels that the
        source has.
    """

    label_map: np.ndarray
    masks: np.ndarray
    codes: np.ndarray
    boxes: np.ndarray
    note: str = ""
    tracks: np.ndarray | None = None
    fields: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def has_mask(self) -> np.ndarray:
        """Whether each instance has a mask, bool [N]."""
        return self.masks.any(axis=(1, 2))


def paint(
    masks: np.ndarray, codes: Sequence[int] | np.ndarray, dtype: type
) -> np.ndarray:
    """Paint a label map from masks; smaller instances cover larger ones.

    Args:
      masks: masks of the instances, bool [N, H, W].
      codes: number of each instance's actor-action pair [N], see `LabelSpace`.
      dtype: type of the label map, `LabelSpace.code_dtype`.

    Returns:
      code of each pixel [H, W], 0 for background.
    """
    label_map: np.ndarray = np.zeros(masks.shape[1:], dtype)
    for i in np.argsort(-masks.sum(axis=(1, 2)), kind="stable"):
        label_map[masks[i]] = codes[i]
    return label_map
