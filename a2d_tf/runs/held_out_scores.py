"""How good a model is in videos that it has not learned from.

A model is a trained network, or a fit of labels to the features of given tracks. The
counts of a behaviour, an actor with an action, are numbers of objects in annotated
frames, or of coded seconds.

A run keeps these scores in `held_out.json`, an export as `held_out` in its
`a2d_tf.json`, and each prediction, without the names of videos, in `video.json`:

  {"videos": 3, "frames": 27, "unsure_below": 0.31,
   "behaviours": {"rider riding": {"objects": 10, "videos": 1, "right": 5,
                                   "predicted": 9,
                                   "taken_for": {"person walking": 1}}, ...},
   "before": {"rider riding": {"objects": 10, "right": 3, "predicted": 9}, ...},
   "folds": {"folds": 5, "videos": 12, "frames": 110, "behaviours": {...}},
   "trained_on": ["lucia", ...], "tested_on": ["hockey", ...]}

The scores of labels that were fitted to coded times are

  {"videos": 11, "seconds": 7.9, "right": 4.1, "unsure_below": 0.42,
   "behaviours": {"run": {"seconds": 1.8, "right": 1.2, "predicted": 2.4}, ...}}

The classes below describe these fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.counts import BehaviourCounts, Counts
from a2d_tf.runs.video_splits import HELD_OUT, NEW, TRAINED

_AMOUNT = number(0, 1e12)
_BEHAVIOURS = {
    str: {
        "objects?": _AMOUNT,
        "seconds?": _AMOUNT,
        "videos?": whole(),
        "right": _AMOUNT,
        "predicted": _AMOUNT,
        "taken_for?": {str: _AMOUNT},
    }
}
KIND = {
    "videos": whole(1),
    "frames?": whole(),
    "seconds?": _AMOUNT,
    "right?": _AMOUNT,
    "unsure_below?": (number(0, 1), None),
    "behaviours": _BEHAVIOURS,
    "before?": _BEHAVIOURS,
    "folds?": {
        "folds": whole(2),
        "videos": whole(1),
        "frames": whole(),
        "behaviours": _BEHAVIOURS,
    },
    "trained_on?": [str],
    "tested_on?": [str],
}
"""The fields of the JSON object of `HeldOutScores`, as a kind of `check_json`."""


@dataclasses.dataclass(frozen=True)
class TrackScores:
    """Annotated objects that predicted tracks find, in videos held out of a training.

    Attributes:
      videos: the number of these videos.
      frames: the number of their annotated frames.
      behaviours: the annotated, predicted and right objects of each behaviour.
      unit: "objects", what is counted.
    """

    videos: int
    frames: int
    behaviours: tuple[BehaviourCounts, ...]
    unit: ClassVar[str] = "objects"

    @property
    def total(self) -> Counts:
        """The annotated, predicted and right objects of all behaviours together."""
        return sum((behaviour.counts for behaviour in self.behaviours), Counts())

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> TrackScores:
        """Read the scores from a JSON object that `to_json` returned.

        Args:
          fields: the object, with "videos", "frames", "behaviours" and perhaps more.
        """
        behaviours = _behaviours_from_json(fields["behaviours"])
        return cls(fields["videos"], fields["frames"], behaviours)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object that `from_json` reads.

        Returns:
          {"videos", "frames": numbers, "behaviours": {name: {"objects": number of
          annotated ones, "right", "predicted", and if known "videos", "taken_for"}}}.
        """
        return {
            "videos": self.videos,
            "frames": self.frames,
            "behaviours": _behaviours_to_json(self.behaviours, self.unit),
        }


@dataclasses.dataclass(frozen=True)
class SecondsScores:
    """Coded seconds that are predicted right, each video by a fit to the other videos.

    Attributes:
      videos: the number of coded videos.
      seconds: the number of their coded seconds.
      right: the number of these whose predicted behaviour is the coded one.
      behaviours: the coded, predicted and right seconds of each behaviour.
      unit: "seconds", what is counted.
    """

    videos: int
    seconds: float
    right: float
    behaviours: tuple[BehaviourCounts, ...]
    unit: ClassVar[str] = "seconds"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> SecondsScores:
        """Read the scores from a JSON object that `to_json` returned.

        Args:
          fields: the object, with "videos" and "behaviours"; "seconds" and "right" are
            0 if they are missing.
        """
        return cls(
            videos=fields["videos"],
            seconds=fields.get("seconds", 0),
            right=fields.get("right", 0),
            behaviours=_behaviours_from_json(fields["behaviours"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object that `from_json` reads.

        Returns:
          {"videos", "seconds", "right": numbers, "behaviours": {name: {"seconds":
          number of coded ones, "right", "predicted", and if known "videos",
          "taken_for"}}}.
        """
        return {
            "videos": self.videos,
            "seconds": self.seconds,
            "right": self.right,
            "behaviours": _behaviours_to_json(self.behaviours, self.unit),
        }


@dataclasses.dataclass(frozen=True)
class CrossValidationScores:
    """The scores of a cross-validation: of further models with the same settings.

    Each of them was trained without the videos of one fold, and scored in these.

    Attributes:
      folds: the number of folds.
      tracks: the scores in the videos of all folds together.
    """

    folds: int
    tracks: TrackScores

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> CrossValidationScores:
        """Read the scores from a JSON object that `to_json` returned.

        Args:
          fields: the object, with "folds", "videos", "frames" and "behaviours".
        """
        return cls(fields["folds"], TrackScores.from_json(fields))

    def to_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object that `from_json` reads.

        Returns:
          {"folds": number of folds, and the fields of `TrackScores.to_json`}.
        """
        return {"folds": self.folds, **self.tracks.to_json()}


@dataclasses.dataclass(frozen=True)
class UnsureLimit:
    """The limit of scores below which a label is more likely wrong than right.

    `own_labels.unsure` computes it.

    Attributes:
      below: the limit, 0 to 1; None if too few labels were compared with the truth to
        compute it.
    """

    below: float | None


@dataclasses.dataclass(frozen=True)
class HeldOutScores:
    """All that a model keeps of how good its labels are in new videos.

    Attributes:
      scores: the scores in the held-out videos: of objects for a trained network, of
        coded seconds for a fit.
      unsure: the limit below which labels are unsure; None for models of earlier
        versions, which have none.
      before: the counts of objects, in the same frames, of the model whose weights this
        one started from (the round before); None without such a model.
      folds: the scores of a cross-validation; None without one.
      trained_on: the names of the videos that the model learned from; None if unknown.
      tested_on: the names of the held-out videos; None if unknown.
    """

    scores: TrackScores | SecondsScores
    unsure: UnsureLimit | None = None
    before: tuple[BehaviourCounts, ...] | None = None
    folds: CrossValidationScores | None = None
    trained_on: tuple[str, ...] | None = None
    tested_on: tuple[str, ...] | None = None

    @property
    def unsure_below(self) -> float | None:
        """The score below which a label is unsure; None if there is no such limit."""
        return None if self.unsure is None else self.unsure.below

    def split_of(self, video: str) -> str | None:
        """Say whether the model learned from a video, was scored there, or neither.

        Args:
          video: the name of the video, that of its file without suffix, or of its
            folder.

        Returns:
          "trained" if the model learned from the video, "held out" if it was scored
          there, else "new"; None if the names of the model's videos are unknown.
        """
        if video in (self.trained_on or ()):
            return TRAINED
        if video in (self.tested_on or ()):
            return HELD_OUT
        return None if self.trained_on is None else NEW

    def without_names(self) -> HeldOutScores:
        """Return the scores without the names of videos, for files of predictions."""
        return dataclasses.replace(self, trained_on=None, tested_on=None)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> HeldOutScores:
        """Read the scores from a JSON object, such as that of `held_out.json`.

        Args:
          fields: the JSON object, checked against KIND. The scores are of objects if it
            has "frames", else of seconds.
        """
        scores: TrackScores | SecondsScores
        if "frames" in fields:
            scores = TrackScores.from_json(fields)
        else:
            scores = SecondsScores.from_json(fields)
        unsure = None
        if "unsure_below" in fields:
            unsure = UnsureLimit(fields["unsure_below"])
        before = None
        if "before" in fields:
            before = _behaviours_from_json(fields["before"])
        folds = None
        if "folds" in fields:
            folds = CrossValidationScores.from_json(fields["folds"])
        return cls(
            scores,
            unsure,
            before,
            folds,
            trained_on=_names_from_json(fields, "trained_on"),
            tested_on=_names_from_json(fields, "tested_on"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object that `from_json` reads.

        Returns:
          the fields of `scores`, and if known "unsure_below", "trained_on",
          "tested_on", "before" and "folds".
        """
        fields = self.scores.to_json()
        if self.unsure is not None:
            fields["unsure_below"] = self.unsure.below
        if self.trained_on is not None:
            fields["trained_on"] = list(self.trained_on)
        if self.tested_on is not None:
            fields["tested_on"] = list(self.tested_on)
        if self.before is not None:
            fields["before"] = _behaviours_to_json(self.before, TrackScores.unit)
        if self.folds is not None:
            fields["folds"] = self.folds.to_json()
        return fields


def video_facts(scores: HeldOutScores, video: str) -> dict[str, Any]:
    """Return the fields of a prediction's `video.json` on how good the model is.

    Args:
      scores: the model's scores in held-out videos.
      video: the name of the predicted video, that of its file without suffix, or of its
        folder.

    Returns:
      {"held_out": the scores as a JSON object, without the names of videos; "split":
      "trained", "held out" or "new", see `HeldOutScores.split_of`, absent if unknown}.
    """
    facts: dict[str, Any] = {"held_out": scores.without_names().to_json()}
    split = scores.split_of(video)
    if split is not None:
        facts["split"] = split
    return facts


def _behaviours_from_json(
    rows: Mapping[str, Mapping[str, Any]],
) -> tuple[BehaviourCounts, ...]:
    """Return the counts in "behaviours" or "before", in the order of the JSON."""
    behaviours = []
    for name, row in rows.items():
        annotated = row.get("objects", row.get("seconds", 0))
        counts = Counts(annotated, row["right"], row["predicted"])
        behaviours.append(
            BehaviourCounts(name, counts, row.get("videos"), row.get("taken_for"))
        )
    return tuple(behaviours)


def _behaviours_to_json(
    behaviours: Iterable[BehaviourCounts], unit: str
) -> dict[str, dict[str, Any]]:
    """Return the JSON object that `_behaviours_from_json` reads.

    Args:
      behaviours: the counts of each behaviour.
      unit: what is counted, "objects" or "seconds".
    """
    rows = {}
    for behaviour in behaviours:
        row: dict[str, Any] = {unit: behaviour.counts.annotated}
        if behaviour.videos is not None:
            row["videos"] = behaviour.videos
        row["right"] = behaviour.counts.right
        row["predicted"] = behaviour.counts.predicted
        if behaviour.taken_for is not None:
            row["taken_for"] = dict(behaviour.taken_for)
        rows[behaviour.name] = row
    return rows


def _names_from_json(fields: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Return a list of names of videos; None if the fields lack it."""
    return tuple(fields[name]) if name in fields else None
