"""How tools name the image of a frame: the video's name and the frame's number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.annotations.documents.conventions import COCO_OF_ROBOFLOW, CVAT, MASKS
from a2d_tf.annotations.documents.numbering import Counted, FrameName, Numbering
from a2d_tf.core.errors import quoted
from a2d_tf.data.decoding.video_paths import VIDEOS

_BY_NAME = Numbering(
    Counted.IMAGE_NAMES, "frames are numbered by image name, such as clip/00005.jpg"
)
_BY_CVAT = Numbering(
    Counted.VIDEO_FRAMES, "CVAT counts from 0: frame_000005 is frame 6 of the video"
)
_FROM_0 = (
    "numbers start at 0, unless the video's images start at 1: clip/00005.png is frame "
    "6; pass --first_frame=1 if those of a video file start at 1"
)
# Names of folders of a split: several of them may contain frames of one video.
_SPLIT = re.compile(
    r"(?i)\.?|(train|val|test)(ing|id|idation)?(20[0-9]{2}|_all_frames)?"
)
_VIDEO_SUFFIXES = "|".join(VIDEOS).replace(".", "")
# Label Studio puts 8 hexadecimal digits before the name of an uploaded file. A date
# looks alike, but is part of the user's own name.
_DATE = r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_UPLOADED = re.compile(rf"^(?!{_DATE})[0-9a-f]{{8}}(-|__)(?=.)")


def not_a_frame_message(name: str) -> str:
    """Return the text of the error that an image's name has no frame number.

    Args:
      name: the name or path of the image.
    """
    return (
        f"{quoted(name)} does not name a video frame; rename images to"
        " <video>_<number>.jpg"
    )


class VideoAndNumber(NamedTuple):
    """The video and the number of a frame, as the path of its image tells them.

    Attributes:
      video: the name of the video; None if the path contains none.
      number: the number in the name of the image, as it stands there.
    """

    video: str | None
    number: int


def split_frame_name(name: str) -> VideoAndNumber | None:
    r"""Split the path of an image into the video's name and the frame's number.

    'clip1/00005.jpg', 'clip1_00005.jpg' and r'images\clip1\frame-5.png' are frame 5
    of clip1; '00005.jpg' and 'frame_00005.png' are frame 5 of a video without a name.

    Returns:
      the name and the number; None if the image's name does not end with a number.
    """
    *folders, last = name.replace("\\", "/").split("/")
    stem = last.rpartition(".")[0] or last
    parts = re.fullmatch(r"(?:(.*?)[ _.-]?)?([0-9]{1,9})", stem)
    if not parts:
        return None
    prefix = parts[1] or ""
    number = int(parts[2])
    if prefix.lower() not in ("", "frame", "img", "image"):
        return VideoAndNumber(prefix, number)
    if folders:
        return VideoAndNumber(folders[-1], number)
    return VideoAndNumber(None, number)


def parse_image(name: str) -> FrameName | None:
    """Find the video and the frame that the path of a user's own image names.

    For example, 'clip1/00005.jpg' and 'images/clip1_5.jpg' are number 5 of clip1.

    Args:
      name: the path of the image, as the annotation tool wrote it.

    Returns:
      the video, the number as it stands in the name, and the folder; None if the name
      does not end with a number.
    """
    path = _without_images_folder(name)
    video_and_number = split_frame_name(path)
    if not video_and_number:
        return None
    video, number = video_and_number
    # An absolute path, or the folder of a split, tells nothing of the video.
    path = re.sub(r"(^|/)upload/[0-9]+/", r"\1", path)
    folders = path.split("/")[:-1]
    if re.match(r"/|[A-Za-z]:|\.\./", path):
        folders = []
    if folders and (folders[-1].casefold() == (video or "").casefold()):
        folders.pop()
    folders = [name for name in folders if not _SPLIT.fullmatch(name)]
    if video in ("", ".", ".."):
        video = None
    return FrameName(video, number, _BY_NAME, "/".join(folders))


def parse_cvat(name: str) -> FrameName | None:
    """Find the video and the frame that an image's name in an export of CVAT means.

    CVAT names a frame of a video 'frame_000005.PNG', counted from 0; this project's
    exports have 'clip1/frame_000005.PNG'. A task of images keeps the user's own names,
    which are parsed like those of `parse_image`.

    Args:
      name: the name or path of the image.

    Returns:
      the video, the frame's number from 1, and the folder; None if the name does not
      end with a number.

    Source: cvat-ai/cvat `dataset_manager/bindings.py`.
    """
    path = _without_images_folder(name)
    parts = re.fullmatch(r"(?:([^/]+)/)?frame_([0-9]{6,9})\.PNG", path)
    if not parts:
        return parse_image(name)
    return FrameName(parts[1], CVAT.frame(int(parts[2])), _BY_CVAT)


def has_number_0(names: Iterable[str]) -> bool:
    """Return whether a file numbers images from 0, since one of them has the number 0.

    Args:
      names: the paths of all images in the file.
    """
    for name in names:
        video_and_number = split_frame_name(name)
        if video_and_number and video_and_number.number == 0:
            return True
    return False


def parse_from_0(name: str, certain: bool) -> FrameName | None:
    """Find the frame of a mask or a YouTube-VIS image, whose names count from 0.

    For example, 'clip1/00005.png' is frame 6 of clip1.

    Args:
      name: the path of the image.
      certain: whether the file surely counts from 0, see `has_number_0`. Otherwise the
        images of the video may begin at 1, where the image is frame 5; the `numbering`
        of the result says so.

    Returns:
      the video, the frame's number from 1, and the folder; None if the name does not
      end with a number.
    """
    frame_name = parse_image(name)
    if not frame_name:
        return None
    counted = Counted.IMAGE_NAMES_FROM_0
    if certain:
        counted = Counted.VIDEO_FRAMES
    return frame_name._replace(
        number=MASKS.frame(frame_name.number), numbering=Numbering(counted, _FROM_0)
    )


def parse_roboflow(name: str, step: int) -> FrameName | None:
    """Find the video and the frame that an image's name in an export of Roboflow means.

    Roboflow samples frames of a video, and numbers the samples from 0:
    'clip1_mp4-5_jpg.rf.0a1b….jpg' is the sixth sample. Other names are those of a
    user's own images, see `parse_image`.

    Args:
      name: the name, also without Roboflow's ending: 'clip1_mp4-5.jpg'.
      step: the number of video frames from one sampled frame to the next.

    Returns:
      the video, the frame's number from 1, and the folder; None if the name does not
      end with a number.
    """
    name = re.sub(r"_([A-Za-z]+)\.rf\.[^./]+\.[A-Za-z]+$", r".\1", name)
    parts = re.fullmatch(
        rf"(?:.*[/\\])?([^/\\]+)_(?:{_VIDEO_SUFFIXES})-([0-9]{{1,9}})(?:\.[a-z]+)?",
        name,
        re.IGNORECASE,
    )
    if not parts:
        return parse_image(name)
    explanation = (
        "Roboflow numbers its sampled frames from 0: clip_mp4-5.jpg is frame"
        f" {5 * step + 1} of the video; if it sampled every tenth, pass --frame_step=10"
    )
    number = COCO_OF_ROBOFLOW.frame(int(parts[2]) * step)
    return FrameName(parts[1], number, Numbering(Counted.VIDEO_FRAMES, explanation))


def parse_label_studio(name: str) -> FrameName | None:
    """Find the video and the frame that an image's name in Label Studio means.

    Label Studio puts 8 random digits before the user's name of the image, as in
    '0a1b2c3d-clip1_00005.jpg'. They are removed; the number stays as it stands in the
    name.

    Args:
      name: the name or path of the image.

    Returns:
      the video, the frame's number, and an empty folder; None if the name contains no
      video or no number.
    """
    frame_name = parse_image(re.sub(_UPLOADED, "", _file_name(name)))
    if frame_name and frame_name.video:
        return frame_name
    return None


def _file_name(name: str) -> str:
    """Return the last part of a path, which may have backslashes."""
    return name.replace("\\", "/").rpartition("/")[2]


def _without_images_folder(name: str) -> str:
    """Return a path without the folder images/ or images/default/ of an export."""
    return re.sub(r"(^|/)images/(default/)?", r"\1", name.replace("\\", "/"))
