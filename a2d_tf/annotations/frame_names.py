"""How tools name the image of a frame: from a path to the video's name and the frame's number."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping

from a2d_tf.annotations.document import AnnotatedFrame, Document, split_frame_name

OF_IMAGES = "images are numbered by their own names, as in clip/00005.jpg"
"""Explanation of numbers that are the user's, see `Document.explanation`."""


PREDICTION = "a2d_tf"
"""`info.description` of this project's own export of a prediction as COCO."""


@dataclasses.dataclass(frozen=True)
class FrameName:
    """What the name of an image says; the fields are those of `AnnotatedFrame` and `Document`."""

    video: str | None
    number: int
    numbering: str = "names"
    explanation: str = OF_IMAGES


def documents(
    path: pathlib.PurePath,
    format_name: str,
    frames: Iterable[tuple[FrameName, AnnotatedFrame]],
    left_out: Mapping[str, int],
    frame_count: int | None = None,
) -> list[Document]:
    """Make a file's documents: one, or two where its images are numbered in both ways.

    Args:
      path: the file.
      format_name: its format.
      frames: its annotated frames, with what their names say.
      left_out: see `Document`; the first document has it.
      frame_count: see `Document`; of the frames that are numbered as in the video.
    """
    numbered: dict[str, tuple[str, list[AnnotatedFrame]]] = {}
    for name, frame in frames:
        numbered.setdefault(name.numbering, (name.explanation, []))[1].append(frame)
    return [
        Document(
            path,
            format_name,
            tuple(members),
            numbering,
            explanation,
            frame_count if numbering == "video" else None,
            dict(left_out) if i == 0 else {},
        )
        for i, (numbering, (explanation, members)) in enumerate(
            (numbered or {"names": (OF_IMAGES, [])}).items()
        )
    ]


def of_image(name: str) -> FrameName | None:
    """Parse the path of an image of the user's: 'clip1/00005.jpg', 'images/clip1_00005.jpg'.

    Returns:
      The frame; None where the name ends with no number.
    """
    found = split_frame_name(_without_images(name))
    if not found:
        return None
    video, number = found
    return FrameName(None if video in ("", ".", "..") else video, number)


def of_cvat(name: str) -> FrameName | None:
    """Parse a name that CVAT writes: 'frame_000005.PNG' of a video, else an image's own path.

    Source: cvat-ai/cvat `dataset_manager/bindings.py`.
    """
    found = re.fullmatch(r"frame_([0-9]{6,9})\.PNG", _without_images(name))
    if not found:
        return of_image(name)
    return FrameName(
        None, int(found[1]) + 1, "video", "CVAT counts from 0: frame_000005 is frame 6 of the video"
    )


def of_prediction(name: str) -> FrameName | None:
    """Parse a name of this project's own export: 'clip1/frame_000005.PNG' is frame 6 of clip1.

    'garden/DSC_0005.jpg' is frame 5 of garden.
    """
    folders, _, last = name.rpartition("/")
    found, video = of_cvat(last), folders.rpartition("/")[2]
    return dataclasses.replace(found, video=video) if found and video else found


def of_youtube_vis(name: str) -> FrameName | None:
    """Parse a name of YouTube-VIS, which counts from 0: 'clip1/00005.jpg' is frame 6."""
    found = of_image(name)
    return found and FrameName(
        found.video,
        found.number + 1,
        "names from 0",
        "YouTube-VIS counts from 0: clip/00005.jpg is frame 6 of the video",
    )


def of_roboflow(name: str, step: int) -> FrameName | None:
    """Parse a name of Roboflow's: 'clip1_mp4-5_jpg.rf.0a1b….jpg', or 'clip1_mp4-5.jpg'.

    Args:
      name: the image's name.
      step: the number of video frames from one sampled frame to the next.
    """
    name = re.sub(r"_([A-Za-z]+)\.rf\.[^./]+\.[A-Za-z]+$", r".\1", name)
    found = re.fullmatch(
        r"(?:.*[/\\])?([^/\\]+)_(?:mp4|mov|avi|mkv|webm|m4v|mpe?g|wmv)-([0-9]{1,9})(?:\.[a-z]+)?",
        name,
        re.IGNORECASE,
    )
    if not found:
        return of_image(name)
    return FrameName(
        found[1],
        int(found[2]) * step + 1,
        "video",
        f"Roboflow counts the frames it sampled from 0: clip_mp4-5.jpg is frame {5 * step + 1} of "
        "the video; if it took every tenth, say --frame_step=10",
    )


def is_of_roboflow(name: str) -> bool:
    """Whether Roboflow has named an image."""
    return bool(re.search(r"\.rf\.[^./]+\.[A-Za-z]+$", name))


def of_label_studio(name: str) -> FrameName | None:
    """Parse a name of Label Studio's: '../upload/1/0a1b2c3d-clip1_00005.jpg'.

    Returns:
      The frame; None also where the name does not hold the video, for folders are lost.
    """
    last = _last(name)
    found = of_image(re.sub(_UPLOADED, "", last))
    return found if found and found.video else None


def is_of_label_studio(name: str) -> bool:
    """Whether Label Studio has named an image, an upload or one of a local storage."""
    return bool(re.match(_UPLOADED, _last(name)))


_UPLOADED = re.compile(r"^[0-9a-f]{8}(-|__)(?=.)")


def _last(name):
    return name.replace("\\", "/").rpartition("/")[2]


def _without_images(name):
    """A path without the folders that hold the images of an export: images/default/."""
    return re.sub(r"(^|/)images/(default/)?", r"\1", name.replace("\\", "/"))
