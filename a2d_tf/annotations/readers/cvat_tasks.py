"""The tasks and labels in the <meta> of CVAT's XML.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`, `bindings.py`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from xml.etree.ElementTree import Element

from a2d_tf.annotations.documents.conventions import CVAT
from a2d_tf.annotations.documents.document import ToolLabel
from a2d_tf.core.errors import quoted
from a2d_tf.data.decoding import video_paths

# The split of each of CVAT's subsets; it counts only if the project has both splits.
# `--val_fraction` chooses the validation videos.
_SPLITS = {"train": "train", "validation": "train", "test": "test"}
# Suffixes of sources: videos, images and archives. A folder's name may have a dot, too:
# clip.v2.
_SOURCES = (*video_paths.VIDEOS, *video_paths.IMAGES, ".zip", ".tar", ".gz", ".tgz")
_SUFFIX = re.compile(f"(?i)({'|'.join(map(re.escape, _SOURCES))})$")


@dataclasses.dataclass
class Task:
    """A task of CVAT in an export, or a job, which is a part of a task.

    Attributes:
      video: the video's name without suffix; None if the export does not say.
      of_video: whether it annotates a video; False for images; None if the export does
        not say.
      size: (height, width) of the video in pixels; None for images.
      start: the first frame of the video that the task shows, counted from 0.
      step: the number of video frames from one frame of the task to the next.
      count: the number of frames that the task shows; None if unknown.
      id: the number of the task; None for a job, since a task has several jobs.
      subset: the name of its part of the project, such as 'Train'; '' if it has none.
      offset: the number that the export of a project adds to the numbers of the task's
        frames.
      split: 'train' or 'test'; None for another subset, or if the project has only one
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
        """The video's frames that the task shows, counted from 0; empty if unknown."""
        return range(self.start, self.start + self.step * (self.count or 0), self.step)

    def number(self, frame: int) -> int:
        """Return the 1-based number of a frame in the video.

        Args:
          frame: the number of the frame in the file. It counts from 0, and the export
            of a project adds `offset`.

        Raises:
          ValueError: the task does not show the frame. The message does not name the
            file.
        """
        if self.count is not None and frame - self.offset not in self.frames:
            raise ValueError(f"frame {frame} is not in its task")
        return CVAT.frame(frame - self.offset)


def read_tasks(root: Element) -> dict[str | None, Task]:
    """Read the descriptions of the tasks in CVAT's XML.

    Args:
      root: the root element of the XML.

    Returns:
      {id of a task as text: task} for a project, in the order of the ids; {None: task}
      for the export of a single task or job.

    Raises:
      ValueError: a field is damaged. The message does not name the file.
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
    # In a subset, CVAT goes on counting frames from one task to the next.
    ends: dict[str, int] = {}
    for task in tasks:
        task.offset = ends.get(task.subset, 0)
        ends[task.subset] = task.offset + task.frames.stop
    return {str(task.id): task for task in tasks}


def read_labels(root: Element) -> Iterator[ToolLabel]:
    """Yield the labels that the tool offers: one for each actor and action to choose.

    If the actor or the action of a label is free text, the label is '', because the
    list does not contain all its names.

    Args:
      root: the root element of the XML.
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
    """Read a task.

    Args:
      parent: an element that contains the description of the task.
      task: the <task>; None in the export of a job, which describes a task in part.
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
    """Return {tag: text} of elements; the last element with a tag counts."""
    return {element.tag: (element.text or "").strip() for element in elements}


def _video_name(path: str) -> str | None:
    """Return the file name of a path without its suffix; None if there is none."""
    name = path.strip().replace("\\", "/").rpartition("/")[2]
    return _SUFFIX.sub("", name) or None


def integer(fields: Element | Mapping[str, str], name: str, default: str = "") -> int:
    """Return an attribute of an element, or a text in a dictionary, as an integer.

    Args:
      fields: the XML element or the dictionary.
      name: the name of the attribute, or the key.
      default: the text that counts if it is missing.

    Raises:
      ValueError: it is missing, or no integer of at most nine digits. The message does
        not name the file.
    """
    text = fields.get(name, default)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"'{name}' is {quoted(text)}, not an integer")
    return int(text)
