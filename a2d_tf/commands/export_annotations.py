"""Write a prediction for an annotation tool, as tracks to correct there.

  a2d export-annotations --prediction=out --format=cvat --output=clip1.zip
  a2d export-annotations --prediction=out_clips --format=boris --output=events.tsv

The prediction is a folder of a2d predict. Its tracks become polygons, or masks with
--shapes=masks, or boxes if the network finds no masks. Key frames are every fifth frame
(--every), and each frame in which a track begins, ends or changes its action. CVAT
interpolates boxes, so key frames that it interpolates with an IoU above --min_iou are
left out. Formats:

  cvat     CVAT for video 1.1: .xml or .zip
  coco     COCO with CVAT's attributes: .json or .zip
  labelme  LabelMe, a JSON for each frame: a folder or .zip
  masks    PNGs of masks as for SAM 2 and Cutie, and objects.csv: a folder or .zip
  boris    times alone, of a prediction or a library: a project that BORIS opens,
           .boris, else its tabular events, .csv or .tsv

A label is the actor and has the attribute 'action'; in labelme it is 'actor-action'.
Tracks keep their numbers, in cvat in the attribute 'name'. If masks overlap in the
format masks, the track with the higher score wins. a2d records reads all formats but
boris, corrected or not.
"""

from __future__ import annotations

import os

from a2d_tf.annotations.writers import tool_exports
from a2d_tf.annotations.writers.key_frames import interpolate_boxes, keep_key_frames
from a2d_tf.behaviour import boris, bouts, prediction_folder
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError

FLAGS = command_line.Register()
_PREDICTION = FLAGS.define_string(
    "prediction",
    None,
    "Result folder of a2d predict for one video; with --format=boris also a library.",
)
_FORMAT = FLAGS.define_enum(
    "format",
    "cvat",
    [*tool_exports.WRITERS, "boris"],
    "Format of the annotation tool; the formats are listed above.",
)
_OUTPUT = FLAGS.define_string(
    "output", None, "File, zip or folder to write, by the format."
)
_SHAPES = FLAGS.define_enum(
    "shapes",
    "polygons",
    ["polygons", "masks"],
    "Shapes of the instances: polygons, or masks, which are exact at borders.",
)
_EVERY = FLAGS.define_integer(
    "every", 5, "Number of video frames from one key frame to the next.", lower_bound=1
)
_MIN_IOU = FLAGS.define_float(
    "min_iou",
    0.95,
    "Leave out a key frame if CVAT interpolates its box with an overlap (IoU, from 0 to"
    " 1) above this.",
    0,
    1,
)
_MIN_SCORE = FLAGS.define_float(
    "min_score",
    0.0,
    "Leave out tracks whose mean score, from 0 to 1, is lower; 0 keeps all tracks.",
    0,
    1,
)
_VIDEO = FLAGS.define_string(
    "video",
    None,
    "Name of the video in the tool; by default the name of the predicted file.",
)


def main(argv: list[str]) -> None:
    """Export a prediction to an annotation tool, and print what was written."""
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    if _FORMAT.value == "boris":
        print(_export_times(_PREDICTION.value, _OUTPUT.value))
    else:
        print(_export_shapes(_PREDICTION.value, _OUTPUT.value, _FORMAT.value))


def _export_times(folder: str, output: str) -> str:
    """Write the bouts of a prediction or library for BORIS; return a summary."""
    predictions = bouts.read_all(
        prediction_folder.folders_of([folder]), _MIN_SCORE.value
    )
    if output.lower().endswith(".boris"):
        boris.write_project(output, predictions)
    elif output.lower().endswith((".csv", ".tsv")):
        boris.write_events(output, predictions)
    else:
        raise InputError(
            f"--output={output}: use .csv, .tsv or, for video files only, .boris"
        )
    count = 0
    for prediction in predictions:
        for track in prediction.tracks:
            count += len(track.bouts)
    return f"{output}: {count} bouts in {len(predictions)} videos (boris)"


def _export_shapes(folder: str, output: str, form: str) -> str:
    """Write the tracks of a prediction as shapes; return a summary."""
    tool_exports.check_output(output, form)
    source = None
    if _VIDEO.value:
        source = os.path.basename(_VIDEO.value)
    video = read_tracked_video(os.path.normpath(folder), _MIN_SCORE.value, source)
    video = keep_key_frames(video, _EVERY.value)
    if form == "cvat" and video.boxes_only:
        video = interpolate_boxes(video, _MIN_IOU.value)
    masks = _SHAPES.value == "masks" or form == "masks"
    tool_exports.save(video, output, form, masks=masks)
    shapes = 0
    for track in video.tracks:
        for shape in track.shapes:
            if shape.interpolated_box is None:
                shapes += 1
    # Where a track changes its actor, its parts have one number.
    numbers = {track.number for track in video.tracks}
    kind = "polygons"
    if video.boxes_only:
        kind = "boxes"
    elif masks:
        kind = "masks"
    return (
        f"{output}: {len(numbers)} tracks with {shapes} {kind} in"
        f" {len(video.frames)} frames of {video.source} ({form})"
    )


run = command_line.command(main, FLAGS)
