"""The tasks that a CVAT export is of: their videos, and how their frames are numbered.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/bindings.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import re
from xml.etree.ElementTree import Element

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.frames import IMAGES, VIDEOS

# Of CVAT's subsets, where one of them is Test: validation videos are chosen by `--val_fraction`.
_SPLITS = {"train": "train", "validation": "train", "test": "test"}
# Of sources: films, archives and images. A folder's name may have a dot, too: clip.v2.
_FILES = {
    *(*VIDEOS, *IMAGES),
    *".3gp .asf .divx .dv .f4v .flv .m1v .m2ts .m2v .m4v .mp2 .mpeg .mpg .mts .mxf .ogg".split(),
    *".ogv .qt .rm .rmvb .ts .vob .wmv .y4m .7z .gz .rar .tar .tgz .zip".split(),
    *".avif .bmp .gif .heic .pdf .tif .tiff .webp".split(),
}


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of an export, or the one job that it is of.

    Attributes:
      video: the video's name without suffix; None where the export has none.
      of_video: whether it annotates a video; False for images; None where the export is silent.
      size: (height, width) of the video; None for images.
      start, step, count: the frames of the video that the task shows; count is None if unknown.
      offset: what a project adds to the frame numbers.
      frame_count: number of frames of the video, or of images; None if unknown.
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
    frame_count: int | None = None
    split: str | None = None
    id: int | None = None

    @property
    def frames(self) -> range:
        """The frames of the video that the task shows, counted from 0; none where unknown."""
        return range(self.start, self.start + self.step * (self.count or 0), self.step)

    def number(self, frame: int) -> int | None:
        """Return the 1-based number of a frame of the file; None if the task does not show it."""
        frame -= self.offset
        return None if self.count is not None and frame not in self.frames else frame + 1


def read_tasks(root: Element, path: pathlib.PurePath) -> dict[str | None, Task]:
    """Read the tasks of an export.

    Args:
      root: the element <annotations>.
      path: the file, for errors.

    Returns:
      {id: task} of a project, in the order of the ids; {None: task} of a task or job.

    Raises:
      InputError: a field is missing or no number.
    """
    project = root.find("meta/project")
    if project is None:
        job = root.find("meta/job")
        element = job if job is not None else root.find("meta/task")
        return {None: Task() if element is None else _single(element, root, path)}
    elements = project.findall("tasks/task")
    elements.sort(key=lambda element: _whole_number(element, "id", path))
    subsets = [element.findtext("subset") or "" for element in elements]
    splits = [_SPLITS.get(subset.lower()) for subset in subsets]
    tasks: dict[str | None, Task] = {}
    ends = dict.fromkeys(subsets, 0)
    for element, subset, split in zip(elements, subsets, splits):
        start, count = (_whole_number(element, field, path) for field in ("start_frame", "size"))
        task = _task(element, path, start, count)
        identity = _whole_number(element, "id", path)
        tasks[str(identity)] = dataclasses.replace(
            task,
            id=identity,
            video=task.video or _stem(element.findtext("name"), VIDEOS),
            count=count,
            offset=ends[subset],
            split=split if {"train", "test"} <= set(splits) else None,
        )
        ends[subset] += start + task.step * count
    _check_videos(tasks.values(), path)
    return tasks


def _check_videos(tasks, path):
    """Raise InputError where tasks of a project show the same frames of videos of one name."""
    for other, task in itertools.combinations(tasks, 2):
        frame = _first_of_both(other.frames, task.frames)
        if task.video and task.video == other.video and frame is not None:
            raise InputError(
                f"{path}: the tasks {other.id} and {task.id} both show frame {frame} of a video "
                f"'{task.video}'; export each task by itself, and rename the videos if they are two"
            )


def _first_of_both(ours, others):
    """The first number of two ascending ranges, None where they have none in common."""
    start = max(ours.start, others.start)
    later = ours[-((ours.start - start) // ours.step) :]
    # What they have in common recurs after at most so many of ours.
    return next((number for number in later[: others.step] if number in others), None)


def _single(element, root, path):
    """The task, or a job, which shows any part of its task."""
    whole = element.tag == "task" and element.find("size") is not None
    count = _whole_number(element, "size", path) if whole else None
    start = _whole_number(element, "start_frame", path) if count is not None else 0
    task, meta = _task(element, path, start, count), root.find("meta")
    # Until 2020 the source stood beside the task; a job's size may.
    video = task.video or _stem(meta.findtext("source"), _FILES)
    size = task.size or _size(meta, path)
    of_video = True if video or size else task.of_video
    named = element.tag == "task" and element.findtext("id")
    identity = _whole_number(element, "id", path) if named else None
    return dataclasses.replace(task, video=video, size=size, of_video=of_video, id=identity)


def _task(element, path, start, count):
    step = re.search(r"step\s*=\s*([1-9][0-9]{0,8})", element.findtext("frame_filter") or "")
    size, source = _size(element, path), _stem(element.findtext("source"), _FILES)
    mode = {"interpolation": True, "annotation": False}.get(element.findtext("mode") or "")
    of_video = True if source or size else mode
    task = Task(source, of_video, size, start, int(step[1]) if step else 1)
    # Of every second frame, the last one may be the video's last but one.
    known = of_video is not None and task.step == 1 and count is not None
    return dataclasses.replace(task, frame_count=start + count if known else None)


def _size(element, path):
    size = element.find("original_size")
    if size is None:
        return None
    height, width = (_whole_number(size, field, path) for field in ("height", "width"))
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise InputError(
            f"{path}: original_size: {width}x{height} is no size of a video, 1 to {MAX_SIDE} "
            "pixels a side; export it again"
        )
    return height, width


def _whole_number(element, field, path):
    text = (element.findtext(field) or "").strip()
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InputError(
            f"{path}: {element.tag}/{field}: {shown(text)} is no number; export it again"
        )
    return int(text)


def _stem(name, suffixes):
    """The name of a file without folders and suffix (one of `suffixes`); None for no name."""
    base = (name or "").strip().replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    is_suffix = f"{dot}{suffix}".lower() in suffixes
    return (stem if stem and is_suffix else base) or None
