"""Matching: which video of a folder, and which of its frames, an annotation speaks of.

The video is the one that the user says, unless the files name several; else the one that the file
names, else the one after which the export's file or one of its folders is named, else the only one
of the size and the number of frames that the file gives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from a2d_tf.annotations.document import AnnotatedFrame, Document
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name
from a2d_tf.data import frames as frame_files


@dataclasses.dataclass(frozen=True)
class Located:
    """An annotated frame whose video is known, and the document that it is from."""

    frame: AnnotatedFrame
    document: Document


@dataclasses.dataclass(frozen=True)
class Export:
    """What `--annotations` names: the path of an export, and its video where the user says it."""

    path: pathlib.Path
    video: str | None = None

    @classmethod
    def parse(cls, argument: str) -> Export:
        """Parse 'PATH', or 'VIDEO=PATH' where there is no file of that whole name."""
        video, equals, path = argument.partition("=")
        if not equals or pathlib.Path(argument).exists():
            return cls(pathlib.Path(argument))
        return cls(pathlib.Path(path), video)


class Matcher:
    """Finds the videos of a folder.

    Attributes:
      folder: the folder of the videos.
      names: the names of its videos, sorted.
      by_size: {path of a document: the video that was found by its size}.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        first_frame: int | None = None,
        by_size: Mapping[pathlib.PurePath, str] | None = None,
    ) -> None:
        """List the videos.

        Args:
          folder: the folder of a video file, or of a folder of numbered images, per video.
          first_frame: 0 or 1, the number of the first frame of a video file where images are
            numbered by name; by default 1. Folders of images begin with 0 or 1 by themselves.
          by_size: that of an earlier match of the same documents, so that no video is decoded.
        """
        self.folder, self._first_frame = folder, first_frame
        self.by_size = dict(by_size or {})  # a file may be of two documents
        self._first: dict[str, int | None] = {}  # number of a folder's first image; None of a file
        self._spelled: dict[str, str] = {}
        self._again = by_size is not None
        self._measured: dict[str, tuple[tuple[int, int], int] | None] = {}
        self._paths: dict[str, list[pathlib.Path]] = {}
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; --videos names that of the videos")
        for path in sorted(folder.iterdir()):
            if name := _name_of(path):
                self._paths.setdefault(name, []).append(path)
        self.names = sorted(self._paths)

    def match(self, exports: Iterable[tuple[Export, Document]]) -> dict[str, dict[int, Located]]:
        """Find the video and the frame of each annotated frame.

        Returns:
          {video: {1-based number: frame}}, in the order of the documents.

        Raises:
          InputError: a document's video cannot be told, two files are one video, or two documents
            annotate one frame.
        """
        exports = list(exports)
        named = {id(document): self._named(export, document) for export, document in exports}
        self._check_said(exports)
        taken = {video for video in named.values() if video}
        taken |= {
            self._spelling(video)
            for export, document in exports
            for video in {frame.video for frame in document.frames}
            if video and export.video is None
        }
        checked: set[tuple[int, str]] = set()
        tasks: dict[tuple[str, int], Document] = {}
        found: dict[str, dict[int, Located]] = {}
        for _, document in exports:
            for frame in document.frames:
                video = named[id(document)] or frame.video and self._known(frame.video)
                if video is None:
                    video = self.by_size.get(document.path) or self._find_by_size(document, taken)
                    named[id(document)] = self.by_size[document.path] = video
                    taken.add(video)
                if (id(document), video) not in checked:
                    checked.add((id(document), video))
                    self._check_positions(video, document)
                if document.task is not None and frame is document.frames[0]:
                    _check_again(document, tasks.setdefault((video, document.task), document))
                self._add(found.setdefault(video, {}), video, Located(frame, document))
        for video in found:
            self._check_one(video)
        return found

    def _check_one(self, video: str) -> None:
        """Raise InputError where two of the folder's entries are the video of this name."""
        there = [path.name for path in self._paths.get(video, ())]
        if len(there) > 1:
            raise InputError(
                f"{self.folder}: {' and '.join(there)} are both the video '{video}', and their "
                "frames may differ; move the one that was not annotated out of this folder"
            )

    def _check_said(self, exports: Sequence[tuple[Export, Document]]) -> None:
        """Raise InputError where an export is said to be of one video, and its files name more."""
        several: dict[Export, set[str]] = {}
        for export, document in exports:
            if export.video is not None:
                for video in {frame.video for frame in document.frames}:
                    name = self._spelling(video) if video else self._by_path(export, document)
                    if name in self.names:
                        several.setdefault(export, set()).add(name)
        for export, names in several.items():
            if len(names) > 1:
                raise InputError(
                    f"{export.path}: its contents or file names are of the videos "
                    f"{_listed(sorted(names))}, so --annotations={export.video}=… cannot hold; "
                    f"leave out '{export.video}='"
                )

    def _check_positions(self, video: str, document: Document) -> None:
        """Raise InputError where numbers would be taken for other frames than those meant."""
        own = document.format == "a2d_tf"
        if self._again or not (own or document.numbering == "images"):
            return
        path = frame_files.find(self.folder, video)
        if path is None:
            return
        if own and path.is_dir() and frame_files.begins_with_zero(path):
            raise InputError(
                f"{document.path}: counts frames from 1, and {path} has images from 0, so that "
                "names of one are not those of the other; number the images from 1"
            )
        measured = None if own else self._measure(video)
        if measured and measured[1] != document.frame_count:
            known = document.frame_count is not None
            number = document.frame_count if known else "an unknown number of"
            raise InputError(
                f"{document.path}: counts {number} images of a task, and {path} has "
                f"{measured[1]} frames, so that it does not say which they are; export it as "
                "'CVAT for images 1.1', which keeps the images' names"
            )

    def _named(self, export: Export, document: Document) -> str | None:
        """Return the video of a whole document: as the user says, or by the path of the export."""
        if export.video is not None:
            if not is_file_name(export.video) or export.video not in self.names:
                raise InputError(
                    f"--annotations={export.video}={export.path}: {self.folder} has no video "
                    f"'{export.video}'; it has {_listed(self.names)}"
                )
            several = {frame.video for frame in document.frames}
            if len(several) > 1:
                raise InputError(
                    f"{document.path}: names the videos {_listed(sorted(map(str, several)))}, so "
                    f"--annotations={export.video}=… cannot hold; leave out '{export.video}='"
                )
            return export.video
        if any(frame.video for frame in document.frames):
            return None
        return self._by_path(export, document)

    def _by_path(self, export: Export, document: Document) -> str | None:
        """Return the video after which a document's file or one of its folders is named."""
        # Folders above that of the export may be called anything.
        path, own = document.path, export.path
        above = own.parent if own.is_dir() else own.parent.parent
        *folders, file = (path.relative_to(above) if path.is_relative_to(above) else path).parts
        files = [file, file.partition(".")[0]]
        if document.format == "labelme" and files[1].isdigit():  # the number of the frame
            files = []
        for part in [*files, *reversed(folders)]:
            for name in (part, part.rpartition(".")[0]):
                if name in self.names:
                    return name
        return None

    def _known(self, video: str) -> str:
        """Return the folder's spelling of a video's name; InputError where it can have none."""
        name = self._spelling(video)
        if name not in self.names and not is_file_name(video):
            raise InputError(f"video {shown(video)} cannot be a file name; rename the video")
        return name

    def _spelling(self, video: str) -> str:
        """Return the folder's spelling of a name; the name where the folder has no such video."""
        if video not in self._spelled:
            self._spelled[video] = self._find_spelling(video)
        return self._spelled[video]

    def _find_spelling(self, video: str) -> str:
        if video in self.names:
            return video
        # Tools change blanks and cases, and macOS the form of accents.
        alike = [name for name in self.names if _letters(name) == _letters(video)]
        return alike[0] if len(alike) == 1 else video

    def _find_by_size(self, document: Document, taken: set[str]) -> str:
        """Return the only video of the size and the number of frames that a document gives."""
        size = document.frames[0].size
        free = [name for name in self.names if name not in taken]
        fit = []
        if size is not None and document.frame_count is not None:
            fit = [name for name in free if self._measure(name) == (size, document.frame_count)]
        if len(fit) == 1:
            return fit[0]
        candidates = fit or free or self.names
        claim = f" of {size[1]}x{size[0]}" if size else ""
        claim += f" with {document.frame_count} frames" if document.frame_count else ""
        raise InputError(
            f"{document.path}: names no video, and {len(fit)} of {self.folder} are{claim}; "
            f"candidates: {_listed(candidates)}; say --annotations={(candidates or ['VIDEO'])[0]}="
            "PATH"
        )

    def _measure(self, video: str) -> tuple[tuple[int, int], int] | None:
        """Return the (height, width) and the number of frames; None of what is no whole video."""
        if video not in self._measured:
            self._measured[video], path = None, frame_files.find(self.folder, video)
            with contextlib.suppress(InputError):  # other things may lie in the folder
                if path is not None:
                    size = frame_files.size(path, zero_based=True)
                    self._measured[video] = size, frame_files.count(path, zero_based=True)
        return self._measured[video]

    def _add(self, numbered: dict[int, Located], video: str, located: Located) -> None:
        frame, document = located.frame, located.document
        number = frame.number + self._shift(video, document)
        where = f"{document.path}: {frame.where}"
        if number < 1:
            raise InputError(
                f"{where}: is numbered {frame.number}, and the first frame 1; "
                "pass --first_frame=0 if the images are numbered from 0"
            )
        other = numbered.setdefault(number, located)
        if other is not located and not _same(other.frame, frame):
            raise InputError(
                f"{where}: frame {number} of '{video}' is also {other.document.path}: "
                f"{other.frame.where}; put all instances of a frame on one image, and export "
                "images once, without augmentation"
            )

    def _shift(self, video: str, document: Document) -> int:
        """Return what to add to the numbers of a document."""
        if document.numbering in ("video", "images"):
            return 0
        usual = 0 if document.numbering == "names from 0" else 1
        if video not in self._first:  # asked for every frame, and it lists the folder
            path = frame_files.find(self.folder, video)
            self._first[video] = None
            if path is not None and path.is_dir():
                self._first[video] = 0 if frame_files.begins_with_zero(path) else 1
        first = self._first[video] if self._first[video] is not None else self._first_frame
        return 0 if first is None else usual - first


def _name_of(path):
    """The name of the video that an entry of a folder is; '' for any other entry."""
    if path.name.startswith("."):
        return ""
    if path.is_dir():
        return path.name if frame_files.files(path) else ""
    return path.stem if path.suffix.lower() in frame_files.VIDEOS else ""


def _check_again(document: Document, other: Document) -> None:
    """Raise InputError where two exports of a task differ, as before and after a correction."""
    if len(document.frames) != len(other.frames) or not all(
        a.number == b.number and _same(a, b) for a, b in zip(document.frames, other.frames)
    ):
        raise InputError(
            f"{document.path}: task {document.task} is also {other.path}, with other annotations; "
            "remove the older export"
        )


def _same(frame: AnnotatedFrame, other: AnnotatedFrame) -> bool:
    """Whether two frames hold the same annotations, as an export and its project do."""
    contents = [
        [(i.label, i.actor, i.action, i.parts) for i in f.instances] for f in (frame, other)
    ]
    return frame.size == other.size and contents[0] == contents[1]


def _letters(name: str) -> str:
    """A name without what tools change, but with separators of numbers: 1_1 is not 11."""
    text = unicodedata.normalize("NFC", name).lower()
    text = re.sub(r"(?<=\d)[\W_]+(?=\d)", "_", text)
    return re.sub(r"[^\w]|(?<!\d)_|_(?!\d)", "", text)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return (", ".join(names[:10]) or "none") + more
