"""a2d start --folds with a training: a further training for each fold of the videos.

Each is scored on the videos of its fold, from which it has not learned.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from a2d_tf.commands.rounds import chosen_folds
from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.trained import round_records
from a2d_tf.commands.rounds.trained.round_records import FrameSize
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.commands.rounds.trained.stage_times import StageTimes, in_words
from a2d_tf.commands.rounds.trained.track_scoring import TrackScoring
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.own_labels import behaviour_files, fold_scores
from a2d_tf.evaluation.own_labels.fold_scores import FoldScores
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores
from a2d_tf.paper.folds import Fold, test_videos_flag
from a2d_tf.runs import run_folder, scores
from a2d_tf.runs.held_out_scores import CrossValidationScores
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion.reasoned_flags import flag_words
from a2d_tf.training.suggestion.record_flags import motion_flags

_REPEATED = ("records", "training", "scores")
"""The stages of a round that each fold repeats."""


class CrossValidation(NamedTuple):
    """The scores of predicted tracks in annotated videos, each held out in one fold.

    Attributes:
      table: a text table with the F1 of each behaviour in each fold.
      scores: the scores that the run folder of the round keeps.
    """

    table: str
    scores: CrossValidationScores


def cross_validate(
    request: RoundRequest,
    stages: StageRunner,
    manifest: Manifest,
    scoring: TrackScoring,
) -> CrossValidation:
    """Train and score each fold of the annotated videos.

    Args:
      manifest: the manifest of the round's records.
    """
    assert request.folds is not None
    size = FrameSize(manifest.image_height, manifest.image_width)
    motion = flag_words(motion_flags(manifest))
    folds = TrainedFolds(
        folder=request.folder,
        chosen=request.folds,
        # Each fold has its own test videos.
        stages=stages.without_flag("records", "test_videos"),
        record_flags=[
            *request.source_flags(),
            *round_records.content_flags(size, motion),
        ],
        labels=manifest.label_space,
        scoring=scoring,
    )
    return folds.run()


def describe_time(folds: str, folder: RoundFolder, times: StageTimes) -> str:
    """Say how long the trainings take that are not finished.

    Args:
      folds: the number of folds, or the path of a CSV of video and fold.
      folder: the folder of the round, whose finished folds take no time.
      times: the times of all stages of a round.
    """
    finished = list(folder.folds.glob(f"fold_*/run/{run_folder.FINISHED}"))
    number = chosen_folds.count(folds) - len(finished)
    seconds = number * sum(times.seconds[stage] for stage in _REPEATED)
    seconds += times.seconds["videos"]  # each annotated one is in one fold
    return (
        f"--folds={folds}: {number} more trainings, each of as many steps as the"
        f" first: {in_words(seconds)} beyond the time below"
    )


@dataclasses.dataclass(frozen=True)
class TrainedFolds:
    """The trainings of a cross-validation, one for each fold of the annotated videos.

    Attributes:
      folder: the folder of the round.
      chosen: the number of folds, or the path of a CSV of video and fold.
      stages: runs the commands.
      record_flags: the flags of `a2d records` for annotations, size and motion maps.
      labels: the label space of the records.
      scoring: predicts videos and scores their tracks.
    """

    folder: RoundFolder
    chosen: str
    stages: StageRunner
    record_flags: Sequence[str]
    labels: LabelSpace
    scoring: TrackScoring

    def run(self) -> CrossValidation:
        """Train and score each fold that is not finished, and write the tables.

        The settings are those of the round's own training.
        """
        folds = chosen_folds.choose(
            self.chosen, self._videos_of_pairs(), self.folder.folds
        )
        objects_of_folds = []
        scores_of_folds = []
        for name, videos in folds.items():
            fold = Fold(os.fspath(self.folder.folds), name)
            self._train(fold, videos)
            objects = self._score(fold, videos)
            objects_of_folds.append(objects)
            scores_of_folds.append(FoldScores.of_objects(name, objects))
        fold_scores.write(self.folder.path, scores_of_folds)
        total = ObjectScores.sum_of(objects_of_folds)
        behaviour_files.write(
            self.folder.folds, total.pairs, total.mistakes, self.labels
        )
        return CrossValidation(
            table=fold_scores.table(scores_of_folds, "objects").text(),
            scores=CrossValidationScores(len(folds), total.track_scores()),
        )

    def _videos_of_pairs(self) -> dict[str, set[str]]:
        """Return {pair: the videos that show it}, from the records of the round."""
        path = self.folder.folds / "records.json"
        self.folder.folds.mkdir(exist_ok=True)
        self.stages.run(
            "folds", "inspect", f"--records={self.folder.records}", f"--json={path}"
        )
        videos: dict[str, set[str]] = collections.defaultdict(set)
        for record in load_json(path, list, "delete it and run again"):
            for instance in record["instances"]:
                videos[str(instance["code"])].add(record["video"])
        return videos

    def _train(self, fold: Fold, videos: Sequence[str]) -> None:
        """Train on all videos but those of a fold."""
        self.stages.run(
            f"records_{fold.name}",
            "records",
            *self.record_flags,
            f"--labels={self.scoring.labels}",
            f"--output={fold.records}",
            test_videos_flag(videos),
        )
        self.stages.run(
            f"training_{fold.name}",
            "train",
            f"--flagfile={self.folder.run / run_folder.FLAGS}",
            f"--records={fold.records}",
            f"--workdir={_run_of(fold)}",
        )

    def _score(self, fold: Fold, videos: Sequence[str]) -> ObjectScores:
        """Predict the videos of a fold by its run, and score the tracks."""
        run = _run_of(fold)
        folder = scores.folder_of(run)
        source = Manifest.load(fold.records).source
        if not scores.are_current(run, folder, source):
            self.stages.run(
                f"scores_{fold.name}",
                "evaluate",
                f"--workdir={run}",
                f"--records={fold.records}",
                f"--split={TEST}",
            )
        library = pathlib.Path(fold.folder, "videos")
        self.scoring.predict(
            f"videos_{fold.name}", run, videos, library, "--results=tracks,detections"
        )
        truth = folder / scores.TRUTH
        return self.scoring.score(f"objects_{fold.name}", truth, library, folder)


def _run_of(fold: Fold) -> pathlib.Path:
    return pathlib.Path(fold.folder, "run")
