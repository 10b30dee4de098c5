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

from a2d_tf.commands.rounds import chosen_folds, promised_steps, round_curve, round_time
from a2d_tf.commands.rounds.round_time import VideoSizes
from a2d_tf.commands.rounds.start_round import Round, stage_time
from a2d_tf.commands.rounds.track_scoring import TrackScoring
from a2d_tf.commands.rounds.trained_folds import CrossValidation, TrainedFolds
from a2d_tf.core import flagfiles, processes
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.files import read_text, write_csv
from a2d_tf.core.register import Register
from a2d_tf.data import asked_frames, video_frames
from a2d_tf.data.manifest import NAME, Manifest, MotionFacts
from a2d_tf.runs import held_out_scores, run_folder, scores, training_length
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.settings import (
    MOST_SIDE,
    flag_words,
    motion_flags,
)
from a2d_tf.training.suggestion.suggestion_file import Suggestion, json_path
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.video_flags import VideoFlags

_MOST_FRAMES = 3000  # for training: about as many as half an hour sees once or twice
_OF_A_FOLD = ("records", "training", "scores")
"""The stages of a round that each fold of a cross-validation repeats."""


@dataclasses.dataclass(frozen=True)
class TrainedRound:
    """The steps of a round, in their order."""

    round: Round
    times: dict[str, float] = dataclasses.field(default_factory=dict)
    """Seconds that each stage is expected to take, as far as that is known."""

    def run(self) -> None:
        """Do all steps, then print scores, what can be done next, and the page.

        Raises:
          InputError: a command failed.
        """
        folder = self.round.folder
        folder.logs.mkdir(parents=True, exist_ok=True)
        sizes = VideoSizes.read(self.round.jobs)
        self.times.update(self.expected_times(sizes))
        manifest = self.build_records()
        self.draw_annotations()
        if manifest.motion:
            print(describe_motion(manifest.motion))
        suggestion = self.suggest_settings(manifest)
        print(suggestion.duration)
        self.train(manifest, suggestion, sizes)
        if TEST in manifest.splits:
            self.evaluate(manifest)
        self.predict("videos", suggestion)
        tables = []
        folds = None
        if self.round.folds:
            folds = self.cross_validate(self.round.folds, manifest, suggestion)
        if TEST in manifest.splits:
            tables = self.score(manifest, suggestion, folds)
            self.predict("pages", suggestion)  # nothing but the scores is new
        self.call(
            "export", "export", f"--workdir={folder.run}", f"--output={folder.model}"
        )
        if folds:
            tables.append(folds.table)
        for table in tables:
            print(f"\n{table}")
        warning = training_length.warning(str(folder.run))
        if warning:
            print(f"\n{warning}")
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
        seconds = round_time.remaining_seconds(self.times, stage)
        if seconds:
            remaining = round_time.in_words(seconds)
            print(f"{stage:9} begins, {remaining} remain", flush=True)
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
        sources = self._sources()
        sized_records = records
        motion = ["--suggested_motion"]
        before = self.round.before
        if before:
            sized_records = before.records
            # What a2d next asked for since does not change the split.
            split_of = before.records
            if (records / NAME).exists():
                split_of = records
            sources += [
                f"--split_of={split_of}",
                f"--labels_of={before.records}",
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
            *_record_flags(min(height, MOST_SIDE), min(width, MOST_SIDE), motion),
        )
        if before:
            # What is not corrected yet trains in the round in which it is.
            asked = asked_frames.read(before.records)
            if asked:
                asked_frames.add(records, asked)
        return Manifest.load(records)

    def draw_annotations(self) -> None:
        """Draw sheets of annotated frames, unless that was done, and print the path."""
        folder = self.round.folder
        if not folder.sheets.is_dir():
            self.call(
                "sheets",
                "inspect",
                f"--records={folder.records}",
                f"--sheets={folder.sheets}",
            )
        print("look at the annotations before they are learned:")
        for sheet in run_folder.sheets(folder.run):
            print(f"- {sheet}", flush=True)

    def _sources(self) -> list[str]:
        """Return the flags of `a2d records` for annotations and videos."""
        sources = [f"--annotations={export}" for export in self.round.exports]
        sources += [f"--bouts={path}" for path in self.round.bouts]
        return [*sources, f"--videos={self.round.videos}"]

    def cross_validate(
        self, folds: str, manifest: Manifest, suggestion: Suggestion
    ) -> CrossValidation:
        """Train and score each fold of the annotated videos; `folds` are of `Round`."""
        folder = self.round.folder
        record_flags = [
            *self._sources(),
            *_record_flags(
                manifest.image_height,
                manifest.image_width,
                flag_words(motion_flags(manifest)),
            ),
        ]
        return TrainedFolds(
            folder=folder,
            chosen=folds,
            call=self._with_any_split().call,
            record_flags=record_flags,
            labels=manifest.label_space,
            scoring=self._track_scoring(suggestion),
        ).run()

    def _with_any_split(self) -> TrainedRound:
        """Return the round without the user's own test videos: folds have theirs."""
        flags = {**self.round.further_flags}
        words = flags.get("records", ())
        flags["records"] = [
            word for word in words if not word.startswith("--test_videos=")
        ]
        return TrainedRound(dataclasses.replace(self.round, further_flags=flags))

    def _track_scoring(self, suggestion: Suggestion) -> TrackScoring:
        return TrackScoring(
            call=self.call,
            jobs=self.round.jobs,
            labels=self.round.folder.records / "labels.json",
            predict_flag=suggestion.predict_flag(),
        )

    def expected_times(self, sizes: VideoSizes) -> dict[str, float]:
        """Return about how many seconds each stage takes, and print it in all."""
        folder = self.round.folder
        times = round_time.rough_times(sizes, Host.here(), self.round.minutes)
        if self.round.before:
            times["before"] = times["scores"]
        if (folder.records / NAME).exists():
            del times["check"]
            del times["records"]
        if folder.sheets.is_dir():
            del times["sheets"]
        if folder.flagfile.exists():
            del times["settings"]
        if folder.is_trained():
            del times["training"]
        if self.round.folds:
            done = folder.folds.glob(f"fold_*/run/{run_folder.FINISHED}")
            number = chosen_folds.count(self.round.folds) - len(list(done))
            rough = round_time.rough_times(sizes, Host.here(), self.round.minutes)
            seconds = number * sum(rough[stage] for stage in _OF_A_FOLD)
            seconds += rough["videos"]  # each annotated one is in one fold
            print(
                f"--folds={self.round.folds}: {number} more trainings, each of as many"
                f" steps as the first: {round_time.in_words(seconds)} beyond the time"
                " below"
            )
        total = round_time.in_words(sum(times.values()))
        print(
            f"{total} in all, by the sizes of the videos and the load of this machine;"
            " steps of the training are measured before it begins",
            flush=True,
        )
        return times

    def train(
        self, manifest: Manifest, suggestion: Suggestion, sizes: VideoSizes
    ) -> None:
        """Train with suggested settings, and never less than a run began with.

        Raises:
          InputError: the training would be too short.
        """
        folder = self.round.folder
        begun_steps = promised_steps.of_run(folder.run)
        steps = max(suggestion.steps, begun_steps)
        given_steps = promised_steps.given(self.round.further_flags.get("train", ()))
        shortage = promised_steps.shortage(steps, suggestion)
        remedy = promised_steps.remedy(suggestion)
        if shortage and not self.round.accepts_few_steps:
            raise InputError(
                f"{shortage}; end other programs, or {remedy}, and run the same command"
                " again"
            )
        if shortage and given_steps is None:
            print(f"warning: {shortage}; to teach it more, {remedy}", flush=True)
        promise = []
        if steps > suggestion.steps:
            print(f"the training goes on to the {steps} steps that it began with")
            promise.append(f"--steps={steps}")
        if given_steps is not None:
            steps = given_steps
            print(promised_steps.instead(steps, suggestion), flush=True)
        self._expect(suggestion, steps, manifest, sizes)
        self.call(
            "training",
            "train",
            f"--flagfile={folder.flagfile}",
            f"--records={folder.records}",
            f"--workdir={folder.run}",
            *promise,
        )

    def _expect(
        self, suggestion: Suggestion, steps: int, manifest: Manifest, sizes: VideoSizes
    ) -> None:
        """Expect what was measured of the stages from the training on."""
        if suggestion.times is None:
            return
        checkpoints = run_folder.checkpoint_folder(self.round.folder.run)
        steps_done = max(run_folder.checkpoint_steps(checkpoints), default=0)
        measured = round_time.measured_times(
            suggestion.times,
            steps=max(steps - steps_done, 0),
            test_frames=manifest.counts.get(TEST, {}).get("records", 0),
            frames=sizes.unpredicted_frames,
            every=self._every(),
        )
        for stage, seconds in measured.items():
            if stage in self.times:
                self.times[stage] = seconds

    def _every(self) -> int:
        """Return of how many frames one is answered, as the user's flags say."""
        words = self.round.further_flags.get("predict", ())
        register = Register()
        VideoFlags.define(register)
        flagfiles.parse_flags(
            [word for word in words if word.startswith("--every=")], register
        )
        return register.every

    def suggest_settings(self, manifest: Manifest) -> Suggestion:
        """Suggest settings for the records, unless that was done.

        Those of which a training would be too short are measured again.
        """
        minutes = self.round.minutes
        after = str(self.round.before.run) if self.round.before else None
        flagfile = self.round.folder.flagfile
        path = pathlib.Path(json_path(flagfile))
        is_current = False
        if flagfile.exists() and path.exists():
            earlier = Suggestion.read(path)
            is_long = earlier.steps >= training_length.LEAST_STEPS
            if is_long or self.round.accepts_few_steps:
                is_current = earlier.is_for(manifest.source, minutes, after)
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

    def evaluate(self, manifest: Manifest) -> None:
        """Score single frames of the videos held out.

        Scores that are there may be of other flags after `--`: with some they are
        redone.
        """
        folder = self.round.folder
        redo = bool(self.round.further_flags.get("evaluate"))
        if redo or not scores.are_current(folder.run, folder.scores, manifest.source):
            self.call(
                "scores",
                "evaluate",
                f"--workdir={folder.run}",
                f"--records={manifest.directory}",
                f"--split={TEST}",
            )

    def predict(self, stage: str, suggestion: Suggestion) -> None:
        """Predict all videos; those that are predicted stay."""
        self.call(
            stage,
            "predict",
            f"--workdir={self.round.folder.run}",
            f"--video={self.round.videos}",
            f"--output={self.round.folder.videos}",
            suggestion.predict_flag(),
            "--overwrite",
            "--on_error=skip",
        )

    def score(
        self,
        manifest: Manifest,
        suggestion: Suggestion,
        folds: CrossValidation | None = None,
    ) -> list[str]:
        """Score the tracks in the videos held out, and those of the round before.

        The run keeps what they find, and what those of `folds` find.

        Returns:
          tables of both.
        """
        from a2d_tf.evaluation.box_data import Truth
        from a2d_tf.evaluation.metrics import behaviour_counts, summaries

        folder = self.round.folder
        metrics = load_json(folder.scores / scores.METRICS, {}, "delete it")
        if "behaviours" not in metrics:  # the labels are those of A2D
            return [summaries.table(metrics)]
        scoring = self._track_scoring(suggestion)
        truth = folder.scores / "truth.json"
        objects = scoring.score("objects", truth, folder.videos, folder.scores)
        metrics = behaviour_counts.of_tracks(metrics, objects)
        tables = [summaries.table(summaries.of_own_labels(metrics))]
        known = {
            "videos": len(objects["videos"]),
            "frames": objects["frames"],
            "behaviours": behaviour_counts.held_out(objects),
            "unsure_below": behaviour_counts.limit_of_unsure(objects),
            "trained_on": sorted(manifest.videos("train")),
            "tested_on": sorted(objects["videos"]),
        }
        if self.round.before:
            scoring.predict(
                "before",
                self.round.before.run,
                manifest.videos(TEST),
                folder.videos_before,
            )
            objects_before = scoring.score(
                "compare", truth, folder.videos_before, folder.scores_before
            )
            labels = manifest.label_space
            new_pairs = behaviour_counts.NewPairs.of(
                labels,
                Manifest.load(self.round.before.records).label_space,
                Truth.load(folder.scores / "truth.json", labels),
            )
            table = behaviour_counts.compared(objects_before, objects, new_pairs)
            tables.append(table.text())
            header = ("pair", *table.columns.values())
            rows = [(name, *values) for name, values in table.lines()]
            write_csv(folder.comparison, [header, *rows])
            known["before"] = behaviour_counts.held_out(
                objects_before, unknown=new_pairs.names
            )
        if folds:
            known["folds"] = folds.held_out
        held_out_scores.write(folder.run, known)
        round_curve.draw(folder, self.round.before, known)
        self.call(
            "browse", "browse", f"--run={folder.run}", f"--records={folder.records}"
        )
        return tables

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
        lines.append(
            "to choose frames of it to correct: a2d next --prediction=FOLDER"
            f" --records={folder.records} --output=FOLDER_next"
        )
        return lines


def _record_flags(height: int, width: int, motion: Sequence[str]) -> list[str]:
    """Return the flags of `a2d records` for the contents of the records.

    Args:
      height, width: the largest size of stored frames, in pixels.
      motion: the flags of motion maps.
    """
    return [
        f"--image_height={height}",
        f"--image_width={width}",
        "--clip_frames=3",
        f"--max_frames={_MOST_FRAMES}",
        *motion,
    ]


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
