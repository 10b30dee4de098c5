"""Actors, actions and pairs of records that are too rare to be learned, or to be scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.inspection.summary import Summary

FEW_VIDEOS = 3
FEW_INSTANCES = 10
_NAMED = 12  # labels of a line


@dataclasses.dataclass(frozen=True)
class Presence:
    """How often a label occurs.

    Attributes:
      kind: 'actor', 'action' or 'pair'.
      name: of the label.
      instances: of it in the training split; videos: those that show any.
      tested: its instances in the test split.
    """

    kind: str
    name: str
    instances: int
    videos: int
    tested: int

    @property
    def rare(self) -> bool:
        """Whether it is in training, but in fewer than FEW_VIDEOS or FEW_INSTANCES."""
        return 0 < self.instances and (self.videos < FEW_VIDEOS or self.instances < FEW_INSTANCES)

    def __str__(self) -> str:
        videos = "1 video" if self.videos == 1 else f"{self.videos} videos"
        return f"{self.name} ({self.instances} in {videos})"


def presences(summaries: Mapping[str, Summary], label_space: LabelSpace) -> list[Presence]:
    """Count every actor, action and valid pair; `summaries` is {split: Summary}."""
    train, test = (summaries.get(split, Summary()) for split in ("train", "test"))

    def presence(kind, name, codes):
        return Presence(
            kind,
            name,
            sum(train.pairs[code] for code in codes),
            len(set().union(*(train.pair_videos.get(code, ()) for code in codes))),
            sum(test.pairs[code] for code in codes),
        )

    codes, base = label_space.codes, label_space.base
    found = []
    for i, name in enumerate(label_space.actors, 1):
        found.append(presence("actor", name, [code for code in codes if code // base == i]))
    for i, name in enumerate(label_space.actions, 1):
        found.append(presence("action", name, [code for code in codes if code % base == i]))
    return found + [presence("pair", label_space.name(code), [code]) for code in codes]


def text(found: list[Presence], tested: bool) -> list[str]:
    """Say in sentences which labels are absent or too rare; none where all is well.

    Args:
      found: of `presences`.
      tested: whether the records have a test split.
    """
    lines = []
    for kind in ("actor", "action", "pair"):
        labels = [label for label in found if label.kind == kind]
        rare = sorted((x for x in labels if x.rare), key=lambda x: (x.videos, x.instances))
        absent = [label.name for label in labels if not label.instances]
        unscored = [label.name for label in labels if label.instances and not label.tested]
        if rare:
            lines.append(
                f"too rare to learn, {kind}s in fewer than {FEW_VIDEOS} training videos or with "
                f"fewer than {FEW_INSTANCES} instances: {_listed(list(map(str, rare)))}"
            )
        if absent:
            lines.append(
                f"never learned, {kind}s without an instance in training: {_listed(absent)}; "
                "annotate some, or leave them out of the labels"
            )
        if tested and unscored:
            lines.append(
                f"not measured, {kind}s without an instance in the test split, each an AP of 0 in "
                f"the mAP: {_listed(unscored)}"
            )
    return lines if tested else [*lines, "no test split: nothing will say how well it works"]


def _listed(names):
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
