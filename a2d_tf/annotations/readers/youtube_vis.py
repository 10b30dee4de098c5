"""Reader of YouTube-VIS's JSON, which lists videos with their frames, and tracks.

An annotation is a track: `segmentations[k]` belongs to `file_names[k]` of its video,
and is null, polygons or an RLE. All listed frames are annotated. A track has one
category, so it ends where the action changes.

Sources: youtubevos/cocoapi `ytvos.py`; labelformat 0.1.17 `youtubevis.py`, which sets
'iscrowd' for every mask.
"""

from __future__ import annotations

import collections
from typing import Any

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.conventions import YOUTUBE_VIS
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.numbering import FrameName
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.coco_document import (
    CATEGORIES,
    ID,
    SIDE,
    CocoAnnotation,
    CocoImage,
    Dialect,
    category_names,
    make_document,
)
from a2d_tf.annotations.readers.container import File, size_of

_YOUTUBE_VIS = {
    "videos": [
        {
            "id": ID,
            "file_names": [str],
            "width?": (SIDE, None),
            "height?": (SIDE, None),
        }
    ],
    "categories": CATEGORIES,
    "annotations": [
        {"video_id": ID, "category_id": ID, "segmentations?": (list, None)}
    ],
}


def matches(content: Any) -> bool:
    """Return whether a parsed JSON is YouTube-VIS's: it lists videos with `file_names`.

    Args:
      content: the value that was parsed from a .json file.
    """
    videos = content.get("videos") if isinstance(content, dict) else None
    return isinstance(videos, list) and any(
        isinstance(video, dict) and "file_names" in video for video in videos
    )


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a YouTube-VIS file, all of whose listed frames are annotated.

    Args:
      file: the file.
      options: ignored, since the file says all.

    Returns:
      a list of one document with the frames of all videos.

    Raises:
      InputError: the structure is broken, or the name of an image has no frame number.
    """
    content = file.check(_YOUTUBE_VIS)
    image_names: list[str] = []
    for video in content["videos"]:
        image_names.extend(video["file_names"])
    # A file that lists 00000.jpg leaves no doubt that it counts from 0.
    certain = frame_names.has_number_0(image_names)

    def parse(name: str) -> FrameName | None:
        return frame_names.parse_from_0(name, certain)

    dialect = Dialect("youtube_vis", parse, YOUTUBE_VIS)
    return [make_document(file, dialect, options, _images(file))]


def _images(file: File) -> list[CocoImage]:
    """Return the frames of all videos with their annotations.

    Raises:
      InputError: an annotation refers to no video or category, or has more or fewer
        segmentations than its video has frames.
    """
    labels = category_names(file)
    videos = {video["id"]: video for video in file.content["videos"]}
    # by id of the video and index of the frame
    annotations: dict[tuple[int | str, int], list[CocoAnnotation]]
    annotations = collections.defaultdict(list)
    for i, track in enumerate(file.content["annotations"]):
        where = f"annotations[{i}]"
        segmentations = track.get("segmentations") or ()
        with file.at(where):
            video = videos[track["video_id"]]
            label = labels[track["category_id"]]
            if len(segmentations) != len(video["file_names"]):
                raise ValueError("the number of segmentations differs from file_names")
        for k, segmentation in enumerate(segmentations):
            if segmentation:
                annotation = CocoAnnotation(
                    where=f"{where}[{k}]",
                    label=label,
                    attributes={"track_id": track.get("id")},
                    segmentation=segmentation,
                    box=None,
                )
                annotations[video["id"], k].append(annotation)
    images = []
    for i, video in enumerate(file.content["videos"]):
        for k, name in enumerate(video["file_names"]):
            image = CocoImage(
                where=f"videos[{i}].file_names[{k}]",
                file_name=name,
                size=size_of(video),
                split=None,
                annotations=annotations[video["id"], k],
            )
            images.append(image)
    return images
