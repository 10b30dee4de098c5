"""A round of a2d start: its folder, and its steps, each of them a single command.

What one step made is read by the next from files. What the commands print is in the
folder's logs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from a2d_tf.core import processes
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text
from a2d_tf.data import video_frames
from a2d_tf.data.manifest import NAME, Manifest
from a2d_tf.runs import run_files, scores
from a2d_tf.training.suggestion import Settings, Suggestion, json_path, motion_flags
from a2d_tf.video.library_videos import Job

_MOST_SIDE = 448  # pixels, of the sides of a frame: what stills are trained on
_MOST_FRAMES = 3000  # for training: about as many as half an hour sees once or twice


@dataclasses.dataclass(frozen=True)
class Round:
    """The output folder of an a2d start."""

    folder: pathlib.Path

    @property
    def records(self) -> pathlib.Path:
        return self.folder / "records"

    @property
    def flagfile(self) -> pathlib.Path:
        """The suggested settings."""
        return self.folder / "own.flags"

    @property
    def run(self) -> pathlib.Path:
        """The run folder of the training."""
        return self.folder / "run"

    @property
    def scores(self) -> pathlib.Path:
        """Scores of the run on the videos held out."""
        return scores.folder_of(self.run)

    @property
    def scores_before(self) -> pathlib.Path:
        """Scores of the round before, on the frames of this one."""
        return self.folder / "scores_before"

    @property
    def model(self) -> pathlib.Path:
        """The SavedModel."""
        return self.folder / "model"

    @property
    def videos(self) -> pathlib.Path:
        """The library of predictions."""
        return self.folder / "videos"

    @property
    def logs(self) -> pathlib.Path:
        return self.folder / "logs"

    def is_trained(self) -> bool:
        return (self.run / run_files.FINISHED).is_file()


@dataclasses.dataclass(frozen=True)
class Stages:
    """Runs the single commands, one after another.

    Attributes:
      logs: folder for what the commands print.
      further_flags: {command: flags that the user gave it after `--`}.
    """

    logs: pathlib.Path
    further_flags: dict[str, list[str]]

    def run(self, stage: str, command: str, *flags: str) -> pathlib.Path:
        """Run a command, and print a line with its time.

        Returns:
          the file with what it has printed.

        Raises:
          InputError: it failed; what it has said is printed.
        """
        words = [command, *flags, *self.further_flags.get(command, ())]
        start = time.monotonic()
        log = self.logs / f"{stage}.txt"
        try:
            with open(log, "w", encoding="utf-8") as file:
                processes.call(words, file)
        except InputError:
            print(read_text(log), end="", flush=True)
            raise
        line = f"{stage_time(stage, start)}  {processes.command_text(words)}"
        print(line, flush=True)
        return log


def stage_time(stage: str, start: float) -> str:
    """Return the name of a stage and how long it took since `start`, monotonic time."""
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    return f"{stage:9}{minutes:3}:{seconds:02}"


@dataclasses.dataclass(frozen=True)
class Steps:
    """The steps of a round, in their order; each leaves out what is done.

    Attributes:
      this: the round.
      before: the round that it goes on from, if there is one.
      videos: folder of all videos, as the user gave it.
      stages: runs the commands.
    """

    this: Round
    before: Round | None
    videos: str
    stages: Stages

    def build_records(
        self, exports: Sequence[str], bouts: Sequence[str], jobs: Sequence[Job]
    ) -> Manifest:
        """Check the annotations, show the report, and build records.

        Split, labels, size of the frames and motion maps are those of the round before,
        if there is one.

        Args:
          exports: of annotation tools, as for a2d records.
          bouts: files of coded times.
          jobs: the videos.
        """
        records = self.this.records
        sources = [f"--annotations={export}" for export in exports]
        sources += [f"--bouts={path}" for path in bouts]
        sources.append(f"--videos={self.videos}")
        sized_records = records
        motion = ["--suggested_motion"]
        if self.before:
            sized_records = self.before.records
            sources += [
                f"--split_of={self.before.records}",
                f"--labels={self.before.records / 'labels.json'}",
            ]
            flags = motion_flags(Manifest.load(self.before.records))
            motion = Settings(flags, "as before").words()
        if not (records / NAME).exists():
            log = self.stages.run("check", "records", *sources, "--check")
            print(read_text(log), flush=True)
        # Existing records are compared with annotations and videos.
        height, width = _frame_size(jobs, sized_records)
        self.stages.run(
            "records",
            "records",
            *sources,
            f"--output={records}",
            f"--image_height={min(height, _MOST_SIDE)}",
            f"--image_width={min(width, _MOST_SIDE)}",
            "--clip_frames=3",
            f"--max_frames={_MOST_FRAMES}",
            *motion,
        )
        return Manifest.load(records)

    def suggest_settings(self, manifest: Manifest, minutes: float) -> Suggestion:
        """Suggest settings for the records; `minutes` are the most of a training."""
        after = str(self.before.run) if self.before else None
        flagfile = self.this.flagfile
        path = pathlib.Path(json_path(flagfile))
        is_current = False
        if flagfile.exists() and path.exists():
            is_current = Suggestion.read(path).is_for(manifest.source, minutes, after)
        if not is_current:
            flags = [
                f"--records={self.this.records}",
                f"--minutes={minutes:g}",
                f"--output={flagfile}",
            ]
            if after:
                flags.append(f"--after={after}")
            self.stages.run("settings", "suggest-config", *flags)
        return Suggestion.read(path)

    def train(self) -> None:
        """Train with the suggested settings."""
        self.stages.run(
            "training",
            "train",
            f"--flagfile={self.this.flagfile}",
            f"--records={self.this.records}",
            f"--workdir={self.this.run}",
        )

    def score(self, manifest: Manifest) -> dict[str, Any]:
        """Score the run on the videos held out; return its metrics."""
        return self._metrics("scores", self.this.run, self.this.scores, manifest)

    def score_before(self, before: Round, manifest: Manifest) -> dict[str, Any]:
        """Score the run of the round before on the same frames; return its metrics."""
        folder = self.this.scores_before
        return self._metrics(
            "before", before.run, folder, manifest, f"--output={folder}"
        )

    def _metrics(
        self,
        stage: str,
        run: pathlib.Path,
        folder: pathlib.Path,
        manifest: Manifest,
        *flags: str,
    ) -> dict[str, Any]:
        """Return the metrics of a run on the test split, from a folder of scores.

        Scores that are there may be of other flags after `--`: with some they are
        redone.
        """
        from a2d_tf.evaluation.metrics import summaries

        redo = bool(self.stages.further_flags.get("evaluate"))
        if redo or not scores.are_current(run, folder, manifest.source):
            self.stages.run(
                stage,
                "evaluate",
                f"--workdir={run}",
                f"--records={manifest.directory}",
                f"--split={scores.TEST}",
                *flags,
            )
        metrics = load_json(folder / "metrics.json", {}, "delete it")
        return summaries.of_own_labels(metrics)

    def browse(self) -> None:
        """Write the page of the scored frames."""
        self.stages.run(
            "browse",
            "browse",
            f"--run={self.this.run}",
            f"--records={self.this.records}",
        )

    def export(self) -> None:
        """Export the run as a SavedModel."""
        self.stages.run(
            "export",
            "export",
            f"--workdir={self.this.run}",
            f"--output={self.this.model}",
        )

    def predict(self, suggestion: Suggestion) -> None:
        """Predict all videos; those that fail are listed."""
        self.stages.run(
            "videos",
            "predict",
            f"--workdir={self.this.run}",
            f"--video={self.videos}",
            f"--output={self.this.videos}",
            suggestion.predict_flag(),
            "--overwrite",
            "--on_error=skip",
        )


def _frame_size(jobs: Sequence[Job], records: pathlib.Path) -> tuple[int, int]:
    """Return (height, width) of the frames of records, or of the largest video."""
    if (records / NAME).exists():  # larger videos may have come since
        manifest = Manifest.load(records)
        return manifest.image_height, manifest.image_width
    height = 1
    width = 1
    for job in jobs:
        # A video that cannot be read may be one that is not annotated.
        with contextlib.suppress(InputError):
            video_height, video_width = video_frames.size(job.path)
            height = max(height, video_height)
            width = max(width, video_width)
    return height, width
