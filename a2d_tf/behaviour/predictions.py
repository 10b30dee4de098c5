"""A prediction's folder: which files it has, and how they are read back."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from a2d_tf.annotations.tracked_video import Shape, TrackedVideo, TrackShapes
from a2d_tf.core.checked_json import check_json, kind_of, load_json, number, whole
from a2d_tf.core.errors import MAX_SIDE, InputError, quoted
from a2d_tf.core.files import is_file_name, read_csv
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import runs_of

RESULT_FILES = {
    "overlay": "overlay.mp4",
    "label_maps": "label_maps",
    "detections": "detections.json",
    "tracks": "tracks.json",
    "summary": "summary.csv",
    "page": "index.html",
}
"""Kind of result, as `--results` names it -> its file or folder."""
VIDEO = "video.json"
RESULTS = (*RESULT_FILES.values(), VIDEO)
RECORD = "prediction.json"  # of a video of a library, see `library`
PART = "part.json"  # of a video of a library, see `pages.part`
VIDEOS = "videos.csv"  # of a whole library: its videos
SECONDS = number(0, 1e9)
_REMEDY = "predict the video again"
_FACTS = {
    "name": str,
    "images": ([str], None),
    "frames": (whole(), None),
    "fps": number(1e-9, 1e9),
    **dict.fromkeys(("height", "width"), whole(1, MAX_SIDE)),
    **dict.fromkeys(("begin", "until", "seconds"), SECONDS),
    **dict.fromkeys(
        ("unsure_frames?", "damaged_frames?", "frames_with_extra?"), whole()
    ),
    "labels": LabelSpace.from_fields,
    "boxes_only?": bool,
    "max_tracks?": (str, None),
}
_DETECTION = {"image_id": whole(), "track_id": whole(), "segmentation": {"counts": str}}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What `video.json` says of a prediction's video.

    Attributes:
      name: of its file, or of its folder of images.
      images: file names of its images, in order; None for a video file.
      frames: number of its frames; None if unknown.
      size: (height, width), pixels.
      span: (start, end) of what was segmented, seconds in the video.
      seconds: how long the video lasts, or was read where that is unknown.
      fps: frames a second, on average.
      boxes_only: whether the network finds no masks: those there fill their boxes.
      max_tracks: the number of individuals, as for `tracking.Linking`; None: any.
      unsure_frames: in how many frames there are instances of which none has a track.
      frames_with_extra: in how many a sure instance was beyond that number, and has no
        track.
      damaged_frames: how many are damaged, as far as the file or its decoder says so.
    """

    name: str
    images: tuple[str, ...] | None
    frames: int | None
    size: tuple[int, int]
    span: tuple[float, float]
    seconds: float
    fps: float
    labels: LabelSpace
    boxes_only: bool = False
    max_tracks: str | None = None
    unsure_frames: int = 0
    frames_with_extra: int = 0
    damaged_frames: int = 0

    @property
    def cells(self) -> tuple[float, float]:
        """Seconds and frames a second, as in tables."""
        return round(self.seconds, 3), round(self.fps, 3)


def read_facts(folder: str | os.PathLike) -> Facts:
    """Read the facts of a prediction; InputError where `video.json` is missing or
    damaged.
    """
    fields = load_json(os.path.join(folder, VIDEO), _FACTS, _REMEDY)
    fields |= {
        name: float(fields[name]) for name in ("begin", "until", "seconds", "fps")
    }
    kept = {field.name for field in dataclasses.fields(Facts)} & fields.keys()
    return Facts(
        **{name: fields[name] for name in kept - {"images", "labels"}},
        images=None if fields["images"] is None else tuple(fields["images"]),
        size=(fields["height"], fields["width"]),
        span=(fields["begin"], fields["until"]),
        labels=LabelSpace.from_fields(fields["labels"]),
    )


def times(folder: str | os.PathLike) -> dict[int, float]:
    """Return {1-based number: second at which it begins} of the answered frames,
    ascending; InputError where there are no label maps, or no times in `video.json`.
    """
    numbers = answered(folder)
    seconds = load_json(os.path.join(folder, VIDEO), {"times": [SECONDS]}, _REMEDY)[
        "times"
    ]
    if len(seconds) != len(numbers):
        problem = f"times: {len(seconds)}, but there are {len(numbers)} label maps"
        raise InputError(f"{os.path.join(folder, VIDEO)}: {problem}; {_REMEDY}")
    return dict(zip(numbers, seconds))


def answered(folder: str | os.PathLike) -> list[int]:
    """Return the 1-based numbers of the frames that have a label map, ascending."""
    maps = pathlib.Path(folder, RESULT_FILES["label_maps"])
    if not maps.is_dir():
        raise InputError(
            f"{maps}: missing; pass a video's prediction that includes label_maps"
        )
    return sorted(
        int(p.stem) for p in maps.iterdir() if re.fullmatch("[0-9]{5,9}", p.stem)
    )


def folders_of(paths: Iterable[str]) -> list[pathlib.Path]:
    """Return the folders of predictions: those given, and those in a library given, by
    name.

    Of a whole library only those that its VIDEOS list: others are of videos that it has
    no more. InputError where a path has none.
    """
    found: list[pathlib.Path] = []
    for path in map(pathlib.Path, paths):
        tracks = [path / RESULT_FILES["tracks"]]
        if not tracks[0].is_file():
            tracks = sorted(path.glob(f"[!.]*/{RESULT_FILES['tracks']}"))
            if (path / VIDEOS).is_file():
                listed = {row[0] for row in read_csv(path / VIDEOS)}
                tracks = [file for file in tracks if file.parent.name in listed]
        if not tracks:
            raise InputError(
                f"{path}: neither a prediction nor a library of predictions, missing "
                f"{RESULT_FILES['tracks']}; create it with a2d predict"
            )
        found += [file.parent for file in tracks]
    return found


def read_tracks(
    folder: str | os.PathLike, kind: Any, hook: Callable[[dict], Any] | None = None
) -> list[dict]:
    """Read `tracks.json`, which has a track a line.

    Line by line, because a long video's file as a whole takes twice its size in memory.

    Args:
      kind: what a track must hold, as for `check_json`.
      hook: what is made of each object, as for `json.loads`.

    Raises:
      InputError: the file is missing or damaged; names the field.
    """
    path, rows, text = pathlib.Path(folder, RESULT_FILES["tracks"]), [], ""
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                text = line.strip().rstrip(",")
                if text not in "[]":
                    found = json.loads(text, object_hook=hook)
                    rows += found if isinstance(found, list) else [found]
        if not text.endswith("]"):
            raise ValueError("truncated")
        check_json(rows, [kind])
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}; {_REMEDY}, with its tracks") from error
    return rows


def _masks(path, height, width):
    """{(frame, track): its RLE, or None where no pixel is in it}."""
    masks: dict[tuple[int, int], dict | None] = {}

    def take(entry: Any) -> None:
        check_json(entry, _DETECTION)
        counts = entry["segmentation"]["counts"]
        rle = {"size": [height, width], "counts": counts}
        filled = any(runs_of(counts, height * width)[1::2])
        masks[entry["image_id"], entry["track_id"]] = rle if filled else None

    load_json(path, [take], _REMEDY)
    return masks


def _shapes(folder, facts, min_score):
    """{(track, actor): its shapes, in order of time}; arguments as of `read`."""
    labels = facts.labels
    code = kind_of(
        lambda value: type(value) is int and labels.knows(value), "a code of its labels"
    )
    row_kind = {"frame": whole(), "category_id": code, "score": number(0, 1)}
    kind = {"track_id": whole(), "mean_score": number(0, 1), "frames": [row_kind]}
    masks = _masks(os.path.join(folder, RESULT_FILES["detections"]), *facts.size)
    shapes: dict[tuple[int, str], list[Shape]] = collections.defaultdict(list)
    for track in read_tracks(folder, kind):
        identity = track["track_id"]
        for row in track["frames"] if track["mean_score"] >= min_score else ():
            actor, action = labels.split(row["category_id"])
            place = row["frame"], identity
            if place not in masks:
                problem = f"track {identity} has no detection in frame {row['frame']}"
                raise InputError(f"{folder}: {problem}; {_REMEDY}")
            mask = masks[place]
            if mask:
                shape = Shape(
                    row["frame"], labels.actions[action - 1], mask, score=row["score"]
                )
                shapes[identity, labels.actors[actor - 1]].append(shape)
    return shapes


def read(
    folder: str | os.PathLike, min_score: float = 0.0, source: str | None = None
) -> TrackedVideo:
    """Read the tracks of a prediction, with labels that are steadier than the
    detections'.

    A track has one actor: where its actor changes, another track begins. Masks without
    a pixel are left out.

    Args:
      folder: with `tracks.json`, `detections.json`, `label_maps` and `video.json`.
      min_score: tracks with a lower mean score are left out.
      source: name of the video's file; by default as in `video.json`.

    Raises:
      InputError: a file is missing or damaged; names the field.
    """
    numbers, facts = answered(folder), read_facts(folder)
    labels, source = facts.labels, source or facts.name
    if not is_file_name(source):
        raise InputError(
            f"{os.path.join(folder, VIDEO)}: name: {quoted(source)} is not a file name;"
            " pass --video"
        )
    shapes = _shapes(folder, facts, min_score)
    actions: dict[str, list[str]] = collections.defaultdict(list)
    for actor, action in labels.pairs.tolist():
        actions[labels.actors[actor]].append(labels.actions[action])
    # The first actor of a track keeps its number, others get a free one.
    free = itertools.count(max((identity for identity, _ in shapes), default=0) + 1)
    tracks: dict[int, TrackShapes] = {}
    for (identity, actor), own in sorted(shapes.items(), key=lambda item: item[0]):
        number = next(free) if identity in tracks else identity
        tracks[number] = TrackShapes(number, actor, tuple(own))
    return TrackedVideo(
        source=source,
        images=facts.images,
        size=facts.size,
        # A file may claim fewer frames than it has.
        frame_count=(
            facts.frames if (facts.frames or 0) >= max(numbers, default=0) else None
        ),
        frames=tuple(numbers),
        actions={actor: tuple(own) for actor, own in actions.items()},
        tracks=tuple(tracks[number] for number in sorted(tracks)),
        boxes_only=facts.boxes_only,
    )
