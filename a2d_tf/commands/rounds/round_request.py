"""What a user asks of an a2d start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.video.library.library_videos import Job


@dataclasses.dataclass(frozen=True)
class RoundRequest:
    """The flags of an a2d start.

    Attributes:
      folder: the folder of all results.
      videos: the folder of all videos, as the user wrote it.
      jobs: these videos, each with the folder of its page.
      exports: exports of an annotation tool; with --tracks, those of the tracks.
      bouts: files of coded times.
      further_flags: {command: flags that the user gave it after `--`}.
      minutes: maximum number of minutes of training.
      accepts_few_steps: whether the user chose the length of the training.
      before: the folder of the round that this one goes on from; None without one.
      folds: the number of folds, or the path of a CSV; None: no cross-validation.
    """

    folder: RoundFolder
    videos: str
    jobs: Sequence[Job]
    exports: Sequence[str]
    bouts: Sequence[str]
    further_flags: Mapping[str, list[str]]
    minutes: float
    accepts_few_steps: bool = False
    before: RoundFolder | None = None
    folds: str | None = None

    def source_flags(self) -> list[str]:
        """Return the flags of `a2d records` that name annotations and videos."""
        words = [f"--annotations={export}" for export in self.exports]
        words += [f"--bouts={path}" for path in self.bouts]
        words.append(f"--videos={self.videos}")
        return words
