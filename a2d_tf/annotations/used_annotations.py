"""The annotations that are used: matched to videos, coded, split and thinned out."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.bout_seconds import mean_bout_seconds
from a2d_tf.annotations.coded_times.coded_videos import code_videos, coding_notes
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.document import Document, Instance, ReadOptions
from a2d_tf.annotations.matching import (
    Export,
    ReadExport,
    VideoAnnotations,
    find_videos,
)
from a2d_tf.annotations.misspellings import find_misspellings
from a2d_tf.annotations.names import Names, label_space_of
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.annotations.split import split_videos, stated_split
from a2d_tf.annotations.spread import spread_annotations
from a2d_tf.annotations.summary import LeftOut, left_out_of_videos, left_out_text
from a2d_tf.annotations.track_identities import TrackIdentities
from a2d_tf.annotations.video_folder import VideoFolder
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import video_frames
from a2d_tf.data.video_list import Video, with_tests

REMEDY = "add it, re-encode it, or pass its folder as --videos"
"""What to do about a broken video; ends messages."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which videos are tested, and how many frames trained.

    Attributes:
      test_videos: names of the test split; by default as the files say, else
        `split_by_pairs`.
      earlier: {video: split} of earlier records, which stays unless a file states
        another split.
      max_frames: the most frames that are used for training, see `spread_annotations`.
      has_split: whether there is a test split at all, of which notes tell.
    """

    test_videos: Collection[str] = ()
    earlier: Mapping[str, str] = dataclasses.field(default_factory=dict)
    max_frames: int | None = None
    has_split: bool = True


ALL_FRAMES = Selection()


@dataclasses.dataclass(frozen=True)
class UsedAnnotations:
    """The annotations that are used, and what users are told of them.

    Attributes:
      exports: with their documents.
      of_video: {name of a video: its annotations}.
      names: maps labels to pairs of the label space.
      label_space: as the user gave it, else that of the annotations.
      videos: in the order of the annotations, without size and length.
      track_identities: {name of a video: those of its tracks}.
      notes: the last lines of the summary.
      left_out: what these annotations lack of the documents.
      doubts: notes of names that may be misspelled, unless the user gave a label space,
        and of coded times that may be of several individuals.
      lost_behaviours: as of `coded_videos.CodedVideos`.
      bout_seconds: {action: mean length of its coded bouts} in training videos.
    """

    exports: Sequence[ReadExport]
    of_video: Mapping[str, VideoAnnotations]
    names: Names
    label_space: LabelSpace
    videos: tuple[Video, ...]
    track_identities: Mapping[str, TrackIdentities]
    notes: Sequence[str]
    left_out: Sequence[LeftOut]
    doubts: tuple[str, ...]
    lost_behaviours: Mapping[str, str]
    bout_seconds: Mapping[str, float]

    @property
    def documents(self) -> list[Document]:
        """The documents of all exports."""
        return _documents(self.exports)


def read_annotations(
    exports: Sequence[Export],
    folder: pathlib.Path,
    label_space: LabelSpace | None,
    *,
    earlier_labels: LabelSpace | None,
    names: Names,
    options: ReadOptions,
    coding: Coding | None,
    selection: Selection,
) -> UsedAnnotations:
    """Read exports, find their videos, and choose what is used.

    The arguments and errors are those of `annotated_videos.AnnotatedVideos.read`.
    """
    video_folder = VideoFolder.open(folder)
    read_exports = []
    for export in exports:
        read_exports.append(ReadExport(export, read_export(export.path, options)))
    documents = _documents(read_exports)
    annotations = find_videos(read_exports, video_folder, options.first_frame)
    if not annotations:
        reason = left_out_text(documents)
        problem = reason or "use the whole export, with annotated frames"
        raise InputError(f"{exports[0].path}: no annotated frames; {problem}")

    if label_space and earlier_labels:
        _check_kept(label_space, earlier_labels)
    names = dataclasses.replace(
        names, label_space=label_space or earlier_labels, grows=label_space is None
    )
    coded = _CodedAnnotations(annotations)
    if coding:
        coding = coding.with_videos(video_folder)
        coded = _code(annotations, coding, names, folder)
    used_label_space = label_space_of(_instances(coded.annotations), names)
    doubts = [*coded.doubts]
    if label_space is None:
        doubts += find_misspellings(coded.annotations, names, documents)
    track_identities = {}
    for vid, video_annotations in coded.annotations.items():
        track_identities[vid] = TrackIdentities(video_annotations.frames.values())

    split = _split(coded.annotations, names, selection)
    limited = _LimitedVideos(coded.annotations, split.videos)
    if selection.max_frames:
        limited = _limit(limited, names, selection.max_frames)
    notes: list[str] = []
    for video_annotations in annotations.values():
        notes += video_annotations.notes
    notes += [*coded.notes, *_notes_on_names(names, documents)]
    notes += [*_notes_on_labels(used_label_space, earlier_labels), *split.notes]
    bout_seconds: Mapping[str, float] = {}
    if coding:
        bout_seconds = mean_bout_seconds(coding, _trained(limited.videos))
    return UsedAnnotations(
        exports=read_exports,
        of_video=limited.annotations,
        names=names,
        label_space=used_label_space,
        videos=limited.videos,
        track_identities=track_identities,
        notes=notes,
        left_out=[*coded.left_out, *limited.left_out],
        doubts=tuple(doubts),
        lost_behaviours=coded.lost_behaviours,
        bout_seconds=bout_seconds,
    )


class _CodedAnnotations(NamedTuple):
    """Annotations after their coded actions were given, if there are any."""

    annotations: Mapping[str, VideoAnnotations]
    notes: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()
    lost_behaviours: Mapping[str, str] = {}
    doubts: Sequence[str] = ()


def _code(
    annotations: Mapping[str, VideoAnnotations],
    coding: Coding,
    names: Names,
    folder: pathlib.Path,
) -> _CodedAnnotations:
    """Give the instances their coded actions."""
    open_video = functools.partial(_coded_video, folder)
    coded = code_videos(annotations, coding, names, open_video)
    about_coding = coding_notes(coding, annotations, coded.annotations)
    return _CodedAnnotations(
        annotations=coded.annotations,
        notes=["; ".join(about_coding), *coded.length_notes],
        left_out=list(left_out_of_videos(annotations, coded.left_out)),
        lost_behaviours=coded.lost_behaviours,
        doubts=coded.doubts,
    )


class _SplitVideos(NamedTuple):
    """Videos in their splits, and notes of these."""

    videos: tuple[Video, ...]
    notes: Sequence[str]


def _split(
    annotations: Mapping[str, VideoAnnotations], names: Names, selection: Selection
) -> _SplitVideos:
    """Assign the videos to the splits."""
    splits = split_videos(annotations, names, selection.earlier)
    unsplit = []
    for vid, video_annotations in annotations.items():
        count = len(video_annotations.frames)
        unsplit.append(Video(vid, frames=0, annotated=count, split=splits[vid]))
    videos = with_tests(tuple(unsplit), selection.test_videos)
    notes: list[str] = []
    if selection.has_split:
        notes.extend(_notes_on_tests(videos, annotations))
        notes.extend(_notes_on_sides(splits, selection.earlier))
    return _SplitVideos(videos, notes)


class _LimitedVideos(NamedTuple):
    """Annotations of which training uses a number of frames, and their videos."""

    annotations: Mapping[str, VideoAnnotations]
    videos: tuple[Video, ...]
    left_out: Sequence[LeftOut] = ()


def _limit(whole: _LimitedVideos, names: Names, max_frames: int) -> _LimitedVideos:
    """Limit the number of frames that are used for training.

    Videos of which no frame is left are left out.
    """
    annotations = whole.annotations
    trained = _trained(whole.videos)
    remaining = spread_annotations(annotations, trained, names, max_frames)
    videos = []
    for video in whole.videos:
        count = len(remaining.annotations[video.vid].frames)
        if count:
            videos.append(dataclasses.replace(video, annotated=count))
    left_out = list(left_out_of_videos(annotations, remaining.left_out))
    return _LimitedVideos(remaining.annotations, tuple(videos), left_out)


def _trained(videos: Sequence[Video]) -> list[str]:
    """Return the names of the videos of the training split."""
    return [video.vid for video in videos if video.split == "train"]


def frames_path(folder: pathlib.Path, vid: str) -> pathlib.Path:
    """Return the video file in a folder, or else the folder of its frames."""
    return video_frames.find(folder, vid) or folder / f"{vid}.mp4"


def _coded_video(folder: pathlib.Path, vid: str) -> BoutFrames:
    """Return a video, in which frames are found by coded times."""
    return BoutFrames(frames_path(folder, vid), REMEDY)


def _documents(exports: Sequence[ReadExport]) -> list[Document]:
    """Return the documents of all exports."""
    all_documents = []
    for entry in exports:
        all_documents += entry.documents
    return all_documents


def _instances(annotations: Mapping[str, VideoAnnotations]) -> Iterator[Instance]:
    """Yield the instances of all videos."""
    for video_annotations in annotations.values():
        for frame in video_annotations.frames.values():
            yield from frame.instances


def _notes_on_tests(
    videos: Sequence[Video], annotations: Mapping[str, VideoAnnotations]
) -> list[str]:
    """Return a note of the test videos whose files state no split, if there are any."""
    names = []
    for video in videos:
        if video.split == "test" and not stated_split(annotations[video.vid]):
            names.append(video.vid)
    if not names:
        return []
    return [
        f"test split: {', '.join(sorted(names))}; to keep it as you"
        " add videos, pass --split_of with the folder of these records"
    ]


def _notes_on_sides(splits: Mapping[str, str], earlier: Mapping[str, str]) -> list[str]:
    """Return a note of the videos that were in the other split in earlier records."""
    names = [vid for vid in splits if earlier.get(vid, splits[vid]) != splits[vid]]
    if not names:
        return []
    return [
        "in another split than in the earlier records, as their files state it:"
        f" {join_names(sorted(names))}"
    ]


def _check_kept(label_space: LabelSpace, earlier_labels: LabelSpace) -> None:
    """Raise InputError if a label space lacks labels of earlier records."""
    lost = label_space.unknown_in(earlier_labels)
    if lost:
        raise InputError(
            f"--labels: without the earlier records' {join_names(lost)}; add this, or"
            " begin a first round with these labels"
        )


def _notes_on_labels(
    label_space: LabelSpace, earlier_labels: LabelSpace | None
) -> list[str]:
    """Return a note of the labels that earlier records lack, if there are any."""
    if earlier_labels is None:
        return []
    new = earlier_labels.unknown_in(label_space)
    if not new:
        return []
    return [f"new beside the earlier records: {', '.join(new)}"]


def _notes_on_names(names: Names, documents: Sequence[Document]) -> list[str]:
    """Return a note of the labels of `names` that no file has."""
    if not names.by_label:
        return []
    labels: set[str] = set()
    for document in documents:
        labels.update(label.label for label in document.tool_labels)
        for frame in document.frames:
            labels.update(instance.label for instance in frame.instances)
    unused = names.unused(labels)
    if not unused:
        return []
    return [f"--names: no label is called {join_names(unused)}"]
