"""How well behaviours are told in coded seconds, in words and as a table.

Each coded instance has a prediction by a fit that has not seen its video.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from a2d_tf.core.files import write_bytes, write_csv, write_json

NOTE = (
    "each coded video was scored by a fit without it, whose labels its page shows (the"
    " weights follow exactly from the fit to all; scales and shares of features are"
    " those of all)"
)
_ENOUGH_SECONDS = 20.0
_ENOUGH_VIDEOS = 3
_SEEN_FIRST = 5  # videos that are named
_COLUMNS = ("behaviour", "coded", "predicted", "right", "videos")


@dataclasses.dataclass(frozen=True)
class BehaviourSeconds:
    """The seconds of a behaviour in videos that were left out of the fit.

    Attributes:
      name: of the behaviour.
      coded: its coded seconds.
      predicted: seconds in which it was predicted.
      right: seconds of both.
      videos: number of the videos in which it was coded.
      confused: {other behaviour: coded seconds of this one that were taken for it}.
    """

    name: str
    coded: float
    predicted: float
    right: float
    videos: int
    confused: dict[str, float]

    def sentence(self) -> str:
        """Say how well it was found."""
        if self.videos == 1:
            return (
                f"{self.name}: {_seconds(self.coded)} seconds of one video, which"
                " nothing tells once that is left out; code it in another"
            )
        text = (
            f"{self.name}: found in {_seconds(self.right)} of"
            f" {_seconds(self.coded)} coded seconds"
        )
        if self.predicted:
            text += (
                f"; of {_seconds(self.predicted)} predicted {_seconds(self.right)} are"
                " right"
            )
        text += f"; in {self.videos} videos left out"
        if self.confused:
            other = max(self.confused, key=lambda name: self.confused[name])
            if self.confused[other] >= 0.1 * self.coded:
                text += f"; {_seconds(self.confused[other])} were taken for {other}"
        return text


@dataclasses.dataclass(frozen=True)
class VideoSeconds:
    """How far a video's prediction agrees with its coding."""

    name: str
    coded: float
    right: float

    @property
    def share(self) -> float:
        """The share of its coded seconds that is right."""
        return self.right / self.coded


@dataclasses.dataclass(frozen=True)
class CodedSeconds:
    """The scores of all behaviours and coded videos."""

    behaviours: tuple[BehaviourSeconds, ...]
    videos: tuple[VideoSeconds, ...]

    @classmethod
    def count(
        cls,
        names: Sequence[str],
        videos: Sequence[str],
        seconds: Sequence[float],
        coded: Sequence[int],
        predicted: Sequence[int],
    ) -> CodedSeconds:
        """Count the seconds of instances.

        Args:
          names: of the behaviours.
          videos: the name of the video of each instance.
          seconds: how long it stands for.
          coded, predicted: indices of its behaviour.
        """
        video_of = np.array(videos)
        weights = np.array(seconds, float)
        true = np.array(coded, int)
        answer = np.array(predicted, int)
        behaviours = []
        for index in sorted(set(true.tolist())):
            is_coded = true == index
            confused = {}
            for other in sorted(set(answer[is_coded].tolist()) - {index}):
                confused[names[other]] = _sum(weights, is_coded & (answer == other))
            behaviours.append(
                BehaviourSeconds(
                    name=names[index],
                    coded=_sum(weights, is_coded),
                    predicted=_sum(weights, answer == index),
                    right=_sum(weights, is_coded & (answer == index)),
                    videos=len(set(video_of[is_coded].tolist())),
                    confused=confused,
                )
            )
        of_videos = []
        for name in dict.fromkeys(videos):
            is_of_video = video_of == name
            coded_seconds = _sum(weights, is_of_video)
            right = _sum(weights, is_of_video & (true == answer))
            of_videos.append(VideoSeconds(name, coded_seconds, right))
        of_videos.sort(key=lambda video: (video.share, video.name))
        return cls(tuple(behaviours), tuple(of_videos))

    def lines(self) -> list[str]:
        """Say how well behaviours were found, and what to do about it."""
        lines = [behaviour.sentence() for behaviour in self.behaviours]
        disagreeing = [video for video in self.videos if video.right < video.coded]
        if disagreeing:
            texts = []
            for video in disagreeing[:_SEEN_FIRST]:
                texts.append(f"{video.name} ({100 * video.share:.0f} % agree)")
            lines.append(f"look at these first: {', '.join(texts)}")
        few = []
        for behaviour in self.behaviours:
            is_short = behaviour.coded < _ENOUGH_SECONDS
            if is_short or behaviour.videos < _ENOUGH_VIDEOS:
                few.append(f"{behaviour.name} ({_seconds(behaviour.coded)} s)")
        if few:
            lines.append(
                f"code more of: {', '.join(few)}; some {_ENOUGH_SECONDS:.0f} s in"
                f" {_ENOUGH_VIDEOS} videos or more"
            )
        return lines

    def held_out(self) -> dict[str, Any]:
        """Return what a model keeps of them, see `runs.held_out_scores`."""
        behaviours = {}
        for behaviour in self.behaviours:
            behaviours[behaviour.name] = {
                "seconds": behaviour.coded,
                "videos": behaviour.videos,
                "right": behaviour.right,
                "predicted": behaviour.predicted,
                "taken_for": behaviour.confused,
            }
        return {
            "videos": len(self.videos),
            "seconds": round(sum(video.coded for video in self.videos), 3),
            "right": round(sum(video.right for video in self.videos), 3),
            "behaviours": behaviours,
        }

    def write(self, folder: str | os.PathLike) -> None:
        """Write scores.json, scores.csv and confusion.png."""
        fields: dict[str, Any] = {"note": NOTE, **dataclasses.asdict(self)}
        write_json(os.path.join(folder, "scores.json"), fields)
        rows: list[list[Any]] = [[*_COLUMNS]]
        for behaviour in self.behaviours:
            rows.append([getattr(behaviour, name) for name in ("name", *_COLUMNS[1:])])
        write_csv(os.path.join(folder, "scores.csv"), rows)
        write_bytes(os.path.join(folder, "confusion.png"), self._picture())

    def _picture(self) -> bytes:
        """Draw the seconds of each behaviour, and what they were taken for."""
        from a2d_tf.evaluation.reports import charts  # Matplotlib loads for a second

        names = [behaviour.name for behaviour in self.behaviours]
        for behaviour in self.behaviours:
            names.extend(name for name in behaviour.confused if name not in names)
        seconds = np.zeros((len(names), len(names)))
        for i, behaviour in enumerate(self.behaviours):
            seconds[i, i] = behaviour.right
            for name, confused in behaviour.confused.items():
                seconds[i, names.index(name)] = confused
        return charts.confusion(seconds, names, title="Seconds")


def _sum(weights: np.ndarray, counted: np.ndarray) -> float:
    return round(float(weights[counted].sum()), 3)


def _seconds(value: float) -> str:
    """Format seconds: whole ones from 10 on."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
