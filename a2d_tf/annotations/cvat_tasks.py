"""The tasks that a CVAT export is of: their videos, and how their frames are numbered.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/bindings.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from a2d_tf.core.errors import MAX_SIDE, shown

# Of CVAT's subsets, where one of them is Test: validation videos are chosen by `--val_fraction`.
_SPLITS = {"train": "train", "validation": "train", "test": "test"}
# Of sources: films, archives and images. A folder's name may have a dot, too: clip.v2.
_SUFFIX = re.compile(
    r"\.(mp4|m4v|avi|mov|mkv|webm|mpe?g|m2?ts|ts|vob|wmv|flv|3gp|og[gv]|mxf|y4m"
    r"|zip|7z|rar|tar|t?gz|jpe?g|png|bmp|gif|tiff?|webp|pdf)$",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of an export, or the one job that it is of.

    Attributes:
      video: the video's name without suffix; None where the export has none.
      of_video: whether it annotates a video; False for images; None where the export is silent.
      size: (height, width) of the video; None for images.
      start, step, count: the frames of the video that the task shows; count is None if unknown.
      offset: what a project adds to the frame numbers.
      split: 'train' or 'test'; None in another subset, or where the project lacks one of the two.
      id: its number; None of a job, of which a task has several.
    """

    video: str | None = None
    of_video: bool | None = None
    size: tuple[int, int] | None = None
    start: int = 0
    step: int = 1
    count: int | None = None
    offset: int = 0
    split: str | None = None
    id: int | None = None

    @property
    def frames(self) -> range:
        """The frames of the video that the task shows, counted from 0; none where unknown."""
        return range(self.start, self.start + self.step * (self.count or 0), self.step)

    @property
    def frame_count(self) -> int | None:
        """The number of frames of the video, or of images; None if unknown."""
        # Of every second frame, the last one may be the video's last but one.
        known = self.of_video is not None and self.step == 1 and self.count is not None
        return self.frames.stop if known else None

    def number(self, frame: int) -> int:
        """Return the 1-based number of a frame of the file; ValueError if the task lacks it."""
        if self.count is not None and frame - self.offset not in self.frames:
            raise ValueError(f"frame {frame}, which its task does not show")
        return frame - self.offset + 1


def read_tasks(root: Element) -> dict[str | None, Task]:
    """Read the tasks of an export.

    Args:
      root: the element <annotations>.

    Returns:
      {id: task} of a project, in the order of the ids; {None: task} of a task or job.

    Raises:
      ValueError: a field is missing or no number, or two tasks show one frame; names no file.
    """
    if root.find("meta/project") is None:
        return {None: _single(root)}
    elements = root.findall("meta/project/tasks/task")
    elements.sort(key=lambda element: _number(element, "id"))
    subsets = [element.findtext("subset") or "" for element in elements]
    splits = [_SPLITS.get(subset.lower()) for subset in subsets]
    tasks: dict[str | None, Task] = {}
    ends = dict.fromkeys(subsets, 0)
    for element, subset, split in zip(elements, subsets, splits):
        start, count = _number(element, "start_frame"), _number(element, "size")
        task = _task(element, start, count, element)
        tasks[str(task.id)] = dataclasses.replace(
            task,
            video=task.video or _video(element.findtext("name", "")),
            offset=ends[subset],
            split=split if {"train", "test"} <= set(splits) else None,
        )
        ends[subset] += task.frames.stop
    _check_videos(tasks.values())
    return tasks


def _check_videos(tasks: Iterable[Task]) -> None:
    """Raise ValueError where tasks of a project show the same frames of videos of one name."""
    for other, task in itertools.combinations(tasks, 2):
        if task.video and task.video == other.video:
            both = next((frame for frame in task.frames if frame in other.frames), None)
            if both is not None:
                raise ValueError(
                    f"the tasks {other.id} and {task.id} both show frame {both} of a video "
                    f"'{task.video}'; rename the videos if they are two, or export each by itself"
                )


def _single(root):
    """Return the task, or a job, which shows any part of its task."""
    meta, element = root.find("meta"), root.find("meta/task")
    if meta is None:
        return Task()
    if element is None or element.find("size") is None:
        return _task(meta, 0, None, element)
    return _task(meta, _number(element, "start_frame"), _number(element, "size"), element)


def _task(parent, start, count, task):
    """Return the task that is described somewhere within `parent`; `task` has its number."""
    step = re.search(r"step\s*=\s*([1-9][0-9]*)", _text(parent, "frame_filter"))
    video, size = _video(_text(parent, "source")), _size(parent)
    mode = {"interpolation": True, "annotation": False}.get(_text(parent, "mode"))
    return Task(
        video,
        True if video or size else mode,
        size,
        start,
        int(step[1]) if step else 1,
        count,
        id=_number(task, "id") if task is not None and task.findtext("id") else None,
    )


def _size(parent):
    element = next(parent.iter("original_size"), None)
    if element is None:
        return None
    height, width = _number(element, "height"), _number(element, "width")
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ValueError(f"original_size: {width}x{height} is no size of a video")
    return height, width


def _text(parent, tag):
    """Return the text of the first such element within a parent; '' where there is none."""
    return next((element.text or "" for element in parent.iter(tag)), "")


def _number(element, field):
    text = (element.findtext(field) or "").strip()
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{element.tag}/{field}: {shown(text)} is no number")
    return int(text)


def _video(name):
    """Return the name of a file without folders and suffix; None for no name."""
    base = name.strip().replace("\\", "/").rpartition("/")[2]
    return _SUFFIX.sub("", base) or None
