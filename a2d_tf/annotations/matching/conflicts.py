"""Documents that contradict each other on a video."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex

from a2d_tf.annotations.documents.document import AnnotatedFrame, Document
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.core.errors import InputError


class Conflicts:
    """Finds documents, annotations of one file each, that contradict each other.

    It is told the documents and frames one by one, and remembers them.

    Args:
      flag: the name of the command's flag that lists the exports, such as
        'annotations', for errors.
    """

    def __init__(self, flag: str) -> None:
        self._flag = flag
        # {(video, number of the task, range of frames): the first export}
        self._exports: dict[tuple, Document] = {}
        # {video: the first task of all its frames}
        self._whole_tasks: dict[str, Document] = {}
        # {video: the first frame with a folder}
        self._frames_in_folders: dict[str, AnnotatedFrame] = {}

    def check_document(self, document: Document, video: str, is_named: bool) -> None:
        """Raise InputError if a document contradicts an earlier one.

        Two documents contradict each other if they export one task with different
        frames, or if they are different tasks, each of a whole video of this name.

        Args:
          document: the annotations of one file.
          video: the name of the video that they were matched to.
          is_named: whether the user has named the video of this export. Then several
            tasks may annotate one video.
        """
        self._check_exported_again(document, video)
        if is_named or document.task is None:
            return
        if not document.frame_range or document.frame_range.start > 0:
            return
        other = self._whole_tasks.setdefault(video, document)
        if other.task != document.task:
            argument = shlex.quote(f"--{self._flag}={video}={file_of(document)}")
            raise InputError(
                f"{document.path}: tasks {other.task} and {document.task} are both of a"
                f" video '{video}'; if these are two, rename one, else name the video"
                f" of each export: {argument}"
            )

    def _check_exported_again(self, document: Document, video: str) -> None:
        """Raise InputError if an earlier export of the same task has other frames.

        One of the two may be a correction, in which frames lost their shapes.
        """
        key = (video, document.task, document.frame_range)
        other = self._exports.setdefault(key, document)
        numbers = {frame.number for frame in document.frames}
        other_numbers = {frame.number for frame in other.frames}
        if numbers == other_numbers:
            return
        if document.task is not None:
            name = f"task {document.task}"
        elif document.frame_range and numbers & other_numbers:
            name = f"'{video}'"
        else:
            return
        raise InputError(
            f"{document.path}: {name} is also in {other.path}, with other frames;"
            " remove the older export"
        )

    def check_folder(self, frame: AnnotatedFrame, video: str) -> None:
        """Raise InputError if an earlier frame of this video is in another folder.

        Then the two folders contain two videos of one name.

        Args:
          frame: an annotated frame; one whose file names no folder is accepted.
          video: the name of the video that the frame was matched to.
        """
        if not frame.folder:
            return
        other = self._frames_in_folders.setdefault(video, frame)
        if other.folder.casefold() != frame.folder.casefold():
            argument = shlex.quote(f"--{self._flag}={video}={file_of(frame)}")
            raise InputError(
                f"{frame.where}: '{frame.folder}/{video}' is another video than"
                f" '{other.folder}/{video}' of {other.where}; rename one, also in the"
                f" annotations, or if they are one, name it: {argument}"
            )


def check_repetition(
    frame: AnnotatedFrame, earlier: AnnotatedFrame, video: str, number: int
) -> None:
    """Raise InputError if two annotations of a frame differ, or are in one file.

    Two files may annotate a frame alike, such as the exports of a task and of its
    project. Numbers of tracks may differ then.

    Args:
      frame: the annotation that was read later.
      earlier: the annotation of the same frame that was read before.
      video: the name of the video, for the error.
      number: the 1-based number of the frame, for the error.
    """
    is_of_same_file = earlier.path == frame.path
    is_repeated = is_of_same_file and earlier.where != frame.where
    is_alike = frame.size == earlier.size and _contents(frame) == _contents(earlier)
    if is_alike and not is_repeated:
        return
    if is_of_same_file:
        remedy = "export each image once, with all instances and without augmentation"
    else:
        remedy = "remove the older export, if the newer one corrects it"
    raise InputError(
        f"{frame.where}: frame {number} of '{video}' is also in {earlier.where};"
        f" {remedy}"
    )


def _contents(frame: AnnotatedFrame) -> list[Instance]:
    """Return the instances of a frame without places and without numbers of tracks.

    A tool numbers the tracks of a project differently from those of its tasks.
    """
    return [
        dataclasses.replace(instance, where="", track=None)
        for instance in frame.instances
    ]


def file_of(entry: Document | AnnotatedFrame) -> pathlib.PurePath:
    """Return the path of the existing file that contains a document or a frame.

    For a member of a zip this is the zip. If no such file exists, it is the entry's
    `path`.

    Args:
      entry: the annotations of one file, or of one frame.
    """
    for path in (entry.path, *entry.path.parents):
        if os.path.isfile(path):
            return path
    return entry.path
