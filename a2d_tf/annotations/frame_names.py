"""How tools name the image of a frame: from a path to the video's name and the
frame's number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from a2d_tf.annotations.document import FrameName, Numbering
from a2d_tf.data.video_frames import VIDEOS

PREDICTION = "a2d_tf"
"""`info.description` of this project's own export of a prediction as COCO."""

_BY_NAME = Numbering(
    "names", "frames are numbered by image name, such as clip/00005.jpg"
)
_BY_CVAT = Numbering(
    "video", "CVAT counts from 0: frame_000005 is frame 6 of the video"
)
_FROM_0 = (
    "numbers start at 0, unless the video's images start at 1: clip/00005.png is frame "
    "6; pass --first_frame=1 if those of a video file start at 1"
)
# A folder of frames that may be of the same videos as those beside it.
_SPLIT = re.compile(
    r"(?i)\.?|(train|val|test)(ing|id|idation)?(20[0-9]{2}|_all_frames)?"
)
_KINDS = "|".join(suffix[1:] for suffix in VIDEOS)
_UPLOADED = re.compile(r"^[0-9a-f]{8}(-|__)(?=.)")


def split_frame_name(name: str) -> tuple[str | None, int] | None:
    """Split the path of an image into the video's name and the frame's number.

    'clip1/00005.jpg', 'clip1_00005.jpg' and r'images\\clip1\\frame-5.png' are frame 5
    of clip1; '00005.jpg' and 'frame_00005.png' are frame 5 of a video without a name.
    None where the name ends with no number.
    """
    *folders, last = name.replace("\\", "/").split("/")
    found = re.fullmatch(
        r"(?:(.*?)[ _.-]?)?([0-9]{1,9})", last.rpartition(".")[0] or last
    )
    if not found:
        return None
    prefix, number = found[1] or "", int(found[2])
    if prefix.lower() in ("", "frame", "img", "image"):
        return (folders[-1] if folders else None), number
    return prefix, number


def of_image(name: str) -> FrameName | None:
    """Parse the path of an image of the user's: 'clip1/00005.jpg',
    'images/clip1_00005.jpg'.
    """
    found = split_frame_name(_without_images(name))
    if not found:
        return None
    video, number = found
    # A root says where an annotator had the frames, and which split nothing of the
    # video.
    path = re.sub(r"(^|/)upload/[0-9]+/", r"\1", _without_images(name))
    folders = [] if re.match(r"/|[A-Za-z]:|\.\./", path) else path.split("/")[:-1]
    if folders and (folders[-1].casefold() == (video or "").casefold()):
        folders.pop()
    folder = "/".join(each for each in folders if not _SPLIT.fullmatch(each))
    return FrameName(
        None if video in ("", ".", "..") else video, number, _BY_NAME, folder
    )


def of_cvat(name: str) -> FrameName | None:
    """Parse a name that CVAT writes: 'frame_000005.PNG' of a video, else an image's own
    path.

    This project's exports have the video as its folder: 'clip1/frame_000005.PNG'.

    Source: cvat-ai/cvat `dataset_manager/bindings.py`.
    """
    found = re.fullmatch(r"(?:([^/]+)/)?frame_([0-9]{6,9})\.PNG", _without_images(name))
    return FrameName(found[1], int(found[2]) + 1, _BY_CVAT) if found else of_image(name)


def any_is_0(names: Iterable[str]) -> bool:
    """Return whether an image has the number 0: then its file counts from 0."""
    for name in names:
        video_and_number = split_frame_name(name)
        if video_and_number and video_and_number[1] == 0:
            return True
    return False


def from_0(name: str, certain: bool) -> FrameName | None:
    """Parse a name of YouTube-VIS or of a mask, which count from 0: 'clip1/00005.jpg'
    is frame 6.

    Unless it is `certain` that this file counts from 0, images of the video may count
    from 1.
    """
    found, kind = of_image(name), "video" if certain else "names from 0"
    numbering = Numbering(kind, _FROM_0)
    return found and found._replace(number=found.number + 1, numbering=numbering)


def of_roboflow(name: str, step: int) -> FrameName | None:
    """Parse a name of Roboflow's: 'clip1_mp4-5_jpg.rf.0a1b….jpg', or 'clip1_mp4-5.jpg'.

    `step` is the number of video frames from one sampled frame to the next.
    """
    name = re.sub(r"_([A-Za-z]+)\.rf\.[^./]+\.[A-Za-z]+$", r".\1", name)
    found = re.fullmatch(
        rf"(?:.*[/\\])?([^/\\]+)_(?:{_KINDS})-([0-9]{{1,9}})(?:\.[a-z]+)?",
        name,
        re.IGNORECASE,
    )
    if not found:
        return of_image(name)
    explanation = (
        "Roboflow numbers its sampled frames from 0: clip_mp4-5.jpg is frame"
        f" {5 * step + 1} of the video; if it sampled every tenth, pass --frame_step=10"
    )
    return FrameName(
        found[1], int(found[2]) * step + 1, Numbering("video", explanation)
    )


def of_label_studio(name: str) -> FrameName | None:
    """Parse a name of Label Studio's, which must hold the video:
    '0a1b2c3d-clip1_00005.jpg'.
    """
    found = of_image(re.sub(_UPLOADED, "", _last(name)))
    return found if found and found.video else None


def _last(name):
    return name.replace("\\", "/").rpartition("/")[2]


def _without_images(name):
    """A path without the folders that hold the images of an export: images/default/."""
    return re.sub(r"(^|/)images/(default/)?", r"\1", name.replace("\\", "/"))
