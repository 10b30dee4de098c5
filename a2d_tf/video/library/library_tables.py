"""Write the tables of a library, once every video is finished or has failed.

The process that finishes the last video writes them.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pathlib
from collections.abc import Mapping, Sequence

from a2d_tf.behaviour import time_budget
from a2d_tf.behaviour.prediction_folder import (
    CSV_REMEDY,
    RESULT_FILES,
    VIDEOS_FILE,
    read_video_info,
)
from a2d_tf.core.files import cell_number, read_csv, write_csv
from a2d_tf.core.folders import remove_abandoned_folders
from a2d_tf.core.machine.tasks import ALONE, Task
from a2d_tf.video.library.library_files import FAILED, SUMMARY, SUMS, is_own
from a2d_tf.video.library.library_page import splits, table_rows, write_library_page
from a2d_tf.video.library.library_request import Request
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.outputs.library_part import Part, read_part
from a2d_tf.video.outputs.output_folder import HIDDEN
from a2d_tf.video.outputs.track_rows import COLUMNS
from a2d_tf.video.pages import held_out_table
from a2d_tf.video.pages.page_tables import TableRow, sum_rows, sum_totals

_SPLIT = "split"
"""Last column of all tables: what the video was to the model, `trained` and so on."""
_UNSURE = "unsure"
"""Column of bouts before it: 1 if the score is below that of `unsure_below`."""
_SCORE = COLUMNS.index("mean_score")
_SUM_COLUMNS = (
    _SPLIT,
    "actor",
    "action",
    "tracks",
    "seconds",
    "bouts",
    "mean_score",
    "unsure_seconds",
)


def conclude(
    output: str,
    jobs: Sequence[Job],
    request: Request,
    failures: Mapping[str, str],
    task: Task = ALONE,
) -> None:
    """Write the tables and the page, if every video is finished or has failed.

    Until then, each process keeps its failures in a file of its own in the folder of
    the library, and an earlier `videos.csv` is removed.

    Args:
      output: path of the folder of the library.
      jobs: all videos of the library, also those that other processes predict.
      request: the settings of the prediction.
      failures: {name of a video that failed in this process: the reason}.
      task: this process's share of the videos.

    Raises:
      InputError: a prediction is damaged, or a file cannot be written.
    """
    stem, suffix = os.path.splitext(FAILED)
    task_failures = f"{stem}-{task.number}-of-{task.count}{suffix}"
    _write_failures(os.path.join(output, task_failures), failures)
    pattern = os.path.join(glob.escape(output), f"{stem}-*-of-*{suffix}")
    waiting = sorted(glob.glob(pattern))
    reasons: dict[str, str] = {}
    for path in (os.path.join(output, FAILED), *waiting):
        with contextlib.suppress(FileNotFoundError):
            for name, reason in read_csv(path, CSV_REMEDY):
                reasons[name] = reason

    finished_jobs = []
    missing_names = []
    for job in jobs:
        if request.is_whole(job):
            finished_jobs.append(job)
        else:
            missing_names.append(job.name)
    if not reasons.keys() >= set(missing_names):
        # An earlier table lacks the new videos.
        pathlib.Path(output, VIDEOS_FILE).unlink(missing_ok=True)
        return
    parts = {job.name: read_part(pathlib.Path(job.output)) for job in finished_jobs}
    failed = {name: reasons[name] for name in missing_names}
    _write_files(output, request, parts, failed)
    for path in waiting:
        pathlib.Path(path).unlink(missing_ok=True)
    remove_abandoned_folders(output, HIDDEN)


def _write_files(
    output: str,
    request: Request,
    parts: Mapping[str, Part],
    failed: Mapping[str, str],
) -> None:
    """Write the tables and the page.

    Args:
      parts: {name of a video: `read_part` of its prediction}.
      failed: {name of a video without a prediction: the reason}.
    """
    split_of = splits(parts, request.run)
    video_info = None
    unsure_below = None
    if parts:
        video_info = read_video_info(pathlib.Path(output, next(iter(parts))))
        unsure_below = video_info.unsure_below
    videos = []
    summary: list[tuple] = []
    budget: list[Sequence] = []
    for name, part in parts.items():
        video = (name, part.video_seconds, part.fps)
        split = split_of[name]
        videos.append((*video, split))
        budget += [(*row, split) for row in part.budget]
        if "summary" in request.kinds:
            path = os.path.join(output, name, RESULT_FILES["summary"])
            for row in read_csv(path, CSV_REMEDY):
                individual = f"{name}_{row[0]}"
                score = cell_number(row[_SCORE], path, "mean_score", CSV_REMEDY)
                unsure = _unsure(score, unsure_below)
                summary.append((*video, individual, *row, unsure, split))
    for name in filter(is_own, os.listdir(output)):  # of an earlier call
        pathlib.Path(output, name).unlink(missing_ok=True)
    write_csv(
        os.path.join(output, VIDEOS_FILE),
        [(*time_budget.VIDEO_COLUMNS[:-1], _SPLIT), *videos],
    )
    if "summary" in request.kinds:
        header = (*time_budget.VIDEO_COLUMNS, *COLUMNS, _UNSURE, _SPLIT)
        write_csv(os.path.join(output, SUMMARY), [header, *summary])
    if {"summary", "tracks"} <= set(request.kinds):
        write_csv(
            os.path.join(output, time_budget.TIME_BUDGET),
            [(*time_budget.COLUMNS, _SPLIT), *budget],
        )
    _write_sums(output, table_rows(parts, split_of))
    if video_info is not None and video_info.held_out is not None:
        rows = held_out_table.rows(video_info.held_out)
        write_csv(os.path.join(output, held_out_table.TABLE), rows)
    _write_failures(os.path.join(output, FAILED), failed)
    if "page" in request.kinds:
        write_library_page(
            output,
            parts,
            failed,
            request.run,
            request.notes,
            warning=request.warning,
            curve=request.curve,
        )


def _unsure(score: float, unsure_below: float | None) -> int | None:
    """Return 1 if a bout is unsure, 0 if not; None without a limit of scores."""
    return None if unsure_below is None else int(score < unsure_below)


def _write_sums(output: str, rows: Sequence[TableRow]) -> None:
    """Write how long each pair lasts in the videos of each split."""
    table: list[Sequence] = [_SUM_COLUMNS]
    for row in sum_rows(rows):
        total = sum_totals(row.totals)
        table.append(
            [
                row.split,
                row.actor,
                row.action,
                total.tracks,
                round(total.seconds, 3),
                total.bouts,
                round(total.mean_score, 6),
                round(total.unsure_seconds, 3),
            ]
        )
    write_csv(os.path.join(output, SUMS), table)


def _write_failures(path: str, failures: Mapping[str, str]) -> None:
    if failures:
        write_csv(path, [("video", "reason"), *failures.items()])
    else:
        pathlib.Path(path).unlink(missing_ok=True)
