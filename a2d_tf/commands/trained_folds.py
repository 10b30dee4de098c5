"""a2d start --folds with a training: one more for each fold, which it has not seen."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from a2d_tf.commands import chosen_folds
from a2d_tf.commands.rounds import RoundFolder
from a2d_tf.core.checked_json import load_json
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import fold_scores
from a2d_tf.evaluation.fold_scores import FoldScores
from a2d_tf.evaluation.metrics.behaviour_counts import Counts
from a2d_tf.paper.folds import Fold, test_videos_flag
from a2d_tf.runs import run_folder, scores
from a2d_tf.runs.scores import TEST

_REMEDY = "delete it and run again"


@dataclasses.dataclass(frozen=True)
class TrainedFolds:
    """The folds of a round whose network is trained.

    Attributes:
      folder: of the round.
      chosen: of `Round.folds`.
      call: `TrainedRound.call`.
      record_flags: of `a2d records`, for annotations, size and motion maps.
    """

    folder: RoundFolder
    chosen: str
    call: Callable[..., pathlib.Path]
    record_flags: Sequence[str]

    def run(self) -> list[FoldScores]:
        """Train and score each fold; what is done stays.

        The settings are those of the round's own training.
        """
        videos_of_pairs = self._videos_of_pairs()
        folds = chosen_folds.choose(self.chosen, videos_of_pairs, self.folder.folds)
        all_scores = []
        for name, videos in folds.items():
            fold = Fold(os.fspath(self.folder.folds), name)
            metrics = self._metrics(fold, videos)
            counts = {}
            for row in metrics["behaviours"].values():
                if "name" in row:
                    counts[row["name"]] = Counts.of(row)
            all_scores.append(FoldScores(name, len(videos), counts))
        fold_scores.write(self.folder.path, all_scores)
        return all_scores

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

    def _metrics(self, fold: Fold, videos: Sequence[str]) -> Mapping[str, Any]:
        """Return the scores of a fold, by a training that has not seen its videos."""
        run = pathlib.Path(fold.folder, "run")
        self.call(
            f"records_{fold.name}",
            "records",
            *self.record_flags,
            f"--labels={self.folder.records / 'labels.json'}",
            f"--output={fold.records}",
            test_videos_flag(videos),
        )
        self.call(
            f"training_{fold.name}",
            "train",
            f"--flagfile={self.folder.run / run_folder.FLAGS}",
            f"--records={fold.records}",
            f"--workdir={run}",
        )
        source = Manifest.load(fold.records).source
        if not scores.are_current(run, scores.folder_of(run), source):
            self.call(
                f"scores_{fold.name}",
                "evaluate",
                f"--workdir={run}",
                f"--records={fold.records}",
                f"--split={TEST}",
            )
        path = scores.folder_of(run) / "metrics.json"
        return load_json(path, {"behaviours": {}}, _REMEDY)
