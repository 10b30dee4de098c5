"""a2d start --folds with a training: one more for each fold, which it has not seen."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from a2d_tf.commands.rounds import chosen_folds
from a2d_tf.commands.rounds.start_round import RoundFolder
from a2d_tf.commands.rounds.track_scoring import TrackScoring
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import behaviour_files, fold_scores
from a2d_tf.evaluation.fold_scores import FoldScores
from a2d_tf.evaluation.metrics import behaviour_counts
from a2d_tf.paper.folds import Fold, test_videos_flag
from a2d_tf.runs import run_folder, scores
from a2d_tf.runs.scores import TEST

_REMEDY = "delete it and run again"


class CrossValidation(NamedTuple):
    """What tracks find in annotated videos that were left out of a training each.

    Attributes:
      table: F1 of each behaviour and fold.
      held_out: "folds" of `runs.held_out_scores`.
    """

    table: str
    held_out: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class TrainedFolds:
    """The folds of a round whose network is trained.

    Attributes:
      folder: the folder of the round.
      chosen: the value of `Round.folds`.
      call: runs a command, see `TrainedRound.call`.
      record_flags: the flags of `a2d records` for annotations, size and motion maps.
      labels: the label space of the records.
      scoring: predicts videos and scores their tracks.
    """

    folder: RoundFolder
    chosen: str
    call: Callable[..., pathlib.Path]
    record_flags: Sequence[str]
    labels: LabelSpace
    scoring: TrackScoring

    def run(self) -> CrossValidation:
        """Train and score each fold that is not finished, and write the tables.

        The settings are those of the round's own training.
        """
        videos_of_pairs = self._videos_of_pairs()
        folds = chosen_folds.choose(self.chosen, videos_of_pairs, self.folder.folds)
        objects_of = {}
        for name, videos in folds.items():
            fold = Fold(os.fspath(self.folder.folds), name)
            self._train(fold, videos)
            objects_of[name] = self._score(fold, videos)
        all_scores = [
            FoldScores.of_objects(name, objects) for name, objects in objects_of.items()
        ]
        fold_scores.write(self.folder.path, all_scores)
        objects = behaviour_counts.added_up(list(objects_of.values()))
        behaviour_files.write(self.folder.folds, objects, self.labels)
        return CrossValidation(
            table=fold_scores.table(all_scores, "objects").text(),
            held_out={
                "folds": len(all_scores),
                "videos": len(objects["videos"]),
                "frames": objects["frames"],
                "behaviours": behaviour_counts.held_out(objects),
            },
        )

    def _videos_of_pairs(self) -> dict[str, set[str]]:
        """Return {pair: the videos that show it}, of the records of the round."""
        path = self.folder.folds / "records.json"
        self.folder.folds.mkdir(exist_ok=True)
        self.call(
            "folds", "inspect", f"--records={self.folder.records}", f"--json={path}"
        )
        videos: dict[str, set[str]] = collections.defaultdict(set)
        for record in load_json(path, list, _REMEDY):
            for instance in record["instances"]:
                videos[str(instance["code"])].add(record["video"])
        return videos

    def _train(self, fold: Fold, videos: Sequence[str]) -> None:
        """Train on all videos but those of a fold."""
        self.call(
            f"records_{fold.name}",
            "records",
            *self.record_flags,
            f"--labels={self.scoring.labels}",
            f"--output={fold.records}",
            test_videos_flag(videos),
        )
        self.call(
            f"training_{fold.name}",
            "train",
            f"--flagfile={self.folder.run / run_folder.FLAGS}",
            f"--records={fold.records}",
            f"--workdir={_run_of(fold)}",
        )

    def _score(self, fold: Fold, videos: Sequence[str]) -> dict[str, Any]:
        """Predict the videos of a fold by its run, and score the tracks."""
        run = _run_of(fold)
        folder = scores.folder_of(run)
        source = Manifest.load(fold.records).source
        if not scores.are_current(run, folder, source):
            self.call(
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
        truth = folder / "truth.json"
        return self.scoring.score(f"objects_{fold.name}", truth, library, folder)


def _run_of(fold: Fold) -> pathlib.Path:
    return pathlib.Path(fold.folder, "run")
