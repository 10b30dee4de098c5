"""Compare two codings of the same videos, bout by bout and frame by frame.

The first coding is that of a person; the second one is a prediction, or that of another
person. In names and figures, "coded" is the first one, "predicted" the second one.
"""

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
"""{action: its bouts in a video, those of all individuals together}."""

_OF_SPLIT = {
    TRAINED: " that the model was trained on, which says little about others",
    HELD_OUT: " held out of the training",
    NEW: " that nobody annotated for the model",
}


@dataclasses.dataclass
class _ActionCounts:
    """The coded, predicted and agreed amounts of one action.

    Attributes:
      seconds: counts of seconds.
      bouts: counts of bouts.
    """

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
    """How far two codings agree; its fields are those of the file of metrics.

    Attributes:
      videos: the names of the coded videos.
      left_out: the coded behaviours that the network does not know.
      not_coded: the predicted actions that are coded in no video.
      actions: {action: figures}: "agreed_seconds", "coded_seconds",
        "predicted_seconds", "f1_seconds", and likewise for "bouts"; an F1 is in
        percent, None if the action is not coded.
      bouts: {coded action that the network knows: {"precision", "recall", "f1"}}, of
        its bouts, in percent.
      frames: the figures of single frames for these actions, as `FrameCounts.figures`
        returns them.
      splits: {"trained", "held out" or "new", see `video_splits`: the comparison of the
        videos that are this to the model}; empty if it is unknown of all videos.
    """

    videos: list[str]
    left_out: list[str]
    not_coded: list[str]
    actions: dict[str, dict[str, Any]]
    bouts: dict[str, dict[str, Any]]
    frames: dict[str, Any]
    splits: dict[str, Comparison] = dataclasses.field(default_factory=dict)

    def frame_table(self) -> Table:
        """Make a table of frames and bouts, with a row for each coded action.

        Its columns are precision, recall, F1 and kappa of frames, and precision and
        recall of bouts.
        """
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
        """Make the tables of all figures.

        If it is known of each video whether the model was trained on it, there are
        tables for the videos trained on, held out and new, and none for all together.

        Args:
          second: the word for the second coding in headings, such as "predicted".
        """
        tables = []
        known = sum(len(comparison.videos) for comparison in self.splits.values())
        if known < len(self.videos):  # the splits of some videos are unknown
            tables = [self.table(second), self.frame_table()]
        for split, comparison in self.splits.items():
            tables.append(comparison.table(second, _OF_SPLIT[split]))
            tables.append(comparison.frame_table())
        return tables

    def table(self, second: str = "predicted", which: str = "") -> Table:
        """Make a table of seconds and bouts, with a row for each action.

        Args:
          second: the word for the second coding in headings, such as "predicted".
          which: words at the end of the title that say which videos these are.
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
    """A video with two codings.

    Attributes:
      name: the name of the video.
      coded: the bouts of the first coding, by action.
      predicted: the bouts of the second coding, by action; they are within `limits`.
      limits: the part of the video that counts.
      fps: frames per second.
      split: "trained", "held out" or "new": whether the model learned from the video,
        was scored there, or neither; None if that is unknown.
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
    """Compare two codings of all videos, and of those trained on, held out and new.

    Args:
      videos: the videos with both codings.
      actions: the actions that the second coding may have.
      behaviours: the behaviours of the first coding.

    Returns:
      the comparison of all videos, with those of `splits` filled in.
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
    """Compare two codings of videos, without regard to what the model learned from.

    Args:
      videos: the videos with both codings.
      actions: the actions that the second coding may have.
      behaviours: the behaviours of the first coding.
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
