"""Write the folder of chosen frames: a table, sheets to look at, and annotations."""

from __future__ import annotations

import collections
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations.writers import tool_exports
from a2d_tf.annotations.writers.key_frames import select_frames
from a2d_tf.behaviour import prediction_folder
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_csv
from a2d_tf.data.decoding import video_frames
from a2d_tf.evaluation.reports import charts
from a2d_tf.ops import visualize
from a2d_tf.video.choice.chosen_frames import Candidate

_ROWS = 5  # of a sheet
_COLUMNS = 4


class _Row(NamedTuple):
    """A row of `frames.csv`: a chosen frame, its rank from 1, and its reasons."""

    rank: int
    video: str
    frame: int
    second: str
    score: str
    reasons: str


def write(best_frames: Sequence[Candidate], output: pathlib.Path, form: str) -> None:
    """Write the files of the chosen frames into an empty folder.

    These are `frames.csv`, a row for each frame with its reasons; `sheet_1.png` and so
    on with pictures of the frames; and annotations/VIDEO.zip, the predicted instances
    of the frames for an annotation tool.

    Args:
      best_frames: the frames to correct, the best one first.
      output: path of the folder.
      form: name of the format of the annotations, one of `tool_exports.WRITERS`.

    Raises:
      InputError: two predictions are of videos of one name, or lack a result.
    """
    _write_table(best_frames, output / "frames.csv")
    candidates_of: dict[pathlib.Path, list[Candidate]] = collections.defaultdict(list)
    for candidate in best_frames:
        candidates_of[candidate.folder].append(candidate)
    images: dict[Candidate, np.ndarray] = {}
    for folder in sorted(candidates_of):
        candidates = candidates_of[folder]
        _write_annotations(folder, candidates, output / "annotations", form)
        images.update(_read_overlay(folder, candidates))
    _write_sheets(best_frames, images, output)


def _write_annotations(
    prediction: pathlib.Path,
    candidates: Sequence[Candidate],
    output: pathlib.Path,
    form: str,
) -> None:
    """Write a prediction's frames to correct as VIDEO.zip for an annotation tool."""
    numbers = [candidate.frame for candidate in candidates]
    video = select_frames(read_tracked_video(prediction), numbers)
    path = output / f"{video.name}.zip"
    if path.exists():
        raise InputError(
            f"{prediction}: another prediction is of {video.name}; pass only one"
        )
    tool_exports.save(video, str(path), form, masks=form == "masks")


def _read_overlay(
    prediction: pathlib.Path, candidates: Sequence[Candidate]
) -> dict[Candidate, np.ndarray]:
    """Return small images of frames of a prediction's overlay, RGB uint8 [H, W, 3]."""
    candidate_at = {candidate.position: candidate for candidate in candidates}
    overlay = prediction / prediction_folder.RESULT_FILES["overlay"]
    remedy = "predict again with all --results"
    images = {}
    for position, image in video_frames.read(overlay, candidate_at, remedy):
        images[candidate_at[position]] = visualize.shrink(image, 480)
    return images


def _write_table(best_frames: Sequence[Candidate], path: pathlib.Path) -> None:
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
    best_frames: Sequence[Candidate],
    images: Mapping[Candidate, np.ndarray],
    output: pathlib.Path,
) -> None:
    """Write sheets of the frames, the reasons above each.

    Args:
      images: the image of each frame, RGB uint8 [H, W, 3].
    """
    frames_of_sheet = _ROWS * _COLUMNS
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
        (output / name).write_bytes(charts.sheet(panels, _COLUMNS))
