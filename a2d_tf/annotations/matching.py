"""Match annotations to the videos of a folder and to their frames.

A user may name the video of an export, unless its files name several. Otherwise the
first of these counts: the video that the file names; the video after which the export's
file or one of its folders is named; that of the task in a name that CVAT gave it; the
only video of the size and the number of frames that the file gives.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from a2d_tf.annotations.conflicts import Conflicts, file_of
from a2d_tf.annotations.conventions import COCO, MASKS
from a2d_tf.annotations.document import AnnotatedFrame, Counted, Document, Instance
from a2d_tf.annotations.video_folder import VideoFolder
from a2d_tf.annotations.video_names import name_in_download
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data.video_frames import VIDEOS

# Suffixes of exports that are named after a video. Other dots are part of a name, such
# as clip.2.
_SUFFIXES = (*VIDEOS, ".json", ".xml", ".zip", ".txt", ".csv", ".h5", ".slp")

# The number in the name of a video's first image, unless its folder or the user says
# otherwise.
_USUAL_FIRST = {
    Counted.IMAGE_NAMES: COCO.first_frame,
    Counted.IMAGE_NAMES_FROM_0: MASKS.first_frame,
}


class Export(NamedTuple):
    """A value of `--annotations`, or of `--tracks`.

    Attributes:
      path: the file, folder or zip.
      video: its video, if the user names it.
    """

    path: pathlib.Path
    video: str | None = None

    @classmethod
    def parse(cls, argument: str, flag: str = "annotations") -> Export:
        """Parse 'PATH', or 'VIDEO=PATH' if there is no file of that whole name.

        Args:
          flag: the flag with this value, for messages.
        """
        video, equals, path = argument.partition("=")
        if not equals or pathlib.Path(argument).exists():
            return cls(pathlib.Path(argument))
        if not is_file_name(video):
            problem = f"no such file, and {quoted(video)} is not a valid video name"
            raise InputError(f"--{flag}={argument}: {problem}")
        return cls(pathlib.Path(path), video)


class ReadExport(NamedTuple):
    """An export and its documents."""

    export: Export
    documents: list[Document]


@dataclasses.dataclass
class VideoAnnotations:
    """The annotations of a video.

    Attributes:
      frames: {1-based number: frame}, in the order of the files.
      documents: the files that these frames come from.
      notes: on how files were found to be of this video.
    """

    frames: dict[int, AnnotatedFrame] = dataclasses.field(default_factory=dict)
    documents: list[Document] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Match:
    """A document and its videos.

    Attributes:
      videos: {name of a video in the document, or None: name of the video}.
      unmatched_names: names in the document of which no video is known so far.
      is_named: whether the user has named the video.
      is_of_task: whether the video is that of the task in the name of the export.
    """

    document: Document
    videos: dict[str | None, str]
    unmatched_names: list[str | None]
    is_named: bool
    is_of_task: bool = False


def find_videos(
    exports: Iterable[ReadExport],
    folder: VideoFolder,
    first_frame: int | None = None,
    *,
    flag: str = "annotations",
    wanted: Collection[str] | None = None,
) -> dict[str, VideoAnnotations]:
    """Find the videos of exports and of their frames.

    Args:
      folder: the folder of the videos.
      first_frame: 0 or 1, the number of the first frame of a video file if images are
        numbered by name; by default 1. Folders of images begin with 0 or 1 by
        themselves.
      flag: the flag that names the exports, for messages.
      wanted: names of videos; once each of them has annotations, documents that fit no
        video are left out. None: each document must fit one.

    Returns:
      {video: its annotations}.

    Raises:
      InputError: no video fits a document, two files are one video, or a frame is
        annotated twice.
    """
    matches: list[_Match] = []
    for export, documents in exports:
        matches += _match_by_names(export, documents, folder)
    taken: set[str] = set()
    for match in matches:
        taken.update(match.videos.values())
    _match_by_size(matches, taken, folder)
    annotations = _collect_frames(matches, folder, first_frame, flag)
    unmatched = [match.document for match in matches if match.unmatched_names]
    is_complete = wanted is not None and set(wanted) <= set(annotations)
    if unmatched and not is_complete:
        raise _no_video_error(unmatched, taken, folder, flag)
    for video in annotations:
        _check_single_path(video, folder)
    return annotations


def _match_by_names(
    export: Export, documents: Sequence[Document], folder: VideoFolder
) -> list[_Match]:
    """Return the `_Match`es of an export, by the names and paths that it contains."""
    matches = [_match_document(export, document, folder) for document in documents]
    if export.video is None:
        return matches
    videos_of_contents: set[str] = set()
    for match in matches:
        videos_of_contents.update(match.videos.values())
    if len(videos_of_contents) > 1:
        raise InputError(
            f"{export.path}: contents or file names belong to videos"
            f" {join_names(sorted(videos_of_contents))}; remove '{export.video}='"
        )
    video = folder.without_suffix(export.video)
    named_matches = []
    for document in documents:
        videos = {frame.video: video for frame in document.frames}
        named_matches.append(_Match(document, videos, [], is_named=True))
    return named_matches


def _match_document(export: Export, document: Document, folder: VideoFolder) -> _Match:
    """Return the `_Match` of a document, by the names in it and by its path."""
    match = _Match(document, {}, [], is_named=False)
    for name in dict.fromkeys(frame.video for frame in document.frames):
        if name and export.video is None and not is_file_name(name):
            problem = f"video {quoted(name)} is not a valid file name; rename it"
            raise InputError(f"{document.path}: {problem}")
        video: str | None
        if name:
            video = folder.spelling(name)
        else:
            names = _names_in_path(export, document)
            video = _video_named(names, folder)
            if video is None:
                video = _video_of_task(names, folder)
                match.is_of_task = video is not None
        if video is None:
            match.unmatched_names.append(name)
        else:
            match.videos[name] = video
    return match


def _names_in_path(export: Export, document: Document) -> list[str]:
    """Return the names of a document's file and folders that may be a video's."""
    path = document.path
    # Folders above that of the export may be called anything.
    above = export.path.parent
    if not export.path.is_dir():
        above = above.parent
    if path.is_relative_to(above):
        path = path.relative_to(above)
    *folders, file = path.parts
    names = folders[::-1]
    is_named_after_frame = file.partition(".")[0].isdigit()
    if not (document.format == "labelme" and is_named_after_frame):
        names.insert(0, file)
    return names


def _video_named(names: Iterable[str], folder: VideoFolder) -> str | None:
    """Return the video after which the first of some files and folders is named."""
    for name in names:
        video = name
        while video not in folder.videos:
            stem, suffix = os.path.splitext(video)
            if suffix.lower() not in _SUFFIXES:
                break
            video = stem
        if video in folder.videos:
            return video
    return None


def _video_of_task(names: Iterable[str], folder: VideoFolder) -> str | None:
    """Return the only video that is called like the task of a file CVAT has named."""
    for name in names:
        task = name_in_download(name)
        if task is not None:
            video = folder.spelling(folder.without_suffix(task))
            if video in folder.videos:
                return video
    return None


def _match_by_size(
    matches: Iterable[_Match], taken: set[str], folder: VideoFolder
) -> None:
    """Match the names that are left to the only video of the document's size.

    `taken` are the videos of other documents; those that are found are added.
    """
    for match in matches:
        if not match.unmatched_names:
            continue
        candidates = _videos_of_size(match.document, taken, folder)
        if len(candidates) == 1:
            for name in match.unmatched_names:
                match.videos[name] = candidates[0]
            match.unmatched_names = []
            taken.update(candidates)


def _videos_of_size(
    document: Document, taken: set[str], folder: VideoFolder
) -> list[str]:
    """Return the free videos of the size and the number of frames of a document."""
    size = document.frames[0].size
    if size is None or document.frame_count is None:
        return []
    videos = []
    for name in sorted(folder.videos):
        if name not in taken:
            if folder.videos[name].extent == (size, document.frame_count):
                videos.append(name)
    return videos


def _collect_frames(
    matches: Iterable[_Match], folder: VideoFolder, first_frame: int | None, flag: str
) -> dict[str, VideoAnnotations]:
    """Return {video: its annotations} of the documents whose videos are all known.

    Raises:
      InputError: two documents contradict each other, or a number is no frame's.
    """
    conflicts = Conflicts(flag)
    annotations: dict[str, VideoAnnotations] = {}
    for match in matches:
        if match.unmatched_names:
            continue
        for video in dict.fromkeys(match.videos.values()):
            _check_numbering(match.document, video, folder)
            conflicts.check_document(match.document, video, match.is_named)
            if match.is_of_task:
                note = (
                    f"{file_of(match.document)}: taken for annotations of '{video}', by"
                    " the name that CVAT gave the file"
                )
                annotations.setdefault(video, VideoAnnotations()).notes.append(note)
        for frame in match.document.frames:
            video = match.videos[frame.video]
            if not match.is_named:
                conflicts.check_folder(frame, video)
            number = _number_in_video(frame, video, folder, first_frame)
            video_annotations = annotations.setdefault(video, VideoAnnotations())
            _add_frame(video_annotations, video, number, frame, match.document)
    return annotations


def _check_single_path(video: str, folder: VideoFolder) -> None:
    """Raise InputError if a video's name is that of several files or folders."""
    files = folder.videos.get(video)
    if files and len(files.paths) > 1:
        names = " and ".join(path.name for path in files.paths)
        raise InputError(
            f"{folder.path}: {names} are both named '{video}', and their frames"
            " may differ; move the one that was not annotated out of this folder"
        )


def _no_video_error(
    documents: Sequence[Document], taken: set[str], folder: VideoFolder, flag: str
) -> InputError:
    """Return the error of documents of which each fits no video, or several."""
    document, *others = documents
    fitting = _videos_of_size(document, taken, folder)
    candidates = fitting or sorted(set(folder.videos) - taken)
    likewise = ""
    if others:
        paths = [str(other.path) for other in others]
        likewise = f"; likewise {join_names(paths)}"
    example = candidates[0] if candidates else "VIDEO"
    argument = shlex.quote(f"{example}={file_of(document)}")
    return InputError(
        f"{document.path}: does not name its video, and {len(fitting)} of those in"
        f" {folder.path} have its size and number of frames{likewise}; candidates:"
        f" {join_names(candidates)}; add the video, or name the video of each such"
        f" file, e.g. --{flag}={argument}"
    )


def _check_numbering(document: Document, video: str, folder: VideoFolder) -> None:
    """Raise InputError if numbers of images may mean other frames of the video."""
    kinds = {frame.numbering.kind for frame in document.frames}
    if Counted.TASK_IMAGES not in kinds or video not in folder.videos:
        return
    extent = folder.videos[video].extent
    if extent is not None and extent.frame_count != document.frame_count:
        raise InputError(
            f"{document.path}: has {document.frame_count or 'some'} images of a task,"
            f" but '{video}' has {extent.frame_count} frames, so they cannot be"
            " matched; export it as 'CVAT for images 1.1', which keeps the image names"
        )


def _number_in_video(
    frame: AnnotatedFrame, video: str, folder: VideoFolder, first_frame: int | None
) -> int:
    """Return the 1-based number of a frame in its video."""
    number = frame.number
    usual = _USUAL_FIRST.get(frame.numbering.kind)
    if usual is not None:
        first = first_frame
        if video in folder.videos and folder.videos[video].first_number is not None:
            first = folder.videos[video].first_number
        if first is not None:
            number += usual - first
    if number < 1:
        raise InputError(
            f"{frame.where}: frame {frame.number} is invalid; numbering starts at 1;"
            " pass --first_frame=0 if the images are numbered from 0"
        )
    return number


def _add_frame(
    annotations: VideoAnnotations,
    video: str,
    number: int,
    frame: AnnotatedFrame,
    document: Document,
) -> None:
    """Add a frame to the `VideoAnnotations` of its video.

    Raises:
      InputError: the frame is already there, and is annotated differently.
    """
    other = annotations.frames.setdefault(number, frame)
    if other is frame:
        if not annotations.documents or annotations.documents[-1] is not document:
            annotations.documents.append(document)
        return
    is_of_same_file = other.path == frame.path
    is_repeated = is_of_same_file and other.where != frame.where
    if not is_repeated and _have_same_instances(frame, other):
        return
    if is_of_same_file:
        remedy = "export each image once, with all instances and without augmentation"
    else:
        remedy = "remove the older export, if the newer one corrects it"
    raise InputError(
        f"{frame.where}: frame {number} of '{video}' is also in {other.where}; {remedy}"
    )


def _have_same_instances(frame: AnnotatedFrame, other: AnnotatedFrame) -> bool:
    """Return whether two frames are annotated alike, as in a task and its project."""
    return frame.size == other.size and _contents(frame) == _contents(other)


def _contents(frame: AnnotatedFrame) -> list[Instance]:
    """Return what is annotated of each instance of a frame.

    A tool's own numbers of tracks are left out: those of a project differ from those of
    its tasks.
    """
    return [
        dataclasses.replace(instance, where="", track=None)
        for instance in frame.instances
    ]
