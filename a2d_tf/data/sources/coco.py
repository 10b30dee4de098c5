"""Reader of users' own videos: frames in a folder, annotations in one COCO-style JSON file.

```
{"images": [{"id": 1, "file_name": "yard/00030.png", "width": 320, "height": 240}, …],
 "annotations": [{"image_id": 1, "actor": "truck", "action": "driving", "segmentation": …}, …]}
```

`file_name` is `<video>/<frame>`, with the 1-based number of the frame; its suffix is optional. An
image without annotations is an annotated frame without instances. `segmentation` is a list of
polygons or an RLE, compressed or not; `bbox` [x, y, width, height] is optional. Either all images
have a `split` ('train' or 'test') or none, see `split_by_name`. Other fields are ignored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import check_inside, is_file_name, read_json
from a2d_tf.core.labels import A2D, LabelSpace, is_name
from a2d_tf.core.limits import MAX_INSTANCES, MAX_MASK_PIXELS, MAX_OUTLINE, MAX_SIDE
from a2d_tf.data.manifest import SPLITS
from a2d_tf.data.rle import decode_rle
from a2d_tf.data.sources import frames
from a2d_tf.data.sources.annotations import Annotation, paint
from a2d_tf.data.sources.release import FOLLOW, Video

_REMEDY = "restore it, or re-encode it"


@dataclasses.dataclass(frozen=True)
class _Frame:
    """An annotated frame: `image` is `images[index]`; `instances` {i: annotations[i]}."""

    index: int
    image: dict
    instances: dict


class CocoVideos:
    """Annotated videos; broken files raise an InputError that names the field.

    The structure of the JSON is checked at once, masks and boxes when they are read.

    Attributes:
      path: the JSON file.
      folder: the folder of a video file or a folder of frames per video, see `frames.find`.
      root: the folder of the JSON file.
      label_space: the one given, or by default `derive_label_space` of the annotations.
      videos: the `release.Video`s in the order of `images`; their `frames` is 0, see `length`.
      listing: description of the source, for reports.
      skipped: always empty; see `release.Release`.
    """

    skipped = ()

    def __init__(
        self,
        annotations_json: str | os.PathLike,
        videos_dir: str | os.PathLike,
        label_space: LabelSpace | None = None,
        follow_links: bool = False,
    ) -> None:
        self.path, self.folder = pathlib.Path(annotations_json), pathlib.Path(videos_dir)
        self._follow_links = follow_links
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder; --videos names that of the videos")
        self.root = self.path.parent
        self.listing = f"{self.path.name}, videos in {self.folder}"
        images, annotations = self._load()
        self._videos: dict[str, dict[int, _Frame]] = {}
        by_id = self._sort_images(images)
        pairs = self._sort_annotations(annotations, by_id)
        try:
            self.label_space = label_space or derive_label_space(pairs)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
        self._check_pairs(pairs)
        splits = self._splits()
        self._lengths: dict[str, int] = {}
        self.videos = tuple(
            self._video(vid, numbered, splits[vid]) for vid, numbered in self._videos.items()
        )

    def __reduce__(self):
        # Worker processes read the file again, which is faster than sending all masks.
        return type(self), (self.path, self.folder, self.label_space, self._follow_links)

    def split(self, video: Video) -> str:
        """Return 'train' or 'test'."""
        return SPLITS[video.usage]

    def length(self, vid: str) -> int:
        """Return the number of frames that decode; counted once."""
        if vid not in self._lengths:
            self._lengths[vid] = frames.count(self._existing(vid), _REMEDY)
        return self._lengths[vid]

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the 1-based numbers of a video's annotated frames, ascending."""
        numbers = tuple(sorted(self._videos[vid]))
        if numbers[-1] > self.length(vid):
            raise self._error(
                f"images[{self._videos[vid][numbers[-1]].index}].file_name",
                f"names frame {numbers[-1]}, but {self.frames_path(vid)} has {self.length(vid)} in "
                "a row; frames are named by their number in the video, counted from 1",
            )
        return numbers

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Decode the masks of one frame.

        Args:
          vid: the video.
          frame: 1-based frame number, one of `annotated_frames`.
          size: (height, width) of the decoded frames, to be compared with the image's.

        Returns:
          The annotation, with a label map painted from the masks, smaller over larger.
        """
        entry, space = self._videos[vid][frame], self.label_space
        height, width = entry.image["height"], entry.image["width"]
        if size is not None and tuple(size) != (height, width):
            raise self._error(
                f"images[{entry.index}]",
                f"'width' and 'height' say {width}x{height}, but the frames of "
                f"{self.frames_path(vid)} are {size[1]}x{size[0]}; annotate them at their own size",
            )
        masks = np.zeros((len(entry.instances), height, width), bool)
        boxes = np.zeros((len(entry.instances), 4), np.float32)
        codes = np.zeros(len(entry.instances), np.int32)
        for i, (index, annotation) in enumerate(entry.instances.items()):
            actor = space.actors.index(annotation["actor"])
            codes[i] = space.encode(actor, space.actions.index(annotation["action"]))
            field = "segmentation"
            try:
                masks[i] = decode_mask(annotation[field], height, width)
                field = "bbox"
                boxes[i] = _box(annotation.get(field), masks[i])
            except InputError as error:
                raise self._error(
                    f"annotations[{index}].{field}", f"{error} ({entry.image['file_name']})"
                ) from error
        return Annotation(paint(masks, codes, space.code_dtype), masks, codes, boxes)

    def read_frames(
        self, vid: str, numbers: Iterable[int] | None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield frames, by default all, as (1-based number, RGB uint8 [H, W, 3]), ascending."""
        return frames.read(self._existing(vid), numbers, _REMEDY)

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the video file, or else the folder of its frames."""
        return frames.find(self.folder, vid) or self.folder / f"{vid}.mp4"

    def annotation_folder(self, vid: str) -> pathlib.Path:
        """Return the JSON file."""
        return self.path

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the JSON file."""
        return self.path

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the video file, or the frames in its folder."""
        return frames.files(self.frames_path(vid))

    def facts(self, vid: str) -> str:
        """Return the JSON's content on a video as text, independent of the file's layout."""
        entries = [self._videos[vid][number] for number in sorted(self._videos[vid])]
        content = [(entry.image, list(entry.instances.values())) for entry in entries]
        return json.dumps(content, sort_keys=True)

    def missing(self) -> list[tuple[str, pathlib.Path]]:
        """Return the videos without frames as (vid, missing path), by existence only."""
        vids = [vid for vid in self._videos if frames.find(self.folder, vid) is None]
        return [(vid, self.frames_path(vid)) for vid in vids]

    def _error(self, field, problem):
        return InputError(f"{self.path}: {field}: {problem}")

    def _existing(self, vid):
        path = frames.find(self.folder, vid)
        if path is None:
            raise InputError(
                f"{self.folder}: neither a video {vid}.mp4 (.avi, .mov, .mkv, .webm) nor a folder "
                f"{vid} of frames; add it, or remove the video from {self.path}"
            )
        if not self._follow_links:
            for file in frames.files(path):
                check_inside(file, self.folder, FOLLOW)
        return path

    def _load(self):
        """Return the lists `images` and `annotations`."""
        try:
            coco = read_json(self.path)
        except FileNotFoundError as error:
            raise InputError(f"{self.path}: no such file; --coco names the annotations") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: not a readable JSON file ({error})") from error
        for field in ("images", "annotations"):
            entries = coco.get(field) if isinstance(coco, dict) else None
            if not isinstance(entries, list):
                raise self._error(field, "missing, or not a list; see docs/own_data.md")
            for i, entry in enumerate(entries):
                if not isinstance(entry, dict):
                    raise self._error(f"{field}[{i}]", "not an object; see docs/own_data.md")
        if not coco["images"]:
            raise self._error("images", "empty; list the annotated frames")
        return coco["images"], coco["annotations"]

    def _sort_images(self, images):
        """Check the images and fill `_videos`; return {image id: _Frame}."""
        by_id = {}
        for i, image in enumerate(images):
            where = f"images[{i}]"
            identity = image.get("id")
            if type(identity) not in (int, str):
                raise self._error(
                    f"{where}.id", f"{shown(identity)} is no number or text; give one"
                )
            if identity in by_id:
                raise self._error(
                    f"{where}.id",
                    f"{shown(identity)} is also that of images[{by_id[identity].index}]; ids are "
                    "unique",
                )
            for field in ("width", "height"):
                if type(image.get(field)) is not int or not 0 < image[field] <= MAX_SIDE:
                    raise self._error(
                        f"{where}.{field}",
                        f"{shown(image.get(field))} is no size; give it in pixels, up to "
                        f"{MAX_SIDE}",
                    )
            vid, number = self._parse_name(f"{where}.file_name", image.get("file_name"))
            numbered = self._videos.setdefault(vid, {})
            if number in numbered:
                raise self._error(
                    f"{where}.file_name",
                    f"frame {number} of '{vid}' is also images[{numbered[number].index}]; put all "
                    "instances of a frame on one image",
                )
            numbered[number] = by_id[identity] = _Frame(i, image, {})
            first = next(iter(numbered.values()))
            for field in ("width", "height"):
                if image[field] != first.image[field]:
                    raise self._error(
                        f"{where}.{field}",
                        f"{image[field]}, but images[{first.index}] of the same video has "
                        f"{first.image[field]}; the frames of a video are of one size",
                    )
        return by_id

    def _parse_name(self, where, name):
        """Parse a `file_name` into (video, 1-based frame number)."""
        vid, _, frame = name.rpartition("/") if isinstance(name, str) else ("", "", "")
        frame = re.fullmatch(r"([0-9]{1,9})(\.(png|jpe?g))?", frame, re.IGNORECASE)
        if not vid or not frame:
            raise self._error(
                where, f"{shown(name)} is not <video>/<frame>, such as yard/00030 or yard/00030.png"
            )
        if not is_file_name(vid):
            raise self._error(where, f"video {shown(vid)} cannot be a file name; rename the video")
        if int(frame[1]) == 0:
            raise self._error(where, f"{name!r}: the first frame of a video is 00001")
        return vid, int(frame[1])

    def _sort_annotations(self, annotations, by_id):
        """Check the annotations, add them to their frames; return {(actor, action): index}."""
        pairs = {}
        for i, annotation in enumerate(annotations):
            where, identity = f"annotations[{i}]", annotation.get("image_id")
            if type(identity) not in (int, str) or identity not in by_id:
                raise self._error(f"{where}.image_id", f"{shown(identity)} is the id of no image")
            for field in ("actor", "action"):
                name = annotation.get(field)
                if not is_name(name):
                    raise self._error(f"{where}.{field}", f"{shown(name)} is no name; write one")
            if annotation.get("segmentation") is None:
                raise self._error(f"{where}.segmentation", "missing; draw the mask")
            if annotation.get("iscrowd"):
                raise self._error(
                    f"{where}.iscrowd", "crowds have no single action; annotate each instance"
                )
            frame = by_id[identity]
            frame.instances[i] = annotation
            most = MAX_MASK_PIXELS // (frame.image["width"] * frame.image["height"])
            if len(frame.instances) > min(most, MAX_INSTANCES):
                raise self._error(
                    where,
                    f"more instances on images[{frame.index}] than {min(most, MAX_INSTANCES)}, the "
                    "most in a frame of its size",
                )
            pairs.setdefault((annotation["actor"], annotation["action"]), i)
        return pairs

    def _check_pairs(self, pairs):
        """Check that the label space has all pairs, {(actor, action): index of an annotation}."""
        space = self.label_space
        for (actor, action), i in pairs.items():
            for field, name, known in (
                ("actor", actor, space.actors),
                ("action", action, space.actions),
            ):
                if name not in known:
                    raise self._error(
                        f"annotations[{i}].{field}",
                        f"'{name}' is not in the label space ({', '.join(known)}); correct it, or "
                        "add it in the file of --labels",
                    )
            if not space.valid[space.actors.index(actor), space.actions.index(action)]:
                raise self._error(
                    f"annotations[{i}].action",
                    f"the label space has no '{action}' of '{actor}'; correct it, or add the pair "
                    "in the file of --labels",
                )

    def _splits(self):
        """Return {vid: split}."""
        entries = {vid: list(numbered.values()) for vid, numbered in self._videos.items()}
        if not any("split" in entry.image for of_video in entries.values() for entry in of_video):
            return split_by_name(self._videos)
        for vid, (first, *others) in entries.items():
            for entry in (first, *others):
                split, where = entry.image.get("split"), f"images[{entry.index}].split"
                if split not in SPLITS:
                    raise self._error(
                        where, f"{shown(split)} is neither 'train' nor 'test'; give all images one"
                    )
                if split != first.image["split"]:
                    raise self._error(
                        where,
                        f"'{split}', but images[{first.index}] of '{vid}' is in "
                        f"'{first.image['split']}'; a video is in one split",
                    )
        return {vid: of_video[0].image["split"] for vid, of_video in entries.items()}

    def _video(self, vid, numbered, split):
        first = next(iter(numbered.values())).image
        return Video(
            vid=vid,
            label=0,
            start="",
            end="",
            height=first["height"],
            width=first["width"],
            frames=0,
            annotated=len(numbered),
            usage=SPLITS.index(split),
        )


def derive_label_space(pairs: Iterable[tuple[str, str]]) -> LabelSpace:
    """Return a label space with these (actor, action) pairs.

    A2D's if it has all of them, else a new one in alphabetical order, but with 'none', the action
    that action mAP leaves out, last.
    """
    if set(pairs) <= {(A2D.actors[x], A2D.actions[y]) for x, y in A2D.pairs}:
        return A2D
    actions = sorted({action for _, action in pairs}, key=lambda name: (name == "none", name))
    return LabelSpace.from_fields(
        {
            "actors": sorted({actor for actor, _ in pairs}),
            "actions": actions,
            "pairs": list(pairs),
            "none_action": "none" if "none" in actions else None,
        }
    )


def split_by_name(vids: Iterable[str]) -> dict[str, str]:
    """Assign a fifth of the videos to 'test', by a hash of their names; return {vid: split}.

    The result is the same on every machine and in every order of the videos. Of two or more videos
    at least one is in each split.
    """
    ordered = sorted(vids, key=lambda vid: hashlib.sha256(vid.encode()).digest())
    count = max(round(len(ordered) / 5), 1) if len(ordered) > 1 else 0
    return {vid: "test" if i < count else "train" for i, vid in enumerate(ordered)}


def decode_mask(segmentation: list | dict, height: int, width: int) -> np.ndarray:
    """Decode a COCO segmentation to a mask, bool [height, width].

    Args:
      segmentation: polygons [[x1, y1, x2, y2, ...], ...] in pixels, or an RLE {'size': [height,
        width], 'counts': text or list}.
      height, width: size of the frame.

    Raises:
      InputError: malformed, of another size, or empty; names no file.
    """
    if isinstance(segmentation, dict):
        mask = decode_rle(segmentation, height, width)
    elif isinstance(segmentation, list) and segmentation:
        _check_polygons(segmentation, height, width)
        parts = rle_tools.frPyObjects(segmentation, height, width)
        mask = rle_tools.decode(rle_tools.merge(parts)).astype(bool)
    else:
        raise InputError("neither polygons [[x1, y1, x2, y2, ...], ...] nor an RLE; draw it again")
    if not mask.any():
        raise InputError("the mask is empty; draw it, or remove the annotation")
    return mask


def _check_polygons(polygons, height, width):
    length, limits = 0, np.array([width, height])
    for polygon in polygons:
        points = _numbers(polygon)
        if points is None or len(points) < 6 or len(points) % 2:
            raise InputError("a polygon is a list x1, y1, x2, y2, ... of three points or more")
        points = points.reshape(-1, 2)
        # Points slightly outside are clipped; points far outside are in other units.
        if (points < -limits).any() or (points > 2 * limits).any():
            raise InputError(
                f"a polygon leaves the frame of {width}x{height} by more than its size; give pixels"
            )
        length += np.hypot(*(points - np.roll(points, 1, axis=0)).T).sum()
    # The outline is traced pixel by pixel, so memory grows with its length.
    if length > min(4 * height * width + 64, MAX_OUTLINE):
        raise InputError("the polygons' outline is longer than all pixels' edges; simplify it")


def _box(bbox, mask):
    """Return y1, x1, y2, x2 of a `bbox`, clipped to the frame, or else of the mask."""
    if bbox is None:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    numbers = _numbers(bbox)
    if numbers is None or len(numbers) != 4:
        raise InputError("not numbers [x, y, width, height]; correct it or leave it out")
    (x, y, width, height), (rows, columns) = numbers, mask.shape
    box = np.clip([y, x, y + height, x + width], 0, [rows, columns, rows, columns])
    box = box.astype(np.float32)
    if not (box[2:] > box[:2]).all():
        raise InputError(
            f"{bbox} [x, y, width, height] leaves nothing inside the frame of "
            f"{columns}x{rows}; correct it or leave it out"
        )
    return box


def _numbers(values):
    """Return a JSON list of finite numbers as float64 [n]; None if it is something else."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return None
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        return None
    return array if np.isfinite(array).all() else None
