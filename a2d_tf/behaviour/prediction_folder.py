"""The folder of a prediction, which `a2d predict` writes: its files, and their reading.

A library is a folder with the predictions of many videos, each in a folder of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from a2d_tf.annotations.matching.video_names import name_of
from a2d_tf.core.checked_json import check_json, load_json, number, one_of, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_csv
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.runs import held_out_scores, video_splits
from a2d_tf.runs.held_out_scores import HeldOutScores

RESULT_FILES = {
    "overlay": "overlay.mp4",
    "label_maps": "label_maps",
    "detections": "detections.json",
    "tracks": "tracks.json",
    "summary": "summary.csv",
    "frames": "frames.csv",
    "page": "index.html",
}
"""{kind of result, as `--results` names it: its file or folder}."""
VIDEO_FILE = "video.json"
"""The file with facts of the video and its prediction, see `VideoInfo`."""
RESULTS = (*RESULT_FILES.values(), VIDEO_FILE)
"""All files and folders of a prediction."""
RECORD_FILE = "prediction.json"
"""In a library, the file that marks a video as finished, with its settings."""
PART_FILE = "part.json"
"""In a library, the file of a video with its part of the tables, see `library_part`."""
VIDEOS_FILE = "videos.csv"
"""The file of a complete library with the list of its videos."""
SECONDS = number(0, 1e9)
"""Seconds in a JSON file, as a kind of `check_json`."""
REMEDY = "predict the video again"
"""The end of messages on damaged JSON files."""
CSV_REMEDY = "remove it, and predict again"
"""The end of messages on damaged CSV files."""
LEFT_OUT = "left_out"
"""Labels come from a fit without the coded times of the video (`VideoInfo.coded`)."""
SEEN = "seen"
"""Labels come from a fit to coded times, those of the video among them."""
_VIDEO_INFO = {
    "name": str,
    "images": ([str], None),
    "frames": (whole(), None),
    "fps": number(1e-9, 1e9),
    "fps_is_assumed?": bool,
    "height": whole(1, MAX_SIDE),
    "width": whole(1, MAX_SIDE),
    "begin": SECONDS,
    "until": SECONDS,
    "seconds": SECONDS,
    "film_start?": SECONDS,
    "unsure_frames?": whole(),
    "damaged_frames?": whole(),
    "frames_with_extra?": whole(),
    "labels": {},
    "boxes_only?": bool,
    "max_tracks?": (str, None),
    "given_tracks?": bool,
    "detector?": str,
    "kinetics?": bool,
    "held_out?": held_out_scores.KIND,
    "coded?": one_of(LEFT_OUT, SEEN),
    "split?": one_of(*video_splits.SPLITS),
}


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """The facts of a video and its prediction, from `video.json`.

    Attributes:
      name: the name of the video's file, or of its folder of images.
      images: the file names of its images, in order; None for a video file.
      frames: the number of its frames; None if unknown.
      size: (height, width) of its frames in pixels.
      span: (start, end) of the predicted part, in seconds of the video.
      seconds: the length of the video in seconds; if that is unknown, the length of the
        part that was read.
      fps: frames per second, on average.
      fps_is_assumed: whether the rate of a folder of images is unknown, and `fps` was
        assumed.
      labels: the label space of the network.
      boxes_only: whether the network finds no masks; the masks of the prediction fill
        their boxes.
      max_tracks: the largest number of individuals, as --max_tracks of `a2d predict`
        takes it; None for any number.
      given_tracks: whether the tracks were given to the prediction, by a tracker.
      detector: the name of the detector that found the given tracks; None if unknown.
      kinetics: whether the actions are those of Kinetics-400, which I3D knows.
      held_out: how good the model is in held-out videos; None if unknown.
      coded: LEFT_OUT if the labels come from a fit without the coded times of this
        video, SEEN if from a fit with them; None if it has no coded times, or if that
        is unknown.
      model_split: "trained", "held out" or "new": whether the model learned from the
        video, was scored there, or neither; None if that is unknown.
      unsure_frames: the number of frames with instances of which none has a track.
      frames_with_extra: the number of frames with a sure instance beyond `max_tracks`,
        which has no track.
      damaged_frames: the number of damaged frames, as far as the file or its decoder
        says.
      first_frame_time: the time of the first frame in a player, in seconds. All times
        of a prediction count from the first frame.
    """

    name: str
    images: tuple[str, ...] | None
    frames: int | None
    size: tuple[int, int]
    span: tuple[float, float]
    seconds: float
    fps: float
    labels: LabelSpace
    fps_is_assumed: bool = False
    boxes_only: bool = False
    max_tracks: str | None = None
    given_tracks: bool = False
    detector: str | None = None
    kinetics: bool = False
    held_out: HeldOutScores | None = None
    coded: str | None = None
    model_split: str | None = None
    unsure_frames: int = 0
    frames_with_extra: int = 0
    damaged_frames: int = 0
    first_frame_time: float = 0.0

    @property
    def video_name(self) -> str:
        """The name of the video, without the suffix of its file, as in records."""
        return name_of(self.name, is_folder=self.images is not None)

    @property
    def unsure_below(self) -> float | None:
        """The score below which a bout is unsure; None if there is no such limit."""
        return None if self.held_out is None else self.held_out.unsure_below

    @property
    def split(self) -> str | None:
        """Whether the labels were learned from this video: "trained".

        It is "held out" if they were scored there, and else "new"; None if nothing is
        known. If labels come from a fit to coded times, the fit counts, else the model.
        """
        if self.coded == LEFT_OUT:
            return video_splits.HELD_OUT
        if self.coded == SEEN:
            return video_splits.TRAINED
        if self.model_split is None and self.held_out is not None:
            return video_splits.NEW
        return self.model_split


def read_video_info(folder: str | os.PathLike) -> VideoInfo:
    """Read `video.json` of a prediction.

    Args:
      folder: the folder of the prediction.

    Raises:
      InputError: the file is missing or damaged.
    """
    path = os.path.join(folder, VIDEO_FILE)
    fields = load_json(path, _VIDEO_INFO, REMEDY)
    try:
        labels = LabelSpace.from_fields(fields["labels"])
    except ValueError as error:
        raise InputError(f"{path}: labels: {error}; {REMEDY}") from error
    images = fields["images"]
    held_out = None
    if "held_out" in fields:
        held_out = HeldOutScores.from_json(fields["held_out"])
    return VideoInfo(
        name=fields["name"],
        images=None if images is None else tuple(images),
        frames=fields["frames"],
        size=(fields["height"], fields["width"]),
        span=(float(fields["begin"]), float(fields["until"])),
        seconds=float(fields["seconds"]),
        fps=float(fields["fps"]),
        # Predictions of earlier versions have no rate of images.
        fps_is_assumed=fields.get("fps_is_assumed", images is not None),
        labels=labels,
        boxes_only=fields.get("boxes_only", False),
        max_tracks=fields.get("max_tracks"),
        given_tracks=fields.get("given_tracks", False),
        detector=fields.get("detector"),
        kinetics=fields.get("kinetics", False),
        held_out=held_out,
        coded=fields.get("coded"),
        model_split=fields.get("split"),
        unsure_frames=fields.get("unsure_frames", 0),
        frames_with_extra=fields.get("frames_with_extra", 0),
        damaged_frames=fields.get("damaged_frames", 0),
        first_frame_time=float(fields.get("film_start", 0.0)),
    )


def answered_frames(folder: str | os.PathLike) -> list[int]:
    """Return the numbers of the predicted frames, in ascending order.

    These are the frames that have a label map: every frame, or with --every=N each Nth
    one. Numbers count from 1.

    Args:
      folder: the folder of the prediction.

    Raises:
      InputError: there are no label maps.
    """
    label_maps = pathlib.Path(folder, RESULT_FILES["label_maps"])
    if not label_maps.is_dir():
        raise InputError(
            f"{label_maps}: missing; pass a video's prediction that includes label_maps"
        )
    stems = (path.stem for path in label_maps.iterdir())
    return sorted(int(stem) for stem in stems if re.fullmatch("[0-9]{5,9}", stem))


def frame_times(folder: str | os.PathLike) -> dict[int, float]:
    """Return the times of the predicted frames.

    Args:
      folder: the folder of the prediction.

    Returns:
      {number of a frame, from 1: the second of the video at which it begins}, in
      ascending order.

    Raises:
      InputError: there are no label maps, or `video.json` has no time for each.
    """
    frames = answered_frames(folder)
    path = os.path.join(folder, VIDEO_FILE)
    times = load_json(path, {"times": [SECONDS]}, REMEDY)["times"]
    if len(times) != len(frames):
        problem = f"times: {len(times)}, but there are {len(frames)} label maps"
        raise InputError(f"{path}: {problem}; {REMEDY}")
    return dict(zip(frames, times))


def folders_of(paths: Iterable[str]) -> list[pathlib.Path]:
    """Return the folders of the predictions at some paths.

    A prediction is one itself; a library has one for each video, sorted by name. If the
    library is complete, those that its `videos.csv` lists count: other folders are of
    videos that it no longer has.

    Args:
      paths: folders of predictions, or of libraries.

    Raises:
      InputError: a path is neither a prediction nor a library.
    """
    folders: list[pathlib.Path] = []
    for path in map(pathlib.Path, paths):
        if (path / RESULT_FILES["tracks"]).is_file():
            folders.append(path)
            continue
        files = sorted(path.glob(f"[!.]*/{RESULT_FILES['tracks']}"))
        folders_in_library = [file.parent for file in files]
        if (path / VIDEOS_FILE).is_file():
            names = {row[0] for row in read_csv(path / VIDEOS_FILE, CSV_REMEDY)}
            folders_in_library = [
                folder for folder in folders_in_library if folder.name in names
            ]
        if not folders_in_library:
            raise InputError(
                f"{path}: neither a prediction nor a library of predictions, missing "
                f"{RESULT_FILES['tracks']}; create it with a2d predict"
            )
        folders += folders_in_library
    return folders


def read_tracks(folder: str | os.PathLike, kind: Any) -> Iterator[dict]:
    """Yield the tracks of a prediction, the JSON objects in `tracks.json`.

    Args:
      folder: the folder of the prediction.
      kind: {name of a field that a track must have: what its value must be}, as
        `check_json` takes it.

    Raises:
      InputError: the file is missing or damaged; the message names the field.
    """
    return _read_items(folder, "tracks", kind)


def read_detections(folder: str | os.PathLike, kind: Any) -> Iterator[dict]:
    """Yield the detections of a prediction, the JSON objects in `detections.json`.

    A detection is an instance in one frame, with its mask.

    Args:
      folder: the folder of the prediction.
      kind: {name of a field that a detection must have: what its value must be}, as
        `check_json` takes it.

    Raises:
      InputError: the file is missing or damaged; the message names the field.
    """
    return _read_items(folder, "detections", kind)


def _read_items(folder: str | os.PathLike, result: str, kind: Any) -> Iterator[dict]:
    """Yield the items of a JSON list.

    Our lists have an item a line and are read line by line, because a long video's file
    as a whole takes twice its size in memory. A list in another layout, as another
    program may have written it, is read at once.

    Args:
      folder: the folder of the prediction.
      result: the kind of result, a key of RESULT_FILES.
      kind: {name of a field that an item must have: what its value must be}, as
        `check_json` takes it.

    Raises:
      InputError: the file is missing or damaged; the message names the field.
    """
    path = pathlib.Path(folder, RESULT_FILES[result])
    try:
        with open(path, encoding="utf-8") as file:
            for i, item in enumerate(_items_of_lines(file)):
                check_json(item, kind, f"[{i}]")
                yield item
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}; {REMEDY}, with its {result}") from error


def _items_of_lines(file: TextIO) -> Iterator[Any]:
    """Yield the items of a JSON list, line by line if each is on a line of its own."""
    last = ""  # line that is not blank
    for line in file:
        text = line.strip().rstrip(",")
        last = text or last
        if text in ("", "[", "]", "[]"):
            continue
        if text in ("{", "[{"):  # an item over several lines
            file.seek(0)
            yield from json.load(file)
            return
        value = json.loads(text)
        yield from value if isinstance(value, list) else [value]
    if not last.endswith("]"):
        raise ValueError("truncated")
