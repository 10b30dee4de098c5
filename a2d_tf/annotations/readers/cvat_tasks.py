"""What the <meta> of CVAT's XML says of tasks and labels.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`, `bindings.py`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from xml.etree.ElementTree import Element

from a2d_tf.annotations.conventions import CVAT
from a2d_tf.annotations.document import ToolLabel
from a2d_tf.core.errors import quoted
from a2d_tf.data import video_frames

# Of CVAT's subsets, if one is Test; `--val_fraction` chooses the validation videos.
_SPLITS = {"train": "train", "validation": "train", "test": "test"}
# Suffixes of sources: films, images and archives. A folder's name may have a dot, too:
# clip.v2.
_SOURCES = (*video_frames.VIDEOS, *video_frames.IMAGES, ".zip", ".tar", ".gz", ".tgz")
_SUFFIX = re.compile(f"(?i)({'|'.join(map(re.escape, _SOURCES))})$")


@dataclasses.dataclass
class Task:
    """A task of an export, or the one job of it that is exported.

    Attributes:
      video: the video's name without suffix; None where the export has none.
      of_video: whether it annotates a video; False for images; None where the export is
        silent.
      size: (height, width) of the video; None for images.
      start, step, count: the frames of the video that the task shows; count is None if
        unknown.
      id: its number; None for a job, since a task has several jobs.
      subset: the name of its part of the project; '' if it has none.
      offset: what a project adds to the frame numbers.
      split: 'train' or 'test'; None in another subset, or where the project lacks one
        of the two.
    """

    video: str | None = None
    of_video: bool | None = None
    size: tuple[int, int] | None = None
    start: int = 0
    step: int = 1
    count: int | None = None
    id: int | None = None
    subset: str = ""
    offset: int = 0
    split: str | None = None

    @property
    def frames(self) -> range:
        """The frames of the video that the task shows, from 0; none if unknown."""
        return range(self.start, self.start + self.step * (self.count or 0), self.step)

    def number(self, frame: int) -> int:
        """Return the 1-based number in the video of a frame of the file.

        Raises:
          ValueError: the task does not show the frame; names no file.
        """
        if self.count is not None and frame - self.offset not in self.frames:
            raise ValueError(f"frame {frame} is not in its task")
        return CVAT.frame(frame - self.offset)


def read_tasks(root: Element) -> dict[str | None, Task]:
    """Return the tasks of an export.

    Returns:
      {id: task} of a project, in the order of the ids; {None: task} of a task or job.

    Raises:
      ValueError: a field is damaged; names no file.
    """
    meta = root.find("meta")
    if meta is None:
        return {None: Task()}
    if meta.find("project") is None:
        return {None: _read_task(meta, meta.find("task"))}
    tasks = []
    for element in meta.iterfind("project/tasks/task"):
        task = _read_task(element, element)
        task.video = task.video or _video_name(element.findtext("name", ""))
        task.subset = element.findtext("subset") or ""
        tasks.append(task)
    tasks.sort(key=lambda task: task.id or 0)
    splits = [_SPLITS.get(task.subset.lower()) for task in tasks]
    if "train" in splits and "test" in splits:
        for task, split in zip(tasks, splits):
            task.split = split
    # CVAT numbers the frames of a subset on, from task to task.
    ends: dict[str, int] = {}
    for task in tasks:
        task.offset = ends.get(task.subset, 0)
        ends[task.subset] = task.offset + task.frames.stop
    return {str(task.id): task for task in tasks}


def read_labels(root: Element) -> Iterator[ToolLabel]:
    """Yield each label, actor and action in the tool's list of labels.

    A label whose actor or action is free text yields one without a name, because its
    names are not all in the list.
    """
    for label in root.iterfind("meta//label"):
        name = label.findtext("name", "")
        choices: dict[str, list] = {"actor": [None], "action": [None]}
        for attribute in label.iterfind("attributes/attribute"):
            field = attribute.findtext("name", "").lower()
            if field not in choices:
                continue
            if attribute.findtext("input_type") in ("select", "radio"):
                choices[field] = attribute.findtext("values", "").split("\n")
            else:
                choices[field] = [None]
                name = ""
        for actor in choices["actor"]:
            for action in choices["action"]:
                yield ToolLabel(name, actor, action)


def _read_task(parent: Element, task: Element | None) -> Task:
    """Read a task that is described somewhere within `parent`.

    The export of a job has only parts of the description.
    """
    # Of a tag that occurs several times, the first element counts.
    texts = _texts(reversed(list(parent.iter())))
    task_texts = {} if task is None else _texts(task)
    result = Task(_video_name(texts.get("source", "")))
    if "original_size" in texts:
        result.size = (integer(texts, "height"), integer(texts, "width"))
    if result.video or result.size:
        result.of_video = True
    else:
        modes = {"interpolation": True, "annotation": False}
        result.of_video = modes.get(texts.get("mode", ""))
    if "size" in task_texts or parent is task:
        result.start = integer(task_texts, "start_frame")
        result.count = integer(task_texts, "size")
    step = re.search(r"step\s*=\s*([1-9][0-9]*)", texts.get("frame_filter", ""))
    if step:
        result.step = int(step[1])
    if "id" in task_texts or parent is task:
        result.id = integer(task_texts, "id")
    return result


def _texts(elements: Iterable[Element]) -> dict[str, str]:
    return {element.tag: (element.text or "").strip() for element in elements}


def _video_name(path: str) -> str | None:
    """Return the name of a file without folders and suffix; None for no name."""
    name = path.strip().replace("\\", "/").rpartition("/")[2]
    return _SUFFIX.sub("", name) or None


def integer(fields: Element | Mapping[str, str], name: str, default: str = "") -> int:
    """Return an attribute of an element, or one of some texts, as a number.

    Raises:
      ValueError: it is missing, or no integer of at most nine digits; names no file.
    """
    text = fields.get(name, default)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"'{name}' is {quoted(text)}, not an integer")
    return int(text)
