"""Choose the frames of predicted videos to correct next, for an annotation tool.

  a2d next --prediction=out_clips --count=40 --output=next
  a2d next --prediction=out --records=records --format=coco --output=next

The prediction is a folder of a2d predict, of one video or a library. A frame is chosen
if two labels of an instance are close, a track changes its label or is lost, two tracks
overlap, or a pair is rare in the records. Frames are spread over videos and time: those
of a video are half a second apart, so there may be fewer than --count.

With --records, test videos are left out, and so are frames within half a second of an
annotated frame, unless no others are left. Of a video without annotated frames some are
chosen even if its labels are sure. The records note the frames in
asked_frames.json: a later round trains on them. The output is a new folder:

  frames.csv    the frames, best first, with the reasons
  sheet_1.png   the frames to look at, with the boxes of the prediction and the reasons
  annotations/  for each video a .zip with the prediction of these frames; corrected in
                the tool, it is an input of a2d records
"""

from __future__ import annotations

import collections
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations.writers import tool_exports
from a2d_tf.annotations.writers.tracked_video import select_frames
from a2d_tf.behaviour import prediction_folder
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_csv
from a2d_tf.core.folders import check_output_folder, whole_folder
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.record_folder import asked_frames
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.evaluation.reports import charts
from a2d_tf.ops import visualize
from a2d_tf.video.choice import chosen_frames

FLAGS = command_line.Register()
_PREDICTION = FLAGS.define_string(
    "prediction", None, "Folder of a prediction, or of a library."
)
_COUNT = FLAGS.define_integer(
    "count", 40, "Maximum number of frames to choose.", lower_bound=1
)
_OUTPUT = FLAGS.define_string("output", None, "Folder to write; new or empty.")
_RECORDS = FLAGS.define_string(
    "records", None, "Records whose frames are skipped and whose rare pairs come first."
)
_FORMAT = FLAGS.define_enum(
    "format", "cvat", ["cvat", "coco", "masks"], "Format of the annotations."
)

_ROWS = 5  # of a sheet
_ACROSS = 4


class _Row(NamedTuple):
    """A row of frames.csv."""

    rank: int
    video: str
    frame: int
    second: str
    score: str
    reasons: str


def main(argv: list[str]) -> None:
    """Choose frames, write them with their predictions, and print how many."""
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    output = _OUTPUT.value
    check_output_folder(output)
    folders = prediction_folder.folders_of([_PREDICTION.value])
    records = chosen_frames.NO_RECORDS
    if _RECORDS.value is not None:
        records = _read_records(_RECORDS.value)
    candidates = _find_candidates(folders, records)
    best_frames = chosen_frames.choose(candidates, _COUNT.value)
    if _RECORDS.value is not None:
        asked_frames.add(_RECORDS.value, _frames_of_videos(best_frames))
    with whole_folder(output, replace=False) as new:
        write(best_frames, pathlib.Path(new), _FORMAT.value)
    videos = len({candidate.folder for candidate in best_frames})
    line = f"{output}: {len(best_frames)} frames of {videos} videos ({_FORMAT.value})"
    if _RECORDS.value is None:
        line += "; a round trains on what is asked for with --records of the one before"
    else:
        line += (
            f"; corrected, they train after {_RECORDS.value}, as by a2d start --after"
        )
    print(line)


def _find_candidates(
    folders: Sequence[pathlib.Path], records: chosen_frames.RecordsInfo
) -> list[chosen_frames.Candidate]:
    """Return the frames that there is a reason to correct, else say why there are none.

    Then they are those that are not annotated.

    Raises:
      InputError: there is no other frame.
    """
    candidates: list[chosen_frames.Candidate] = []
    for folder in folders:
        candidates += chosen_frames.find_candidates(folder, records)
    if candidates:
        return candidates
    for folder in folders:
        candidates += chosen_frames.find_least_near(folder, records)
    videos = {candidate.folder for candidate in candidates}
    others = ""
    if len(videos) < len(folders):
        others = f" ({len(folders) - len(videos)} others are tested or annotated whole)"
    if not candidates:
        raise InputError(
            f"--prediction={_PREDICTION.value}: no frame to choose, as all videos are"
            " tested or annotated in every frame; predict further videos"
        )
    print(
        f"no frame of {len(videos)} videos{others} has a reason to be corrected and"
        f" is {chosen_frames.APART:g} s or more from annotated ones: those that are"
        " least near to these are chosen; frames of further videos teach more"
    )
    return candidates


def _frames_of_videos(
    candidates: Sequence[chosen_frames.Candidate],
) -> dict[str, list[int]]:
    """Return {video: numbers of its frames}."""
    frames: dict[str, list[int]] = collections.defaultdict(list)
    for candidate in candidates:
        frames[candidate.video].append(candidate.frame)
    return frames


def _read_records(folder: str) -> chosen_frames.RecordsInfo:
    """Return what records say of the frames to choose."""
    manifest = Manifest.load(folder)
    labels = manifest.label_space
    pairs = manifest.counts.get("train", {}).get("pairs", {})
    annotated_frames: dict[str, list[int]] = collections.defaultdict(list)
    for record in read_records(manifest, manifest.splits):
        annotated_frames[record.truth.video].append(record.truth.frame)
    return chosen_frames.RecordsInfo(
        counts={labels.name(int(code)): count for code, count in pairs.items()},
        annotated_frames=annotated_frames,
        held_out=manifest.videos("test"),
    )


def write(
    best_frames: list[chosen_frames.Candidate], output: pathlib.Path, form: str
) -> None:
    """Write the files of the frames to correct into an empty folder.

    Args:
      best_frames: the best one first.
      form: one of `tool_exports.WRITERS`.
    """
    _write_table(best_frames, output / "frames.csv")
    images = {}
    for folder in sorted({candidate.folder for candidate in best_frames}):
        candidates = {}  # by their position among the answered frames
        for candidate in best_frames:
            if candidate.folder == folder:
                candidates[candidate.position] = candidate
        numbers = [candidate.frame for candidate in candidates.values()]
        video = select_frames(read_tracked_video(folder), numbers)
        path = str(output / "annotations" / f"{video.name}.zip")
        if os.path.exists(path):
            raise InputError(
                f"{folder}: another prediction is of {video.name}; pass only one"
            )
        tool_exports.save(video, path, form, masks=form == "masks")
        overlay = folder / prediction_folder.RESULT_FILES["overlay"]
        remedy = "predict again with all --results"
        for position, image in video_frames.read(overlay, candidates, remedy):
            images[candidates[position]] = visualize.shrink(image, 480)
    _write_sheets(best_frames, images, output)


def _write_table(
    best_frames: list[chosen_frames.Candidate], path: pathlib.Path
) -> None:
    """Write frames.csv."""
    rows = []
    for rank, candidate in enumerate(best_frames, 1):
        row = _Row(
            rank=rank,
            video=candidate.video,
            frame=candidate.frame,
            second=f"{candidate.seconds:.3f}",
            score=f"{candidate.score:.3f}",
            reasons="; ".join(candidate.reasons),
        )
        rows.append(row)
    write_csv(path, [_Row._fields, *rows])


def _write_sheets(
    best_frames: list[chosen_frames.Candidate],
    images: dict[chosen_frames.Candidate, np.ndarray],
    output: pathlib.Path,
) -> None:
    """Write the frames on sheets, with their reasons.

    Args:
      images: RGB uint8 [H, W, 3].
    """
    frames_of_sheet = _ROWS * _ACROSS
    for first in range(0, len(best_frames), frames_of_sheet):
        panels = []
        candidates = best_frames[first : first + frames_of_sheet]
        for rank, candidate in enumerate(candidates, first + 1):
            lines = [
                f"{rank}. {candidate.video}, frame {candidate.frame},"
                f" {candidate.seconds:.2f} s"
            ]
            for reason in candidate.reasons:
                lines.append(textwrap.fill(reason, 60))
            panels.append(charts.Panel("\n".join(lines), images[candidate]))
        name = f"sheet_{first // frames_of_sheet + 1}.png"
        (output / name).write_bytes(charts.sheet(panels, _ACROSS))


run = command_line.command(main, FLAGS)
