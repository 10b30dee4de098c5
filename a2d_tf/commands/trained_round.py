"""a2d start with annotations: they train a network, which predicts all videos.

Each step is a single command, and leaves out what is done. What one step made is read
by the next from files. What the commands print is in the folder's logs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from a2d_tf.commands.rounds import Round, stage_time
from a2d_tf.core import processes
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.files import read_text
from a2d_tf.data import video_frames
from a2d_tf.data.manifest import NAME, Manifest, MotionFacts
from a2d_tf.runs import scores
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion import (
    MOST_SIDE,
    Suggestion,
    flag_words,
    json_path,
    motion_flags,
)
from a2d_tf.video.library_videos import Job

_MOST_FRAMES = 3000  # for training: about as many as half an hour sees once or twice


@dataclasses.dataclass(frozen=True)
class TrainedRound:
    """The steps of a round, in their order."""

    round: Round

    def run(self) -> None:
        """Do all steps, then print scores, what can be done next, and the page.

        Raises:
          InputError: a command failed.
        """
        folder = self.round.folder
        folder.logs.mkdir(parents=True, exist_ok=True)
        manifest = self.build_records()
        if manifest.motion:
            print(describe_motion(manifest.motion))
        suggestion = self.suggest_settings(manifest)
        print(suggestion.duration)
        self.call(
            "training",
            "train",
            f"--flagfile={folder.flagfile}",
            f"--records={folder.records}",
            f"--workdir={folder.run}",
        )
        tables = []
        if TEST in manifest.splits:
            tables = self.score(manifest)
        self.call(
            "export", "export", f"--workdir={folder.run}", f"--output={folder.model}"
        )
        self.call(
            "videos",
            "predict",
            f"--workdir={folder.run}",
            f"--video={self.round.videos}",
            f"--output={folder.videos}",
            suggestion.predict_flag(),
            "--overwrite",
            "--on_error=skip",
        )
        for table in tables:
            print(f"\n{table}")
        print("\nWhat to do next:")
        for line in self.next_steps(manifest, suggestion):
            print(f"- {line}")
        print(folder.videos / "index.html")

    def call(self, stage: str, command: str, *flags: str) -> pathlib.Path:
        """Call a single command, and print a line with its time.

        Args:
          stage: its name in that line and among the logs.
          flags: the user's own follow them.

        Returns:
          the file with what it has printed.

        Raises:
          InputError: it failed; what it has said is printed.
        """
        words = [command, *flags, *self.round.further_flags.get(command, ())]
        start = time.monotonic()
        log = self.round.folder.logs / f"{stage}.txt"
        try:
            with open(log, "w", encoding="utf-8") as file:
                processes.call(words, file)
        except InputError:
            print(read_text(log), end="", flush=True)
            raise
        line = f"{stage_time(stage, start)}  {processes.command_text(words)}"
        print(line, flush=True)
        return log

    def build_records(self) -> Manifest:
        """Check the annotations, show the report, and build records.

        Split, labels, size of the frames and motion maps are those of the round before,
        if there is one.
        """
        records = self.round.folder.records
        sources = [f"--annotations={export}" for export in self.round.exports]
        sources += [f"--bouts={path}" for path in self.round.bouts]
        sources.append(f"--videos={self.round.videos}")
        sized_records = records
        motion = ["--suggested_motion"]
        before = self.round.before
        if before:
            sized_records = before.records
            sources += [
                f"--split_of={before.records}",
                f"--labels={before.records / 'labels.json'}",
            ]
            motion = flag_words(motion_flags(Manifest.load(before.records)))
        if not (records / NAME).exists():
            log = self.call("check", "records", *sources, "--check")
            print(read_text(log), flush=True)
        # Existing records are compared with annotations and videos.
        height, width = _frame_size(self.round.jobs, sized_records)
        self.call(
            "records",
            "records",
            *sources,
            f"--output={records}",
            f"--image_height={min(height, MOST_SIDE)}",
            f"--image_width={min(width, MOST_SIDE)}",
            "--clip_frames=3",
            f"--max_frames={_MOST_FRAMES}",
            *motion,
        )
        return Manifest.load(records)

    def suggest_settings(self, manifest: Manifest) -> Suggestion:
        """Suggest settings for the records, unless that was done."""
        minutes = self.round.minutes
        after = str(self.round.before.run) if self.round.before else None
        flagfile = self.round.folder.flagfile
        path = pathlib.Path(json_path(flagfile))
        is_current = False
        if flagfile.exists() and path.exists():
            is_current = Suggestion.read(path).is_for(manifest.source, minutes, after)
        if not is_current:
            flags = [
                f"--records={self.round.folder.records}",
                f"--minutes={minutes:g}",
                f"--output={flagfile}",
            ]
            if after:
                flags.append(f"--after={after}")
            self.call("settings", "suggest-config", *flags)
        return Suggestion.read(path)

    def score(self, manifest: Manifest) -> list[str]:
        """Score the run, and the one before on the same frames; return their tables."""
        from a2d_tf.evaluation.metrics import behaviour_counts, summaries

        folder = self.round.folder
        before = self.round.before
        metrics = self._metrics("scores", folder.run, folder.scores, manifest)
        tables = [summaries.table(metrics)]
        if before and "behaviours" in metrics:
            metrics_before = self._metrics(
                "before",
                before.run,
                folder.scores_before,
                manifest,
                f"--output={folder.scores_before}",
            )
            tables.append(behaviour_counts.compared(metrics_before, metrics).text())
        self.call(
            "browse", "browse", f"--run={folder.run}", f"--records={folder.records}"
        )
        return tables

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

        redo = bool(self.round.further_flags.get("evaluate"))
        if redo or not scores.are_current(run, folder, manifest.source):
            self.call(
                stage,
                "evaluate",
                f"--workdir={run}",
                f"--records={manifest.directory}",
                f"--split={TEST}",
                *flags,
            )
        metrics = load_json(folder / "metrics.json", {}, "delete it")
        return summaries.of_own_labels(metrics)

    def next_steps(self, manifest: Manifest, suggestion: Suggestion) -> list[str]:
        """Return what a user can do next, a line each, with the remarks on records."""
        folder = self.round.folder
        lines = []
        if TEST in manifest.splits:
            page = folder.scores / "browse.html"
            lines.append(
                f"to see the frames that were held out for these scores: {page}"
            )
            if not self.round.before:
                names = join_names(sorted(manifest.videos(TEST)), 3)
                lines.append(
                    f"to hold out other videos than {names}: another --output, --"
                    " --test_videos=NAMES"
                )
        lines += suggestion.remarks
        lines.append(
            "to choose predicted frames to correct: a2d next"
            f" --prediction={folder.videos} --records={folder.records}"
            f" --output={folder.path / 'next'}"
        )
        lines.append(
            "to train on them, too: a2d start with their exports added to the earlier"
            f" ones, another --output and --after={folder.path}"
        )
        lines.append(
            f"to predict a later video: a2d predict --saved_model={folder.model}"
            f" --video=FILE --output=FOLDER {suggestion.predict_flag()}"
        )
        return lines


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


def describe_motion(motion: MotionFacts) -> str:
    """Describe the motion maps of records."""
    names = []
    if motion.action_backbone:
        names.append(f"features of {motion.action_backbone.upper()} (Kinetics-400)")
    if motion.flow_histograms:
        names.append("histograms of optical flow")
    return (
        f"the records have {' and '.join(names)}, from which actions are read"
        " (docs/real_video.md)"
    )
