"""Scores and confusions of each actor, action and pair of a user's own labels.

Own labels are any other than those of A2D. Instances count frame by frame, without
tracks, if their p(actor) reaches the threshold; `object_matching` says when they find a
true one.

For a confusion, a true instance is compared with a single instance: the best-scoring
one of those whose box has an IoU of 0.5 or more with its own box.
"""

from __future__ import annotations

import collections
import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.boxes.box_matching import MATCH_IOU, iou
from a2d_tf.evaluation.metrics.metric import INSTANCES, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.evaluation.own_labels import object_matching, sentences
from a2d_tf.evaluation.own_labels.object_matching import (
    ObjectCounts,
    PredictedObjects,
    TrueObjects,
)
from a2d_tf.evaluation.own_labels.object_scores import pairs_of_metrics

if TYPE_CHECKING:
    from a2d_tf.evaluation.frames.evaluated_frames import Frame

_FIGURES = ("ap", "iou")
_COLUMNS = {"frames": "frames", "ap": "AP", "iou": "IoU"}
_WORST = 2  # confusions of two classes in the notes


class _KeptFrame(NamedTuple):
    """A frame with T true instances and N predicted ones, the best first.

    Attributes:
      name: the name of the frame, `<VID>/<frame>`.
      true_codes: int [T], the codes of the true instances.
      codes: int [N], the codes of the predicted instances.
      scores: float [N], p(actor) of the predicted instances.
      near: bool [T, N], whether the boxes of a true and a predicted instance have an
        IoU of 0.5 or more.
      ious: float [N, T], the IoU of a predicted and a true instance: of the masks, or
        of the boxes if the true instance has no mask.
    """

    name: str
    true_codes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    near: np.ndarray
    ious: np.ndarray


class _Class(NamedTuple):
    """A class: an actor, an action or a pair.

    Attributes:
      kind: "actor", "action" or "pair".
      number: the number of the actor or action, from 1, or the code of the pair.
    """

    kind: str
    number: int


@dataclasses.dataclass
class _Totals:
    """Counts over all frames.

    Attributes:
      frames: {class: number of frames that show it}.
      confusions: {(class, number of the class that it is taken for): number of frames};
        that number is 0 if the instance is not found.
      objects: the counts of true, found and predicted objects.
    """

    frames: Counter = dataclasses.field(default_factory=Counter)
    confusions: Counter = dataclasses.field(default_factory=Counter)
    objects: ObjectCounts = dataclasses.field(default_factory=ObjectCounts)


class _Confusion(NamedTuple):
    """Two classes that are confused, an entry of "confusions".

    Attributes:
      name: the name of the true class.
      taken_for: the name of the class that it is taken for; None if it is not found.
      percent: the percentage of the frames with the true class in which this happens.
    """

    name: str
    taken_for: str | None
    percent: float


class Behaviours(Metric):
    """How well each actor, action and pair of a user's own labels is found.

    Each has the number of its frames, its AP, and its IoU in the label maps, if a frame
    has a complete one. Pairs also have counts of instances, and there are lists of what
    is confused with what. With A2D's labels the metric has no result.
    """

    section = ""  # a chart for each name would hide the others
    needs = (INSTANCES,)
    reads = (
        "per_actor_ap",
        "per_action_ap",
        "per_pair_ap",
        "per_actor_iou",
        "per_action_iou",
        "per_pair_iou",
    )
    validates = True

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        self._frames: list[_KeptFrame] = []

    def update(self, frame: Frame) -> None:
        """Keep the labels of a frame and the overlaps of its instances, for `result`.

        Overlaps are the IoUs of predicted instances with true ones.
        """
        if self.labels == A2D:
            return
        truth = frame.truth
        instances = frame.instances
        near = iou(truth.boxes[:, None], instances.boxes) >= MATCH_IOU
        masks = frame.rles if truth.has_mask.any() else []
        ious = object_matching.overlaps(
            TrueObjects(truth.codes, truth.boxes, truth.has_mask, truth.rles),
            PredictedObjects(instances.code, instances.boxes, masks),
        )
        self._frames.append(
            _KeptFrame(
                name=truth.name,
                true_codes=truth.codes,
                codes=instances.code,
                scores=instances.class_scores,
                near=near,
                ious=ious,
            )
        )

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return the figures of each class, their means, confusions, and mistakes.

        Returns:
          a dict, empty with A2D's labels:

          - "behaviours": {"actor NAME", "action NAME", or the name of a pair: its
            figures}, these are "frames" (number of frames that show it), "ap" and "iou"
            in percent; of a pair also the fields of `PairScores.to_json`: "videos",
            true "instances", those "found", predicted ones ("findings")
          - "tested": {"actors", "actions", "pairs": {"classes": number of classes with
            true instances, "ap" and "iou": means over these}}
          - "confusions": [[name of a true class, name of the class that it is taken
            for, or None if it is not found, percentage of the frames with the true
            class in which this happens]], the highest percentage first
          - "mistakes": {name of a frame: [[true code, predicted code]]}, see
            `MatchedFrame`; one of the codes is 0 for a miss or a false alarm
        """
        if not self._frames:
            return {}
        totals = self._totals(split.threshold)
        names = _class_names(self.labels)
        rows = {}
        tested = collections.defaultdict(list)
        for key, name in names.items():
            row = self._row(key, totals, earlier)
            if row["frames"]:
                tested[f"{key.kind}s"].append(row)
            if key.kind == "pair":
                rows[name] = row
            else:
                rows[f"{key.kind} {name}"] = row
        confusions = []
        for (key, other), count in totals.confusions.items():
            percent = 100 * count / totals.frames[key]
            other_name = names.get(_Class(key.kind, other))
            confusions.append(_Confusion(names[key], other_name, percent))
        confusions.sort(key=lambda confusion: -confusion.percent)
        return {
            "behaviours": rows,
            "tested": {kinds: _means(of_kind) for kinds, of_kind in tested.items()},
            "confusions": [[*confusion] for confusion in confusions],
            "mistakes": totals.objects.mistakes,
        }

    def _row(
        self, key: _Class, totals: _Totals, earlier: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the figures of a class, a value of "behaviours" in `metrics.json`.

        Args:
          key: the class.
          totals: the counts over all frames.
          earlier: the entries of `metrics.json` with the AP and the IoU of each class.
        """
        frames = totals.frames[key]
        row: dict[str, Any] = {"frames": frames, **dict.fromkeys(_FIGURES)}
        if frames:
            for name in _FIGURES:
                by_number = earlier.get(f"per_{key.kind}_{name}", {})
                row[name] = by_number.get(str(key.number))
        if key.kind == "pair":
            row.update(totals.objects.pair(key.number, self.labels).to_json())
        return row

    def _totals(self, threshold: float) -> _Totals:
        """Count the instances of all frames that reach the threshold."""
        totals = _Totals()
        for frame in self._frames:
            counted = frame.scores >= np.float32(threshold)
            self._count_confusions(totals, frame, counted)
            matched = object_matching.match_frame(
                frame.true_codes, frame.codes[counted], frame.ious[counted]
            )
            totals.objects.add(frame.name, frame.true_codes, matched)
        return totals

    def _count_confusions(
        self, totals: _Totals, frame: _KeptFrame, counted: np.ndarray
    ) -> None:
        """Count the classes that a frame shows, and those that it confuses.

        Args:
          totals: the counts to add to.
          frame: the frame.
          counted: bool [N], whether each predicted instance reaches the threshold.
        """
        true_codes = set(frame.true_codes.tolist())
        totals.frames.update(_Class("pair", code) for code in true_codes)
        # The last column is background: the answer if no instance overlaps.
        background = np.ones(len(frame.true_codes), bool)
        near = np.column_stack([frame.near[:, counted], background])
        answers = np.append(frame.codes[counted], 0)[near.argmax(axis=1)]
        true_actors, true_actions = self.labels.split(frame.true_codes)
        actors, actions = self.labels.split(answers)
        _count_classes(totals, "actor", true_actors, actors)
        _count_classes(totals, "action", true_actions, actions)

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return a table of the classes that were tested.

        Sentences above it say how well each pair is found, notes below it name the
        worst confusions.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.
        """
        behaviours = metrics.get("behaviours")
        if not behaviours:
            return []
        frames_name = "frames" if metrics.get("in_tracks") else "single frames"
        pairs = pairs_of_metrics(metrics)
        lead = list(sentences.of_pairs(pairs, frames_name).values())
        untested = []
        tested = {}
        for name, row in behaviours.items():
            if row["frames"]:
                tested[name] = row
            elif "name" in row:
                untested.append(row["name"])
        if untested:
            lead.append(f"not tested (no test video): {', '.join(untested)}")
        columns = {}
        for name, heading in _COLUMNS.items():
            if any(row[name] is not None for row in tested.values()):
                columns[name] = heading
        for kinds, mean in metrics.get("tested", {}).items():
            tested[f"mean of {mean['classes']} {kinds} tested"] = mean
        title = (
            "Who does what in single frames, percent (AP of boxes by their scores, IoU"
            " of label maps)"
        )
        notes = _confusion_notes(metrics.get("confusions", []))
        return [Table(title, columns, tested, notes=tuple(notes), lead=tuple(lead))]


def _class_names(labels: LabelSpace) -> dict[_Class, str]:
    """Return the name of each actor, action and valid pair."""
    names = {}
    for number, name in enumerate(labels.actors, 1):
        names[_Class("actor", number)] = name
    for number, name in enumerate(labels.actions, 1):
        names[_Class("action", number)] = name
    for code in labels.codes:
        names[_Class("pair", code)] = labels.name(code)
    return names


def _count_classes(
    totals: _Totals, kind: str, true_numbers: np.ndarray, numbers: np.ndarray
) -> None:
    """Count a frame for each of its classes, and for each two classes it confuses.

    An action is not confused with background, because the actor's confusion says so
    already.

    Args:
      totals: the counts to add to.
      kind: "actor" or "action".
      true_numbers: int [T], the class of each true instance.
      numbers: int [T], the class that each true instance is taken for, 0 for
        background.
    """
    totals.frames.update(_Class(kind, number) for number in set(true_numbers.tolist()))
    for true_number, number in set(zip(true_numbers.tolist(), numbers.tolist())):
        if true_number != number and (number or kind == "actor"):
            totals.confusions[_Class(kind, true_number), number] += 1


def _confusion_notes(confusions: Iterable[Sequence]) -> list[str]:
    """Return sentences of the worst confusions of two classes, and the worst miss."""
    taken = []
    missed = []
    for entry in confusions:
        confusion = _Confusion(*entry)
        share = f"in {confusion.percent:.0f} % of frames"
        if confusion.taken_for:
            taken.append(f"{confusion.name} taken for {confusion.taken_for} {share}")
        else:
            missed.append(f"{confusion.name} not found {share}")
    return taken[:_WORST] + missed[:1]


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the number of rows, and the mean of each figure, None if none has it."""
    means: dict[str, Any] = {"classes": len(rows)}
    for name in _FIGURES:
        values = [row[name] for row in rows if row[name] is not None]
        means[name] = sum(values) / len(values) if values else None
    return means
