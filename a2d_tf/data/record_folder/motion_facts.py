"""Which motion maps (see `ops.motion_maps`) records have, or a network reads."""

from __future__ import annotations

import dataclasses
from typing import TypedDict

from a2d_tf.core.checked_json import one_of
from a2d_tf.ops import motion_maps

MOTION_KIND = {
    "action_backbone": one_of("", *motion_maps.BACKBONE_MAPS),
    "sha256": str,
    "flow_histograms": bool,
}
"""The kind of `MotionFacts` in a JSON file, see `check_json`."""


class MotionFields(TypedDict):
    """The fields of `MotionFacts` in a JSON file, with the same meanings."""

    action_backbone: str
    sha256: str
    flow_histograms: bool


@dataclasses.dataclass(frozen=True)
class MotionFacts:
    """Which motion maps records have, or a network reads.

    Attributes:
      action_backbone: name of the action backbone whose maps they are, such as 'i3d', a
        key of `motion_maps.BACKBONE_MAPS`; '' if there are none of its maps.
      sha256: digest of the backbone's published weights, hexadecimal; '' without a
        backbone.
      flow_histograms: whether there are flow histograms.
    """

    action_backbone: str
    sha256: str
    flow_histograms: bool

    @classmethod
    def from_fields(cls, fields: MotionFields) -> MotionFacts:
        """Convert the fields of a JSON file, {attribute: value}, to facts."""
        return cls(
            action_backbone=fields["action_backbone"],
            sha256=fields["sha256"],
            flow_histograms=fields["flow_histograms"],
        )


NO_MOTION = MotionFacts("", "", False)
