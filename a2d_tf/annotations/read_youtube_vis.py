"""YouTube-VIS's JSON: videos with their frames listed, an annotation for each track.

`segmentations[k]` of an annotation belongs to `file_names[k]` of its video: null, polygons or an
RLE. All listed frames are annotated. A track has one category, so it ends where the action changes.

Sources: youtubevos/cocoapi `ytvos.py`; labelformat 0.1.17 `youtubevis.py`, which sets 'iscrowd'
for every mask.
"""

from __future__ import annotations

import collections
from typing import Any

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields
from a2d_tf.core.errors import shown

FORMAT = "youtube_vis"


def matches(content: Any) -> bool:
    """Whether a parsed JSON is YouTube-VIS's."""
    videos = content.get("videos") if isinstance(content, dict) else None
    return isinstance(videos, list) and any(
        isinstance(video, dict) and "file_names" in video for video in videos
    )


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read a YouTube-VIS file; see `coco.read` for arguments.

    Returns:
      One document.

    Raises:
      InputError: the structure is broken, or a name holds no frame.
    """
    fields = Fields(container.locate(name))
    videos = fields.entries(content, "videos")
    names = [_file_names(fields, video, i) for i, video in enumerate(videos)]
    left_out: collections.Counter[str] = collections.Counter()
    tracks = _sort(fields, content, names, options, left_out)
    frames, explanation = [], ""
    for i, video in enumerate(videos):
        size = fields.size(video, f"videos[{i}]")
        for k, file_name in enumerate(names[i]):
            where = f"videos[{i}].file_names[{k}]"
            if tracks.get((i, k)) == []:
                left_out["frames with nothing but crowds"] += 1
                continue
            found = frame_names.of_youtube_vis(file_name) if isinstance(file_name, str) else None
            if not found:
                problem = f"{shown(file_name)} names no frame; name frames <video>/<number>.jpg"
                raise fields.error(where, problem)
            frame = AnnotatedFrame(
                found.video, found.number, size, tuple(tracks.get((i, k), ())), where
            )
            fields.check_once(frame, "list each frame once")
            explanation = found.explanation
            frames.append(frame)
    if not frames:
        raise fields.error("videos", "no frame is listed in 'file_names'; export them again")
    info = content.get("info")
    ours = isinstance(info, dict) and info.get("description") == frame_names.PREDICTION
    # A file that lists 00000.jpg leaves no doubt, nor does this project's own.
    counted = ours or any(frame.number == 1 for frame in frames)
    return [
        Document(
            fields.path,
            FORMAT,
            tuple(frames),
            "video" if counted else "names from 0",
            explanation,
            left_out=dict(left_out),
        )
    ]


def _file_names(fields, video, i):
    names = video.get("file_names")
    if not isinstance(names, list):
        problem = "missing, or not a list; list the video's frames"
        raise fields.error(f"videos[{i}].file_names", problem)
    return names


def _sort(fields, content, names, options, left_out):
    """Check the annotations; return {(index of a video, of its frame): [Instance, ...]}.

    The list is empty where all of its annotations are crowds that are left out.
    """
    by_video = fields.by_id(content["videos"], "videos")
    labels = fields.entries(content, "categories")
    categories = fields.by_id(labels, "categories")
    annotations = fields.entries(content, "annotations")
    fields.by_id([entry for entry in annotations if "id" in entry], "annotations")
    instances: dict[tuple[int, int], list[Instance]] = {}
    for j, annotation in enumerate(annotations):
        where = f"annotations[{j}]"
        i = by_video[fields.reference(annotation, "video_id", where, by_video)]
        k = categories[fields.reference(annotation, "category_id", where, categories)]
        label = fields.text(labels[k], "name", f"categories[{k}]")
        masks, track = annotation.get("segmentations"), _identity(annotation, j)
        if not isinstance(masks, list) or len(masks) != len(names[i]):
            problem = f"not a list of {len(names[i])}, one for each of videos[{i}].file_names"
            raise fields.error(f"{where}.segmentations", f"{problem}; export them again")
        crowd = bool(options.crowds and annotation.get("iscrowd"))
        if crowd:
            left_out["crowds"] += 1
        for frame, mask in enumerate(masks):
            if mask not in (None, []):
                place = f"{where}.segmentations[{frame}]"
                drawn = instances.setdefault((i, frame), [])
                if not crowd:
                    drawn.append(Instance(label, (mask,), place, track=track))
    return instances


def _identity(annotation, index):
    """Return the identity: `track_id` joins annotations that end where the action changes."""
    given = [annotation.get(name) for name in ("track_id", "id")]
    return next((value for value in given if type(value) is int and value >= 0), index)
