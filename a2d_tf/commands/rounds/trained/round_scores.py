"""The scores of a round in videos held out, beside those of the round before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.trained import round_curve
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.commands.rounds.trained.track_scoring import TrackScoring
from a2d_tf.commands.rounds.trained.trained_folds import CrossValidation
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import write_csv
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.runs import held_out_file, scores
from a2d_tf.runs.held_out_scores import HeldOutScores, UnsureLimit
from a2d_tf.runs.scores import TEST

if TYPE_CHECKING:
    from a2d_tf.core.counts import BehaviourCounts
    from a2d_tf.evaluation.metrics.tables import Table
    from a2d_tf.evaluation.own_labels.object_scores import ObjectScores


def evaluate(request: RoundRequest, stages: StageRunner, manifest: Manifest) -> None:
    """Score single frames of the videos held out, unless that was done.

    It is done again with the user's own flags of `a2d evaluate`, since the earlier
    scores may be of others.
    """
    folder = request.folder
    has_own_flags = bool(request.further_flags.get("evaluate"))
    if not has_own_flags and scores.are_current(
        folder.run, folder.scores, manifest.source
    ):
        return
    stages.run(
        "scores",
        "evaluate",
        f"--workdir={folder.run}",
        f"--records={manifest.directory}",
        f"--split={TEST}",
    )


def score_tracks(
    request: RoundRequest,
    stages: StageRunner,
    scoring: TrackScoring,
    manifest: Manifest,
    folds: CrossValidation | None,
) -> list[str]:
    """Score the predicted tracks of the videos held out, and draw the learning curve.

    The run keeps the scores of this round, of the round before and of the folds.

    Returns:
      the tables to print.
    """
    from a2d_tf.evaluation.metrics import summaries

    folder = request.folder
    metrics = load_json(folder.scores / scores.METRICS, {}, "delete it")
    if "behaviours" not in metrics:  # the labels are those of A2D
        return [summaries.table(metrics)]
    truth = folder.scores / scores.TRUTH
    objects = scoring.score("objects", truth, folder.videos, folder.scores)
    metrics = objects.in_metrics(metrics)
    tables = [summaries.table(summaries.of_own_labels(metrics))]
    behaviours_before = None
    if request.before:
        comparison = _compare(request, scoring, manifest, objects)
        tables.append(comparison.table.text())
        header = ("pair", *comparison.table.columns.values())
        rows = [(name, *values) for name, values in comparison.table.lines()]
        write_csv(folder.comparison, [header, *rows])
        behaviours_before = comparison.behaviours_before
    held_out = HeldOutScores(
        objects.track_scores(),
        UnsureLimit(objects.unsure_below()),
        before=behaviours_before,
        folds=folds.scores if folds else None,
        trained_on=tuple(sorted(manifest.videos("train"))),
        tested_on=tuple(sorted(objects.videos)),
    )
    held_out_file.write(folder.run, held_out)
    round_curve.draw(folder, request.before, held_out)
    stages.run("browse", "browse", f"--run={folder.run}", f"--records={folder.records}")
    return tables


class _Comparison(NamedTuple):
    """The scores of two rounds on the same frames.

    Attributes:
      table: the counts of both, a row for each pair.
      behaviours_before: the scores of the round before that its model keeps.
    """

    table: Table
    behaviours_before: tuple[BehaviourCounts, ...]


def _compare(
    request: RoundRequest,
    scoring: TrackScoring,
    manifest: Manifest,
    objects: ObjectScores,
) -> _Comparison:
    """Predict the videos held out with the round before, and compare both rounds.

    Args:
      objects: what the tracks of this round find.
    """
    from a2d_tf.evaluation.boxes.instance_tables import Truth
    from a2d_tf.evaluation.own_labels import round_comparison

    folder = request.folder
    before = request.before
    assert before is not None
    truth = folder.scores / scores.TRUTH
    scoring.predict("before", before.run, manifest.videos(TEST), folder.videos_before)
    objects_before = scoring.score(
        "compare", truth, folder.videos_before, folder.scores_before
    )
    labels = manifest.label_space
    new_pairs = round_comparison.NewPairs.of(
        labels, Manifest.load(before.records).label_space, Truth.load(truth, labels)
    )
    return _Comparison(
        table=round_comparison.compare(objects_before, objects, new_pairs),
        behaviours_before=objects_before.behaviours(unknown=new_pairs.names),
    )
