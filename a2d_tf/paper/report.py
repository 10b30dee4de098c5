"""The report of a reproduction: our results beside the paper's tables and figures."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.reports import blocks as report_blocks
from a2d_tf.evaluation.reports.blocks import Block, Text
from a2d_tf.paper import comparison, report_figures, report_tables
from a2d_tf.paper.folds import Fold
from a2d_tf.paper.results import Result, without_error
from a2d_tf.paper.table_rows import OUR_ROWS

_OF_FOLDS = {
    **comparison.COMPARED,
    "detection/actor_map": "actor mAP",
    "detection/action_map": "action mAP",
    "over_time/joint_frame_map50": "frame-mAP .5",
    "over_time/joint_frame_map50_tracks": "frame-mAP .5 of tracks",
    "over_time/joint_video_map20": "video-mAP .2",
    "over_time/joint_video_map50": "video-mAP .5",
}
"""The figures of a report across folds, by their tags of `scalars`: {tag: heading}."""


def write_report(
    workdir: str,
    results: list[Result],
    folds: list[Fold],
    *,
    data: str,
    network: str,
    own_videos: bool,
) -> list[str]:
    """Write `report.md` and `report.html`; return the runs that are missing.

    Args:
      workdir: the folder of both files.
      results: the results of all rows in all folds.
      folds: all folds that have records.
      data: the data of the records, in words.
      network: the network that is trained, in words.
      own_videos: whether the data are a user's own, so that no figures are published.
    """
    manifest = Manifest.load(folds[-1].records)
    clips = _count_clips(manifest, folds)
    origin = (
        f"Made on {data}: {clips}, flow by {manifest.flow_method}. Network: {network}."
    )
    if own_videos:
        title = "Scores over folds and seeds"
        blocks = build_folds(results, manifest.label_space, origin)
    else:
        title = "The paper's tables, reproduced"
        origin += (
            " Published rows are for A2D's own test split of 2365 clips: compare"
            " figures of that split, and of others the order alone."
        )
        blocks = build(results, manifest, origin)
    report_blocks.write(workdir, title, blocks)
    return [result.where for result in results if result.error]


def build(results: list[Result], manifest: Manifest, origin: str) -> list[Block]:
    """Build the blocks of the report of the paper's tables.

    Args:
      results: the results of all rows; the folders of those without error are read.
      manifest: the manifest of the records.
      origin: the introduction: the data, and what its figures show.
    """
    done = without_error(results)
    blocks = _introduction(results, origin)
    if not done:
        return blocks
    # Most of the report is of one seed: the one with the most results.
    seeds = collections.Counter(result.seed for result in done)
    first_seed = min(seeds, key=lambda seed: (-seeds[seed], seed))
    of_seed = {result.row: result for result in done if result.seed == first_seed}
    blocks.append(Text(_training_videos(done)))
    if len(seeds) > 1:
        blocks.append(
            Text(
                "Differences and the last table are of all seeds, the rest of"
                f" {first_seed}."
            )
        )
    metrics = {row: result.metrics for row, result in of_seed.items()}
    space = manifest.label_space
    blocks += report_tables.of_paper(metrics)
    blocks += report_tables.at_one_threshold(metrics)
    blocks += report_tables.differences(done, space, beside_published=True)
    metrics_of_fig4 = dict(metrics)
    if "full" in of_seed:  # like the zero-shot rows, without the videos held out
        before_final = dataclasses.replace(of_seed["full"], final=None)
        metrics_of_fig4["full"] = before_final.metrics
    blocks += report_figures.zero_shot(metrics_of_fig4, space)
    blocks += report_figures.frames(of_seed, manifest)
    if len(seeds) > 1:
        blocks += report_tables.means(done, comparison.COMPARED)
    return blocks


def build_folds(results: list[Result], labels: LabelSpace, origin: str) -> list[Block]:
    """Build the blocks of a report across folds: means over folds and seeds.

    Args:
      results: the results of all rows in all folds.
      labels: the label space of the records.
      origin: the introduction.
    """
    done = without_error(results)
    blocks = _introduction(results, origin)
    if not done:
        return blocks
    blocks += report_tables.means(done, _OF_FOLDS)
    blocks += report_tables.differences(done, labels, beside_published=False)
    blocks += report_tables.each_run(done, _OF_FOLDS)
    return blocks


def _count_clips(manifest: Manifest, folds: Sequence[Fold]) -> str:
    """Return the numbers of clips as text, for the splits or for the folds."""
    train = manifest.counts["train"]["records"]
    test = manifest.counts["test"]["records"]
    if [fold.name for fold in folds] == [""]:
        return f"{train} training and {test} test clips"
    return f"{train + test} clips, {len(folds)} folds in turn the test split"


def _introduction(results: Sequence[Result], origin: str) -> list[Block]:
    """Return the introduction, and a line for each row that failed."""
    blocks: list[Block] = [Text(origin)]
    for result in results:
        if result.error:
            blocks.append(Text(f"Failed: {result.where}: {result.error}."))
    return blocks


def _training_videos(done: Sequence[Result]) -> str:
    """Return a line that tells which figures come from final runs."""
    if not any(result.final for result in done):
        return "No figure is of a final run on all training videos."
    others = []
    for result in done:
        if result.row in OUR_ROWS and not result.final:
            others.append(f"{OUR_ROWS[result.row].title}, seed {result.seed}")
    others.append("Fig. 4")
    return (
        "Figures are of final runs, on all training videos, with the threshold that the"
        " run before chose on those it held out. Figures of the runs before:"
        f" {'; '.join(others)}."
    )
