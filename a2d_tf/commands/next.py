"""Choose the frames of predicted videos to correct next, and write them for an
annotation tool.

  a2d next --prediction=out_clips --count=40 --output=next
  a2d next --prediction=out --records=records --format=coco --output=next

The prediction is a folder of a2d predict, of one video or a library. Frames are chosen
where two labels of an instance are close, a track changes its label or is lost, two
tracks overlap, or a pair is rare in the records. They are spread over videos and time.
With --records, none is of a test video, or within half a second of an annotated frame.
The output, a new folder, has

  frames.csv    the frames, best first, with the reasons
  sheet_1.png   the frames to look at, with the boxes of the prediction and the reasons
  annotations/  for each video a .zip with the prediction of these frames; corrected in the tool, it
                is an input of a2d records
"""

from __future__ import annotations

import collections
import os
import pathlib
import textwrap

from a2d_tf.annotations import writers
from a2d_tf.behaviour import prediction_folder
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_csv
from a2d_tf.core.folders import check_output_folder, whole_folder
from a2d_tf.data import inspection, video_frames
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation.reports import charts
from a2d_tf.ops import visualize
from a2d_tf.video import choice

FLAGS = command_line.Register()
_PREDICTION = FLAGS.define_string(
    "prediction", None, "Folder of a prediction, or of a library."
)
_COUNT = FLAGS.define_integer(
    "count", 40, "Maximum number of frames to choose.", lower_bound=1
)
_OUTPUT = FLAGS.define_string("output", None, "Folder to write; new or empty.")
_RECORDS = FLAGS.define_string(
    "records", None, "Records, to skip their frames and prefer rare pairs."
)
_FORMAT = FLAGS.define_enum(
    "format", "cvat", ["cvat", "coco", "masks"], "Format of the annotations."
)

_COLUMNS = ("rank", "video", "frame", "second", "score", "reasons")
_ROWS, _ACROSS = 5, 4  # of a sheet


def main(argv: list[str]) -> None:
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    output = _OUTPUT.value
    check_output_folder(output)
    folders = prediction_folder.folders_of([_PREDICTION.value])
    said = {} if _RECORDS.value is None else _contents(_RECORDS.value)
    listed = [one for folder in folders for one in choice.candidates(folder, **said)]
    chosen = choice.choose(listed, _COUNT.value)
    with whole_folder(output, replace=False) as new:
        write(chosen, pathlib.Path(new), _FORMAT.value)
    videos = len({candidate.folder for candidate in chosen})
    left = "; without test videos and what is near annotated frames" if said else ""
    print(f"{output}: {len(chosen)} frames of {videos} videos ({_FORMAT.value}){left}")


def _contents(records):
    """{argument of `choice.candidates`: what records say of it}."""
    manifest = Manifest.load(records)
    pairs, labels = (
        manifest.counts.get("train", {}).get("pairs", {}),
        manifest.label_space,
    )
    known: dict[str, list[int]] = collections.defaultdict(list)
    for *_, truth in inspection.read(manifest, manifest.splits):
        known[truth.video].append(truth.frame)
    counts = {labels.name(int(code)): count for code, count in pairs.items()}
    return {"counts": counts, "known": known, "held_out": manifest.videos("test")}


def write(chosen: list[choice.Candidate], output: pathlib.Path, form: str) -> None:
    """Write the files of chosen frames into an empty folder; `form` is of
    `writers.WRITERS`.
    """
    rows = [
        (
            i,
            x.video,
            x.frame,
            f"{x.seconds:.3f}",
            f"{x.score:.3f}",
            "; ".join(x.reasons),
        )
        for i, x in enumerate(chosen, 1)
    ]
    write_csv(output / "frames.csv", [_COLUMNS, *rows])
    pictures = {}
    for folder in sorted({one.folder for one in chosen}):
        own = {one.place: one.frame for one in chosen if one.folder == folder}
        video = read_tracked_video(folder)
        path, masks = str(output / "annotations" / f"{video.name}.zip"), form == "masks"
        if os.path.exists(path):
            raise InputError(
                f"{folder}: another prediction is of {video.name}; pass only one"
            )
        writers.save(video, path, form, masks, frames=own.values())
        overlay = folder / prediction_folder.RESULT_FILES["overlay"]
        for place, picture in video_frames.read(
            overlay, own, "predict again with all --results"
        ):
            pictures[folder, own[place]] = visualize.shrunk(picture, 480)
    most = _ROWS * _ACROSS
    for first in range(0, len(chosen), most):
        page = [
            (
                f"{rank}. {one.video}, frame {one.frame}, {one.seconds:.2f} s\n"
                + "\n".join(textwrap.fill(reason, 60) for reason in one.reasons),
                pictures[one.folder, one.frame],
            )
            for rank, one in enumerate(chosen[first : first + most], first + 1)
        ]
        drawn = charts.sheet(page, _ACROSS)
        (output / f"sheet_{first // most + 1}.png").write_bytes(drawn)


run = command_line.command(main, FLAGS)
