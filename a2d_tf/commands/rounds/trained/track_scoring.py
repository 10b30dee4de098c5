"""Predict annotated videos of a round by a run, and score the tracks."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Collection, Sequence

from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import write_text
from a2d_tf.evaluation.own_labels import behaviour_files
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores
from a2d_tf.video.library.library_videos import Job


@dataclasses.dataclass(frozen=True)
class TrackScoring:
    """The commands that predict annotated videos and score their tracks.

    Attributes:
      stages: runs the commands.
      jobs: all videos of the round.
      labels: the JSON file with the actors and actions of the round.
      predict_flag: see `Suggestion.predict_flag`.
    """

    stages: StageRunner
    jobs: Sequence[Job]
    labels: pathlib.Path
    predict_flag: str

    def predict(
        self,
        stage: str,
        run: pathlib.Path,
        names: Collection[str],
        library: pathlib.Path,
        *flags: str,
    ) -> None:
        """Predict videos with a run; finished predictions stay.

        Args:
          stage: the name of the stage.
          names: the names of the videos.
          library: the folder of the predictions.
          flags: further flags of `a2d predict`.
        """
        paths = [os.path.abspath(job.path) for job in self.jobs if job.name in names]
        listed = library.with_suffix(".txt")
        write_text(listed, "\n".join(paths) + "\n")
        self.stages.run(
            stage,
            "predict",
            f"--workdir={run}",
            f"--videos={listed}",
            f"--output={library}",
            self.predict_flag,
            "--overwrite",
            *flags,
        )

    def score(
        self,
        stage: str,
        truth: pathlib.Path,
        library: pathlib.Path,
        folder: pathlib.Path,
    ) -> ObjectScores:
        """Return which annotated objects the tracks of a library find.

        Args:
          stage: the name of the stage.
          truth: `truth.json` of a2d evaluate, with the annotated objects.
          library: the folder of the predictions.
          folder: the folder of the scores, which keeps the result.
        """
        path = folder / behaviour_files.OBJECTS
        self.stages.run(
            stage,
            "score",
            "objects",
            f"--truth={truth}",
            f"--labels={self.labels}",
            f"--predicted={library}",
            f"--output={path}",
        )
        return ObjectScores.from_json(load_json(path, {}, "delete it"))
