"""Which videos of a folder the documents of exports annotate.

A user may name the video of an export, unless its files name several. Otherwise the
first of these counts: the video that the file names; the video after which the export's
file or one of its folders is named; that of the task in a name that CVAT gave it; the
only video of the size and the number of frames that the file gives.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.matching.video_names import name_in_download
from a2d_tf.annotations.readers.exports import Export, ReadExport
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data.decoding.video_paths import VIDEOS

# Suffixes of exports that are named after a video. Other dots are part of a name, such
# as clip.2.
_SUFFIXES = (*VIDEOS, ".json", ".xml", ".zip", ".txt", ".csv", ".h5", ".slp")


@dataclasses.dataclass
class VideoMatch:
    """A document, the annotations of one file, and the videos that it annotates.

    Attributes:
      document: the annotations of one file.
      videos: {name of a video in the document: name of the video in the folder}. The
        key is None for frames whose video the document does not name.
      unmatched_names: the names in the document, or None, for which no video has been
        found so far.
      is_named: whether the user has named the video of this export.
      is_of_task: whether the video was found by the name of the task in the name that
        CVAT gave to the export.
    """

    document: Document
    videos: dict[str | None, str]
    unmatched_names: list[str | None]
    is_named: bool
    is_of_task: bool = False


def match_documents(
    exports: Iterable[ReadExport], folder: VideoFolder
) -> list[VideoMatch]:
    """Find the videos that the documents of exports annotate, as far as possible.

    The module's docstring tells in which order names, paths and sizes count.

    Args:
      exports: the exports, with the annotations of each of their files.
      folder: the folder of the videos that may be annotated.

    Returns:
      a match for each document, in the order of the exports. Its `unmatched_names` are
      not empty if no video was found.

    Raises:
      InputError: the user names one video for an export whose documents belong to
        several, or the name of a video in a document is no valid file name.
    """
    matches: list[VideoMatch] = []
    for export, documents in exports:
        matches += _match_by_names(export, documents, folder)
    _match_by_size(matches, folder)
    return matches


def taken_videos(matches: Iterable[VideoMatch]) -> set[str]:
    """Return the names of all videos that some document was matched to.

    Args:
      matches: the documents with their videos.
    """
    taken: set[str] = set()
    for match in matches:
        taken.update(match.videos.values())
    return taken


def _match_by_names(
    export: Export, documents: Sequence[Document], folder: VideoFolder
) -> list[VideoMatch]:
    """Return the matches of an export's documents, as far as names and paths tell them.

    Args:
      export: the export, whose video the user may have named.
      documents: the annotations of each of its files.
      folder: the folder of the user's videos.
    """
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
        named_matches.append(VideoMatch(document, videos, [], is_named=True))
    return named_matches


def _match_document(
    export: Export, document: Document, folder: VideoFolder
) -> VideoMatch:
    """Return the match of a document, as far as the names in it and its path tell it.

    Args:
      export: the export that contains the document.
      document: the annotations of one file.
      folder: the folder of the user's videos.
    """
    match = VideoMatch(document, {}, [], is_named=False)
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
    """Return the first video after which a file or a folder is named; None without any.

    Args:
      names: the names of files and folders, with or without suffixes.
      folder: the folder of the user's videos.
    """
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
    """Return the video with the name of the task in a file's name; None without any.

    CVAT puts the task into the names of its exports.

    Args:
      names: the names of files and folders.
      folder: the folder of the user's videos.
    """
    for name in names:
        task = name_in_download(name)
        if task is not None:
            video = folder.spelling(folder.without_suffix(task))
            if video in folder.videos:
                return video
    return None


def _match_by_size(matches: Sequence[VideoMatch], folder: VideoFolder) -> None:
    """Match documents without a video to the only free one of their size and length.

    Args:
      matches: the documents with the videos found so far; they are changed.
      folder: the folder of the user's videos.
    """
    taken = taken_videos(matches)
    for match in matches:
        if not match.unmatched_names:
            continue
        candidates = videos_of_size(match.document, taken, folder)
        if len(candidates) == 1:
            for name in match.unmatched_names:
                match.videos[name] = candidates[0]
            match.unmatched_names = []
            taken.update(candidates)


def videos_of_size(
    document: Document, taken: set[str], folder: VideoFolder
) -> list[str]:
    """Return the names of the videos that have the size and the length of a document.

    Args:
      document: the annotations of one file with at least one frame.
      taken: names of videos that other documents annotate; they are left out.
      folder: the folder of the user's videos.

    Returns:
      the names, sorted; none if the document does not state its size and its number of
      frames.
    """
    size = document.frames[0].size
    if size is None or document.frame_count is None:
        return []
    videos = []
    for name in sorted(folder.videos):
        if name not in taken:
            if folder.videos[name].extent == (size, document.frame_count):
                videos.append(name)
    return videos
