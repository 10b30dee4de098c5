"""Match annotations to the videos of a folder and to their frames.

A user may name the video of an export, unless its files name several. Otherwise the
first of these counts: the video that the file names; the video after which the export's
file or one of its folders is named; the only video of the size and the number of frames
that the file gives.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2d_tf.annotations.document import AnnotatedFrame, Document
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data import video_frames

# Of exports that are named after a video. What else a dot begins is of a name: clip.2.
_SUFFIXES = (*video_frames.VIDEOS, ".json", ".xml", ".zip")


class Export(NamedTuple):
    """A value of `--annotations`: the path of an export, and its video if the user
    names it.
    """

    path: pathlib.Path
    video: str | None = None

    @classmethod
    def parse(cls, argument: str) -> Export:
        """Parse 'PATH', or 'VIDEO=PATH' where there is no file of that whole name."""
        video, equals, path = argument.partition("=")
        if not equals or pathlib.Path(argument).exists():
            return cls(pathlib.Path(argument))
        if not is_file_name(video):
            problem = f"no such file, and {quoted(video)} is not a valid video name"
            raise InputError(f"--annotations={argument}: {problem}")
        return cls(pathlib.Path(path), video)


class Matcher:
    """Finds the videos of a folder."""

    def __init__(self, folder: pathlib.Path, first_frame: int | None = None) -> None:
        """List the videos.

        Args:
          folder: the folder of a video file, or of a folder of numbered images, per
            video.
          first_frame: 0 or 1, the number of the first frame of a video file where
            images are numbered by name; by default 1. Folders of images begin with 0 or
            1 by themselves.
        """
        self.folder, self._first_frame = folder, first_frame
        self._measured: dict[str, tuple[tuple[int, int], int] | None] = {}
        self._first: dict[str, int] = {}  # number of the first image, 0 or 1
        self._paths: dict[str, list[pathlib.Path]] = {}
        self._folders: dict[str, AnnotatedFrame] = {}  # of each video a frame
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder; --videos must be the folder of videos"
            )
        entries = (path for path in folder.iterdir() if not path.name.startswith("."))
        for path in sorted(entries):
            if path.is_dir() and video_frames.files(path):
                self._paths.setdefault(path.name, []).append(path)
                self._first[path.name] = int(not video_frames.begins_with_zero(path))
            elif path.suffix.lower() in video_frames.VIDEOS and not path.is_dir():
                self._paths.setdefault(path.stem, []).append(path)
        self._alike: dict[str, set[str]] = {}
        for name in self._paths:
            for form in _forms(name):
                self._alike.setdefault(form, set()).add(name)

    def match(
        self, exports: Iterable[tuple[Export, Sequence[Document]]]
    ) -> dict[str, dict[int, AnnotatedFrame]]:
        """Return {video: {1-based number: frame}} of exports, each with its documents.

        Raises:
          InputError: no video fits a document, two files are one video, or a frame is
            annotated twice.
        """
        named = [each for export in exports for each in self._videos_of(*export)]
        taken = {video for _, videos, _ in named for video in videos.values() if video}
        whole: dict[str, Document] = {}  # of each video a task of all of it
        tasks: dict[tuple[str, int | None, range | None], Document] = {}
        found: dict[str, dict[int, AnnotatedFrame]] = {}
        lost = []
        for document, videos, is_named in named:
            if None in videos.values():
                sized = self._of_size(document, taken)
                if len(sized) != 1:
                    lost.append(document)
                    continue
                taken.update(sized)
                videos = {name: video or sized[0] for name, video in videos.items()}
            for video in set(videos.values()):
                self._check_numbering(video, document)
                other = tasks.setdefault(
                    (video, document.task, document.frame_range), document
                )
                # Of two exports of a task, one may be a correction, which may empty
                # frames.
                ours, others = (
                    {frame.number for frame in x.frames} for x in (document, other)
                )
                is_again = document.task is not None or (
                    document.frame_range and ours & others
                )
                if is_again and ours != others:
                    name = (
                        f"'{video}'"
                        if document.task is None
                        else f"task {document.task}"
                    )
                    raise InputError(
                        f"{document.path}: {name} is also in {other.path}, with other"
                        " frames; remove the older export"
                    )
                if not is_named:
                    _check_whole(whole, video, document)
            for frame in document.frames:
                video = videos[frame.video]
                if not is_named:
                    self._check_folder(video, frame)
                self._add(found.setdefault(video, {}), video, frame)
        if lost:
            self._complain(lost, taken)
        for video in found:
            there = [path.name for path in self._paths.get(video, ())]
            if len(there) > 1:
                raise InputError(
                    f"{self.folder}: {' and '.join(there)} are both named '{video}',"
                    " and their frames may differ; move the one that was not annotated"
                    " out of this folder"
                )
        return found

    def _videos_of(self, export, documents):
        """Return (document, {name in it: its video, None if only its size may tell},
        whether the user has named it) of each.
        """
        named = []
        for document in documents:
            names = dict.fromkeys(frame.video for frame in document.frames)
            videos = {
                n: self.spelling(n) if n else self._by_path(export, document)
                for n in names
            }
            named.append((document, videos, False))
            for name in names:
                if name and export.video is None and not is_file_name(name):
                    problem = (
                        f"video {quoted(name)} is not a valid file name; rename it"
                    )
                    raise InputError(f"{document.path}: {problem}")
        if export.video is None:
            return named
        several = {
            video for _, videos, _ in named for video in videos.values() if video
        }
        if len(several) > 1:
            raise InputError(
                f"{export.path}: contents or file names belong to videos "
                f"{join_names(sorted(several))}; remove '{export.video}='"
            )
        stem, suffix = os.path.splitext(export.video)
        is_file = (
            suffix.lower() in video_frames.VIDEOS and export.video not in self._paths
        )
        video = stem if is_file else export.video
        return [
            (document, dict.fromkeys(videos, video), True)
            for document, videos, _ in named
        ]

    def spelling(self, video: str) -> str:
        """Return the folder's spelling of a name; the name where the folder has no
        such video.
        """
        alike = set().union(*(self._alike.get(form, ()) for form in _forms(video)))
        return alike.pop() if len(alike) == 1 and video not in self._paths else video

    def _by_path(self, export: Export, document: Document) -> str | None:
        """Return the video after which a document's file or one of its folders is
        named.
        """
        # Folders above that of the export may be called anything.
        path, own = document.path, export.path
        above = own.parent if own.is_dir() else own.parent.parent
        *folders, file = (
            path.relative_to(above) if path.is_relative_to(above) else path
        ).parts
        is_frame = document.format == "labelme" and file.partition(".")[0].isdigit()
        for name in [*([] if is_frame else [file]), *reversed(folders)]:
            while name not in self._paths and name.lower().endswith(_SUFFIXES):
                name = os.path.splitext(name)[0]
            if name in self._paths:
                return name
        return None

    def _of_size(self, document: Document, taken: set[str]) -> list[str]:
        """Return the videos of the size and the number of frames that a document
        gives.
        """
        wanted = document.frames[0].size, document.frame_count
        free = [name for name in sorted(self._paths) if name not in taken]
        return (
            []
            if None in wanted
            else [name for name in free if self._measure(name) == wanted]
        )

    def _complain(self, documents: Sequence[Document], taken: set[str]) -> None:
        """Raise InputError for documents of which each fits no video, or several."""
        document, *others = documents
        fit, free = self._of_size(document, taken), sorted(set(self._paths) - taken)
        candidates = fit or free
        named = shlex.quote(f"{[*candidates, 'VIDEO'][0]}={_file(document)}")
        more = (
            f"; likewise {join_names([str(each.path) for each in others])}"
            if others
            else ""
        )
        raise InputError(
            f"{document.path}: does not name its video, and {len(fit)} of those in"
            f" {self.folder} have its size and number of frames{more}; candidates:"
            f" {join_names(candidates)}; add the video, or name the video of each such"
            f" file, e.g. --annotations={named}"
        )

    def _measure(self, video: str) -> tuple[tuple[int, int], int] | None:
        """Return the (height, width) and the number of frames; None of what is no
        whole video.
        """
        if video not in self._measured:
            self._measured[video], path = None, self._paths[video][0]
            with contextlib.suppress(InputError):  # other things may lie in the folder
                self._measured[video] = (
                    video_frames.size(path),
                    video_frames.count(path),
                )
        return self._measured[video]

    def _check_numbering(self, video: str, document: Document) -> None:
        """Raise InputError where numbers would be taken for other frames than those
        meant.
        """
        kinds = {frame.numbering.kind for frame in document.frames}
        measured = (
            self._measure(video) if "images" in kinds and video in self._paths else None
        )
        if measured and measured[1] != document.frame_count:
            raise InputError(
                f"{document.path}: has {document.frame_count or 'some'} images of a"
                f" task, but '{video}' has {measured[1]} frames, so they cannot be"
                " matched; export it as 'CVAT for images 1.1', which keeps the image"
                " names"
            )

    def _check_folder(self, video: str, frame: AnnotatedFrame) -> None:
        """Raise InputError where folders tell that two videos have one name."""
        other = self._folders.setdefault(video, frame) if frame.folder else frame
        if other.folder.casefold() != frame.folder.casefold():
            argument = shlex.quote(f"--annotations={video}={_file(frame)}")
            raise InputError(
                f"{frame.where}: '{frame.folder}/{video}' is another video than"
                f" '{other.folder}/{video}' of {other.where}; rename one, also in the"
                f" annotations, or if they are one, name it: {argument}"
            )

    def _add(
        self, numbered: dict[int, AnnotatedFrame], video: str, frame: AnnotatedFrame
    ) -> None:
        """Add a frame of a video to those of the documents before."""
        kind, number = frame.numbering.kind, frame.number
        if kind in ("names", "names from 0"):
            first = self._first.get(video, self._first_frame)
            usual = 1 if kind == "names" else 0
            number += 0 if first is None else usual - first
        if number < 1:
            raise InputError(
                f"{frame.where}: frame {frame.number} is invalid; numbering starts at"
                " 1; pass --first_frame=0 if the images are numbered from 0"
            )
        other = numbered.setdefault(number, frame)
        twice = other.path == frame.path and other.where != frame.where
        if other is not frame and (twice or not _same(other, frame)):
            remedy = (
                "export each image once, with all instances and without augmentation"
            )
            if other.path != frame.path:
                remedy = "remove the older export, if the newer one corrects it"
            raise InputError(
                f"{frame.where}: frame {number} of '{video}' is also in {other.where};"
                f" {remedy}"
            )


def _check_whole(whole: dict[str, Document], video: str, document: Document) -> None:
    """Raise InputError where two tasks of one tool are each of a whole video of this
    name.
    """
    if document.task is None or not document.frame_range or document.frame_range.start:
        return
    other = whole.setdefault(video, document)
    if other.task != document.task:
        raise InputError(
            f"{document.path}: tasks {other.task} and {document.task} are both of a"
            f" video '{video}'; if these are two, rename one, else name the video of"
            " each export: " + shlex.quote(f"--annotations={video}={_file(document)}")
        )


def _file(document):
    """The file that a document or a frame is read from: of a zip's member the zip."""
    path = document.path
    return next((part for part in (path, *path.parents) if os.path.isfile(part)), path)


def _same(*frames: AnnotatedFrame) -> bool:
    """Whether two frames hold the same annotations, as a task's export and its
    project's do.
    """
    shapes = [
        [(i.label, i.actor, i.action, i.parts, i.box) for i in f.instances]
        for f in frames
    ]
    return frames[0].size == frames[1].size and shapes[0] == shapes[1]


def _forms(name: str) -> tuple[str, str]:
    """A name as tools change it: with other separators, and without blanks, brackets
    and quotes.

    They also change cases, and macOS the form of accents. A plus is no separator, and
    what stands between numbers or is a minus is not left out: 1_1 is not 11, nor is
    temp-5 temp5.
    """
    text = unicodedata.normalize("NFC", name).lower()
    unsaid = r"[\s_()\[\]'\u2019]+"
    separated = re.sub(r"(?:[^\w+]|_)+", "_", text)
    return separated, re.sub(rf"(?<!\d){unsaid}|{unsaid}(?!\d)", "", text)
