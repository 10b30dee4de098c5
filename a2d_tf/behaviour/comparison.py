"""Two codings of the same videos, compared bout by bout and frame by frame."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from a2d_tf.behaviour import spans
from a2d_tf.behaviour.frame_agreement import FrameCounts
from a2d_tf.behaviour.spans import TimeSpan
from a2d_tf.core.counts import Counts
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.runs.video_splits import HELD_OUT, NEW, SPLITS, TRAINED

SpansByAction = dict[str, list[TimeSpan]]
"""Action -> its bouts of all individuals of a video."""

_OF_SPLIT = {
    TRAINED: " that the model was trained on, which says little about others",
    HELD_OUT: " held out of the training",
    NEW: " that nobody annotated for the model",
}


@dataclasses.dataclass
class _ActionCounts:
    """How much of an action was coded and predicted, in seconds and in bouts."""

    seconds: Counts = Counts()
    bouts: Counts = Counts()

    def add(self, coded: Sequence[TimeSpan], predicted: Sequence[TimeSpan]) -> None:
        """Add the bouts of a video."""
        self.seconds += Counts(
            annotated=spans.total_seconds(coded),
            right=spans.agreed_seconds(coded, predicted),
            predicted=spans.total_seconds(predicted),
        )
        self.bouts += Counts(
            annotated=len(coded),
            right=spans.count_matches(coded, predicted),
            predicted=len(predicted),
        )

    def figures(self, is_coded: bool) -> dict[str, Any]:
        """Return {figure: value}; the F1, in percent, are None if it is not coded."""
        figures: dict[str, Any] = {}
        for unit, counts in (("seconds", self.seconds), ("bouts", self.bouts)):
            figures[f"agreed_{unit}"] = counts.right
            figures[f"coded_{unit}"] = counts.annotated
            figures[f"predicted_{unit}"] = counts.predicted
            figures[f"f1_{unit}"] = counts.f1 if is_coded else None
        return figures


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` says; its fields are those of the metrics file.

    Attributes:
      videos: names of the coded videos.
      left_out: coded behaviours that the network does not know.
      not_coded: predicted ones that no video has in BORIS.
      actions: {action: {figure: value}}: coded, predicted and agreed seconds and bouts,
        and their F1 in percent, None of what is not coded.
      bouts: {coded action: {figure: value}}: precision, recall and F1 of its bouts.
      frames: of `FrameCounts.figures`, of the coded actions.
      splits: {what videos were to the model: the comparison of these}, of
        `video_splits.SPLITS`; empty if nobody says.
    """

    videos: list[str]
    left_out: list[str]
    not_coded: list[str]
    actions: dict[str, dict[str, Any]]
    bouts: dict[str, dict[str, Any]]
    frames: dict[str, Any]
    splits: dict[str, Comparison] = dataclasses.field(default_factory=dict)

    def frame_table(self) -> Table:
        """Return precision, recall, F1 and kappa of frames, and those of bouts."""
        rows = {}
        for action, figures in self.frames["actions"].items():
            rows[action] = {**figures, "kappa": _percent(figures["kappa"])}
            for name, value in self.bouts[action].items():
                rows[action][f"{name}_bouts"] = value
        rows["all"] = {"kappa": _percent(self.frames["kappa"])}
        return Table(
            title=f"Frames ({self.frames['count']:.0f}) and bouts, percent",
            columns={
                "precision": "precision",
                "recall": "recall",
                "f1": "F1",
                "kappa": "100 kappa",
                "precision_bouts": "precision of bouts",
                "recall_bouts": "recall of bouts",
            },
            rows=rows,
        )

    def tables(self, second: str = "predicted") -> list[Table]:
        """Return all figures; those of several splits apart, not together.

        Args:
          second: says what the bouts beside the coded ones are.
        """
        tables = []
        known = sum(len(comparison.videos) for comparison in self.splits.values())
        if known < len(self.videos):  # of some nobody says
            tables = [self.table(second), self.frame_table()]
        for split, comparison in self.splits.items():
            tables.append(comparison.table(second, _OF_SPLIT[split]))
            tables.append(comparison.frame_table())
        return tables

    def table(self, second: str = "predicted", which: str = "") -> Table:
        """Return the figures of bouts.

        Args:
          second: as of `tables`.
          which: says of which videos.
        """
        notes = []
        if self.left_out:
            notes.append(f"not actions of the network: {', '.join(self.left_out)}")
        if self.not_coded:
            notes.append(f"not coded in BORIS: {', '.join(self.not_coded)}")
        return Table(
            title=(
                f"Bouts coded in BORIS and {second}, {len(self.videos)} videos{which}"
            ),
            columns={
                "coded_seconds": "coded seconds",
                "predicted_seconds": f"{second} seconds",
                "coded_bouts": "coded bouts",
                "predicted_bouts": f"{second} bouts",
                "f1_seconds": "F1 of seconds",
                "f1_bouts": "F1 of bouts",
            },
            rows=self.actions,
            notes=tuple(notes),
        )


class ComparedVideo(NamedTuple):
    """A video with two codings, the second one of a prediction or of a coder.

    Attributes:
      split: of `video_splits.SPLITS`, what it was to a model; None if nobody says.
      limits: the part that counts; bouts of the second coding are within it.
      fps: frames a second.
    """

    name: str
    coded: SpansByAction
    predicted: SpansByAction
    limits: TimeSpan
    fps: float
    split: str | None = None


def compare_splits(
    videos: Sequence[ComparedVideo], actions: set[str], behaviours: set[str]
) -> Comparison:
    """Compare two codings of videos, in all and of each split.

    Args are those of `compare_videos`.
    """
    splits = {}
    for split in SPLITS:
        of_split = [video for video in videos if video.split == split]
        if of_split:
            splits[split] = compare_videos(of_split, actions, behaviours)
    comparison = compare_videos(videos, actions, behaviours)
    return dataclasses.replace(comparison, splits=splits)


def compare_videos(
    videos: Sequence[ComparedVideo], actions: set[str], behaviours: set[str]
) -> Comparison:
    """Compare two codings of videos.

    Args:
      actions: those that the second coding may have.
      behaviours: those of the first coding.
    """
    counts: dict[str, _ActionCounts] = collections.defaultdict(_ActionCounts)
    frames = FrameCounts.empty(sorted(actions & behaviours))
    for video in videos:
        for action in sorted(actions & (behaviours | set(video.predicted))):
            coded_spans = spans.cut(video.coded.get(action, ()), video.limits)
            counts[action].add(coded_spans, video.predicted.get(action, ()))
        frames.add(video.coded, video.predicted, video.limits, video.fps)
    figures = {}
    for action, of_action in counts.items():
        figures[action] = of_action.figures(is_coded=action in behaviours)
    bouts = {action: counts[action].bouts.figures() for action in frames.behaviours}
    return Comparison(
        videos=sorted(video.name for video in videos),
        left_out=sorted(behaviours - actions),
        not_coded=sorted(set(figures) - behaviours),
        actions=figures,
        bouts=bouts,
        frames=frames.figures(),
    )


def _percent(kappa: float | None) -> float | None:
    return None if kappa is None else 100 * kappa
