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
import pathlib
from collections.abc import Sequence

from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.folders import check_output_folder, whole_folder
from a2d_tf.data.record_folder import asked_frames
from a2d_tf.video.choice import choice_folder, chosen_frames
from a2d_tf.video.choice.chosen_frames import NO_RECORDS, Candidate, RecordsInfo

FLAGS = command_line.Register()
_PREDICTION = FLAGS.define_string(
    "prediction", None, "Result folder of a2d predict, of one video or of a library."
)
_COUNT = FLAGS.define_integer(
    "count", 40, "Maximum number of frames to choose.", lower_bound=1
)
_OUTPUT = FLAGS.define_string(
    "output",
    None,
    "Folder in which the chosen frames are written; it must be new or empty.",
)
_RECORDS = FLAGS.define_string(
    "records",
    None,
    "Folder of the records so far: their test videos and annotated frames are not"
    " chosen, and their rare actor-action pairs count as a reason. By default all"
    " frames may be chosen.",
)
_FORMAT = FLAGS.define_enum(
    "format",
    "cvat",
    ["cvat", "coco", "masks"],
    "Format of the annotation files to correct, see a2d export-annotations --help.",
)


def main(argv: list[str]) -> None:
    """Choose frames, write them with their predictions, and print how many."""
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    output = _OUTPUT.value
    check_output_folder(output)
    folders = prediction_folder.folders_of([_PREDICTION.value])
    records = NO_RECORDS
    if _RECORDS.value is not None:
        records = RecordsInfo.read(_RECORDS.value)
    candidates = _find_candidates(folders, records)
    best_frames = chosen_frames.choose(candidates, _COUNT.value)
    with whole_folder(output, replace=False) as new:
        choice_folder.write(best_frames, pathlib.Path(new), _FORMAT.value)
    if _RECORDS.value is not None:
        asked_frames.add(_RECORDS.value, _frames_of_videos(best_frames))
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
    folders: Sequence[pathlib.Path], records: RecordsInfo
) -> list[Candidate]:
    """Return the frames that there is a reason to correct.

    Without any, print so, and return the frames that are farthest from annotated ones.

    Raises:
      InputError: there is no such frame either.
    """
    candidates: list[Candidate] = []
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
    candidates: Sequence[Candidate],
) -> dict[str, list[int]]:
    """Return {video: numbers of its frames}."""
    frames: dict[str, list[int]] = collections.defaultdict(list)
    for candidate in candidates:
        frames[candidate.video].append(candidate.frame)
    return frames


run = command_line.command(main, FLAGS)
