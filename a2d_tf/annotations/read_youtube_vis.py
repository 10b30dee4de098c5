"""YouTube-VIS's JSON: videos with their frames listed, an annotation for each track.

`segmentations[k]` of an annotation belongs to `file_names[k]` of its video: null, polygons or an
RLE. All listed frames are annotated. A track has one category, so it ends where the action changes;
a `track_id`, which is not YouTube-VIS's, joins its actions.

Sources: youtubevos/cocoapi `ytvos.py`; labelformat 0.1.17 `youtubevis.py`, which sets 'iscrowd'
for every mask.
"""

from __future__ import annotations

import collections
from typing import Any

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import File, size_of
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.core.errors import MAX_SIDE, shown
from a2d_tf.core.files import whole

_ID, _SIDE = (int, str), whole(1, MAX_SIDE)
_KIND = {
    "videos": [{"id": _ID, "file_names": [str], "width?": (_SIDE, None), "height?": (_SIDE, None)}],
    "categories": [{"id": _ID, "name": str}],
    "annotations": [{"video_id": _ID, "category_id": _ID, "segmentations": list}],
}


def matches(content: Any) -> bool:
    """Whether a parsed JSON is YouTube-VIS's."""
    videos = content.get("videos") if isinstance(content, dict) else None
    return isinstance(videos, list) and any(
        isinstance(video, dict) and "file_names" in video for video in videos
    )


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a YouTube-VIS file.

    Raises:
      InputError: the structure is broken, or a name holds no frame.
    """
    videos = file.check(_KIND)["videos"]
    left_out: collections.Counter[str] = collections.Counter()
    tracks = _sort(file, options, left_out)
    # A file that lists 00000.jpg leaves no doubt that it counts from 0.
    names = [name for video in videos for name in video["file_names"]]
    certain = any(name and name[1] == 0 for name in map(frame_names.split_frame_name, names))
    frames = []
    for i, video in enumerate(videos):
        size = size_of(video)
        for k, name in enumerate(video["file_names"]):
            where = f"videos[{i}].file_names[{k}]"
            if tracks.get((i, k)) == []:
                left_out["frames with nothing but crowds"] += 1
                continue
            found = frame_names.of_youtube_vis(name, certain)
            if not found:
                problem = f"{shown(name)} names no frame; name frames <video>/<number>.jpg"
                raise file.error(where, problem)
            frames.append(AnnotatedFrame(*found, size, tuple(tracks.get((i, k), ())), where))
    return [Document(file.path, "youtube_vis", tuple(frames), dict(left_out))]


def _sort(file, options, left_out):
    """Return {(index of a video, of its frame): [Instance, ...]}.

    The list is empty where all of its annotations are crowds that are left out.
    """
    videos = {video["id"]: i for i, video in enumerate(file.content["videos"])}
    labels = {category["id"]: category["name"] for category in file.content["categories"]}
    instances: dict[tuple[int, int], list[Instance]] = {}
    for j, annotation in enumerate(file.content["annotations"]):
        where = f"annotations[{j}]"
        file.check_listed(where, annotation, {"video_id": videos, "category_id": labels})
        i, masks = videos[annotation["video_id"]], annotation["segmentations"]
        count = len(file.content["videos"][i]["file_names"])
        if len(masks) != count:
            problem = f"{len(masks)}, but videos[{i}] has {count} file_names; export it again"
            raise file.error(f"{where}.segmentations", problem)
        crowd = bool(options.crowds and annotation.get("iscrowd"))
        if crowd:
            left_out["crowds"] += 1
        label, track = labels[annotation["category_id"]], _identity(annotation, j)
        for k, mask in enumerate(masks):
            if mask not in (None, []):
                drawn = instances.setdefault((i, k), [])
                if not crowd:
                    place = f"{where}.segmentations[{k}]"
                    drawn.append(Instance(label, (mask,), place, track=track))
    return instances


def _identity(annotation, index):
    """Return the identity: `track_id` joins annotations that end where the action changes."""
    given = [annotation.get(name) for name in ("track_id", "id")]
    return next((value for value in given if type(value) is int and value >= 0), index)
