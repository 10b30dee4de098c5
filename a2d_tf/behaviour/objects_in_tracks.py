"""Score predicted tracks by the annotated objects that they find.

A predicted object is a track in a frame: its label there, at any score, with the mask
or the box that it has there. `object_matching` says which objects it finds.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.behaviour.prediction_folder import (
    REMEDY,
    SECONDS,
    VIDEO_FILE,
    VideoInfo,
    read_tracks,
    read_video_info,
)
from a2d_tf.behaviour.track_masks import TrackMasks
from a2d_tf.core.checked_json import kind_of, load_json, number, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.frames.label_maps import TRACK_MAPS, write_png
from a2d_tf.evaluation.own_labels import object_matching
from a2d_tf.evaluation.own_labels.object_matching import (
    ObjectCounts,
    PredictedObjects,
    TrueObjects,
)
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores

_BOUT = {"start_frame": whole(1), "end_frame": whole(1), "mean_score": number(0, 1)}
_TIMES = {
    "every": whole(1),
    "begin": SECONDS,
    "first_frame?": whole(1),
    "fps": number(1e-9, 1e9),
    "times": list,
}


class _Row(NamedTuple):
    """A track in one frame.

    Attributes:
      code: the code of its actor and action there, in the labels of the truth.
      score: its score there.
      bout_score: the mean score of its bout, by which pages call the bout unsure.
      bbox: its box, COCO's [x, y, width, height].
      mask: its mask, a COCO RLE.
    """

    code: int
    score: float
    bout_score: float
    bbox: list[float]
    mask: dict[str, Any]


def score(
    truth: Truth, library: str | os.PathLike, labels: LabelSpace, folder: pathlib.Path
) -> ObjectScores:
    """Score the predicted tracks in annotated frames, and write their label maps.

    The maps are `track_maps/<VID>/<frame>.png` in the folder of scores. If only every
    Nth frame was predicted, the nearest of these stands for an annotated frame.
    Annotated frames outside of the predicted part of a video do not count.

    Args:
      truth: the annotated objects on the frames of some videos.
      library: a folder with a prediction for each of these videos, in a folder with the
        video's name; it may have more.
      labels: the label space of the truth.
      folder: the folder of scores.

    Returns:
      the counts of annotated, found and predicted objects, pair by pair.

    Raises:
      InputError: a video has no prediction, or one that lacks tracks or detections, or
        one with labels that `labels` lacks.
    """
    objects = ObjectCounts()
    answers = []
    videos = []
    frame_count = 0
    for video, indices in _frames_of_videos(truth).items():
        prediction = pathlib.Path(library, video)
        answered_of = _answered_frames(prediction, indices)
        info = read_video_info(prediction)
        answered = set(answered_of.values())
        rows_of = _rows_of_frames(prediction, info, answered, labels)
        for frame, index in indices.items():
            name = truth.frames[index]
            rows: list[_Row] = []
            if frame in answered_of:
                rows = rows_of[answered_of[frame]]
            predicted = _predicted_objects(rows)
            label_map = _painted(predicted, info.size, labels)
            write_png(folder / TRACK_MAPS / f"{name}.png", label_map)
            if frame not in answered_of:
                continue
            true_objects = _true_objects(truth, index)
            matched = object_matching.match_frame(
                true_objects.codes,
                predicted.codes,
                object_matching.overlaps(true_objects, predicted),
            )
            objects.add(name, true_objects.codes, matched)
            for row, is_right in zip(rows, matched.is_right.tolist()):
                answers.append([row.bout_score, is_right])
        videos.append(video)
        frame_count += len(answered_of)
    pairs = {}
    for code in labels.codes:
        pairs[labels.name(code)] = dataclasses.replace(
            objects.pair(code, labels), taken_for=objects.taken_for(code, labels)
        )
    return ObjectScores(videos, frame_count, pairs, objects.mistakes, answers)


def _frames_of_videos(truth: Truth) -> dict[str, dict[int, int]]:
    """Return {video: {number of a frame: its index in the truth}}."""
    frames: dict[str, dict[int, int]] = collections.defaultdict(dict)
    for index, name in enumerate(truth.frames.tolist()):
        video, number_in_video = name.rsplit("/", 1)
        frames[video][int(number_in_video)] = index
    return frames


def _true_objects(truth: Truth, frame: int) -> TrueObjects:
    """Return the annotated objects of a frame, by the index of the frame."""
    rows = np.flatnonzero(truth.box_frame == frame)
    masks = [None for _ in rows]
    if truth.masks is not None:
        masks = [truth.masks[i] for i in rows]
    return TrueObjects(
        codes=truth.codes[rows],
        boxes=truth.boxes[rows],
        has_mask=np.array([mask is not None for mask in masks], bool),
        masks=masks,
    )


def _answered_frames(
    prediction: pathlib.Path, frames: Collection[int]
) -> dict[int, int]:
    """Return {annotated frame: nearest predicted frame}, without frames outside."""
    facts = load_json(prediction / VIDEO_FILE, _TIMES, REMEDY)
    every = facts["every"]
    # Earlier versions do not say it. It is right if the frame rate is constant.
    first = facts.get("first_frame", round(facts["begin"] * facts["fps"]) + 1)
    nearest = {}
    for frame in sorted(frames):
        count = len(facts["times"])
        if first <= frame < first + count * every:
            step = min(round((frame - first) / every), count - 1)
            nearest[frame] = first + step * every
    return nearest


def _rows_of_frames(
    prediction: pathlib.Path,
    info: VideoInfo,
    frames: Collection[int],
    labels: LabelSpace,
) -> dict[int, list[_Row]]:
    """Return {frame: its tracks, the best first}.

    Args:
      prediction: the folder of the prediction.
      info: the facts of its video.
      frames: the numbers of the frames to read.
      labels: the label space of the codes in the result.
    """
    masks = TrackMasks.read(prediction, info.size, frames)
    code_of = _codes(prediction, info.labels, labels)
    row_kind = {
        "frame": whole(1),
        "category_id": kind_of(
            lambda value: type(value) is int and value in code_of,
            "the code of a pair of its labels",
        ),
        "score": number(0, 1),
        "bbox": coco_json.check_bbox,
    }
    kind = {"track_id": whole(1), "actions": [_BOUT], "frames": [row_kind]}
    rows: dict[int, list[_Row]] = {frame: [] for frame in frames}
    for track in read_tracks(prediction, kind):
        for row in track["frames"]:
            frame = row["frame"]
            if frame in rows:
                code = code_of[row["category_id"]]
                mask = masks.of(frame, track["track_id"])
                rows[frame].append(
                    _Row(
                        code=code,
                        score=row["score"],
                        bout_score=_bout_score(track["actions"], frame),
                        bbox=row["bbox"],
                        mask=mask,
                    )
                )
    for of_frame in rows.values():
        of_frame.sort(key=lambda row: -row.score)
    return rows


def _bout_score(bouts: Sequence[Mapping[str, Any]], frame: int) -> float:
    """Return the mean score of a track's bout in a frame; 0 without one."""
    for bout in bouts:
        if bout["start_frame"] <= frame <= bout["end_frame"]:
            return bout["mean_score"]
    return 0.0


def _codes(
    prediction: pathlib.Path, predicted_labels: LabelSpace, labels: LabelSpace
) -> dict[int, int]:
    """Return {code in a prediction: code of the same pair in other labels}.

    Args:
      prediction: the folder of the prediction, for messages.
      predicted_labels: the label space of the prediction.
      labels: the other label space.

    Raises:
      InputError: the other label space lacks a pair of the prediction.
    """
    code_of_name = {labels.name(code): code for code in labels.codes}
    codes = {}
    for code in predicted_labels.codes:
        name = predicted_labels.name(code)
        if name not in code_of_name:
            raise InputError(
                f"{prediction / VIDEO_FILE}: labels: the annotations know no {name};"
                " use predictions of a model with their labels"
            )
        codes[code] = code_of_name[name]
    return codes


def _predicted_objects(rows: Sequence[_Row]) -> PredictedObjects:
    """Return the tracks of a frame as predicted objects."""
    return PredictedObjects(
        codes=np.array([row.code for row in rows], np.int64),
        boxes=coco_json.corner_boxes([row._asdict() for row in rows]),
        masks=[row.mask for row in rows],
    )


def _painted(
    predicted: PredictedObjects, size: tuple[int, int], labels: LabelSpace
) -> np.ndarray:
    """Return the label map of predicted objects, the best on top: [H, W]."""
    label_map: np.ndarray = np.zeros(size, labels.code_dtype)
    for code, mask in reversed(list(zip(predicted.codes, predicted.masks))):
        label_map[rle_tools.decode(mask) > 0] = code
    return label_map
