"""Scores and confusions of each actor, action and pair of a label space of a user's own.

A true instance is compared with one predicted instance: of those whose p(actor) reaches the
threshold and whose box has an IoU of 0.5 or more with its own, the one of the best score.
"""

from __future__ import annotations

import collections
from typing import Any

import numpy as np

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.metrics import INSTANCES, Metric, Split, Table
from a2d_tf.evaluation.metrics.detection import MATCH_IOU, iou

_COLUMNS = {"frames": "frames", "ap": "AP", "iou": "IoU"}
_WORST = 2  # confusions to tell of


class Behaviours(Metric):
    """Frames, AP and IoU of every actor, action and pair, and what is taken for what; not of A2D.

    The IoU is that of the label maps; it is absent where no frame has a complete one.
    """

    section, place = "", 9  # a chart for each name would hide the others
    needs, validates = (INSTANCES,), True

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self._frames: list[tuple] = []

    def update(self, frame: Any) -> None:
        """Keep the codes of a frame, and which instances, best first, lie on which true ones."""
        truth, found = frame.truth, frame.instances
        if self.split.labels != A2D:
            near = iou(truth.boxes[:, None], found.boxes) >= MATCH_IOU
            self._frames.append((truth.codes, near, found.class_scores, found.code))

    def result(self) -> dict:
        """Return {"behaviours": {name: figures}, "confusions": [[name, name or None, percent]]}.

        A confusion is the percentage of the frames with the first name in which an instance of it
        is taken for the second, or is not found (None); the worst come first.
        """
        if not self._frames:
            return {}
        labels, metrics = self.split.labels, self.split.metrics
        shown, confused = self._counts()
        names = {("actor", i): name for i, name in enumerate(labels.actors, 1)}
        names |= {("action", i): name for i, name in enumerate(labels.actions, 1)}
        names |= {("pair", code): labels.name(code) for code in labels.codes}
        rows = {}
        for (kind, number), name in names.items():
            count = shown[kind, number]
            aps, ious = (metrics.get(f"per_{kind}_{of}", {}) for of in ("ap", "iou"))
            rows[name if kind == "pair" else f"{kind} {name}"] = {
                "frames": count,
                "ap": aps.get(str(number)) if count else None,
                "iou": ious.get(str(number)) if count else None,
            }
        worst = [
            [names[kind, true], names.get((kind, found)), 100 * count / shown[kind, true]]
            for (kind, true, found), count in confused.items()
        ]
        return {"behaviours": rows, "confusions": sorted(worst, key=lambda each: -each[2])}

    def _counts(self):
        """Return the frames of each (kind, class), and of each (kind, true, found class)."""
        shown: collections.Counter = collections.Counter()
        confused: collections.Counter = collections.Counter()
        for codes, near, scores, found in self._frames:
            chosen = scores >= np.float32(self.split.threshold)
            # The last column is background: the answer where no prediction overlaps.
            near = np.column_stack([near[:, chosen], np.ones(len(codes), bool)])
            answers = np.append(found[chosen], 0)[near.argmax(axis=1)]
            shown.update(("pair", code) for code in set(codes.tolist()))
            sides = map(self.split.labels.split, (codes, answers))
            for kind, true, taken in zip(("actor", "action"), *sides):
                shown.update((kind, each) for each in set(true.tolist()))
                both = set(zip(true.tolist(), taken.tolist()))
                confused.update((kind, a, b) for a, b in both if a != b and (b or kind == "actor"))
        return shown, confused

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return a table with the worst confusions and the actor that is missed most in words."""
        found = metrics.get("behaviours")
        if not found:
            return []
        columns = {
            name: heading
            for name, heading in _COLUMNS.items()
            if any(row[name] is not None for row in found.values())
        }
        taken = [each for each in metrics["confusions"] if each[1]][:_WORST]
        missed = [each for each in metrics["confusions"] if not each[1]][:1]
        notes = [
            f"{name} {f'taken for {other}' if other else 'not found'} in {percent:.0f} % of frames"
            for name, other, percent in (*taken, *missed)
        ]
        return [Table("Who does what, percent", columns, found, notes=tuple(notes))]
