"""The annotations that are used: matched to videos, coded, split and thinned out."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.bout_seconds import mean_bout_seconds
from a2d_tf.annotations.coded_times.coded_videos import CodedVideos, code_videos
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.labels.label_spaces import check_kept, label_space_of
from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.matching.find_videos import find_videos
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations, instances_of
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.readers.exports import (
    Export,
    ReadExport,
    documents_of,
    read_exports,
)
from a2d_tf.annotations.selection.chosen_videos import ChosenVideos, choose_videos
from a2d_tf.annotations.selection.misspellings import find_misspellings
from a2d_tf.annotations.selection.notes import (
    notes_on_labels,
    notes_on_names,
    notes_on_new,
    notes_on_sides,
    notes_on_tests,
)
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.annotations.selection.summary import (
    LeftOut,
    left_out_of_videos,
    left_out_text,
)
from a2d_tf.annotations.tracks.track_identities import TrackIdentities
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.decoding import video_paths
from a2d_tf.data.sources.video_list import Video

REMEDY = "add it, re-encode it, or pass its folder as --videos"
"""What to do about a broken video; ends messages."""


@dataclasses.dataclass(frozen=True)
class UsedAnnotations:
    """The annotations that records are made of, and notes for the user about them.

    `read_annotations` makes it.

    Attributes:
      exports: the exports with the annotations of each of their files.
      of_video: {name of a video: its annotations that are used}.
      names: maps labels of tools to pairs of the label space.
      label_space: the actors, actions and valid pairs: as the user states, or else
        those of earlier records with those of the annotations.
      videos: the videos with used frames in the order of the annotations, with their
        splits, but without size and length.
      track_identities: {name of a video: which instances are of one track}.
      notes: the last lines of the summary for the user.
      left_out: the annotated frames that are not used, counted by reason.
      doubts: sentences on names that may be misspelled, unless the user gave a label
        space, and on coded times that may be of several individuals.
      lost_behaviours: {action that was coded, but that no instance has: its length as
        text}.
      bout_seconds: {action: the mean length in seconds of its coded bouts in training
        videos}; empty without coded times.
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
        """The documents of all exports: the annotations of each file."""
        return documents_of(self.exports)


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
    """Read exports, match them to videos, and choose the annotations to use.

    Args:
      exports: the files, folders and zips of the annotations.
      folder: the folder of the videos.
      label_space: the label space, all actors and actions, that the user states. None:
        it is derived from the annotations, and begins with `earlier_labels`.
      earlier_labels: the label space of earlier training records, all of whose labels
        must stay; None if there are no such records.
      names: maps labels of the tool to actors and actions.
      options: how files are read, and which frames and shapes count as annotated.
      coding: coded times, which give the instances their actions; None if all actions
        are annotated.
      selection: which annotated frames are used, and for which split.

    Raises:
      InputError: a file cannot be read or is of no known format, no frame is annotated,
        a label has no actor and action, no video fits a frame, a test video is not
        annotated, or `label_space` lacks some of `earlier_labels`.
    """
    video_folder = VideoFolder.open(folder)
    read = _read_and_match(exports, video_folder, options)
    if label_space and earlier_labels:
        check_kept(label_space, earlier_labels)
    names = dataclasses.replace(
        names, label_space=label_space or earlier_labels, grows=label_space is None
    )
    coded = CodedVideos(read.annotations)
    if coding:
        coding = coding.with_videos(video_folder)
        open_video = functools.partial(_bout_frames, folder)
        coded = code_videos(read.annotations, coding, names, open_video)
    used_label_space = label_space_of(instances_of(coded.annotations), names)
    doubts = [*coded.doubts]
    if label_space is None:
        doubts += find_misspellings(coded.annotations, names, read.documents)
    track_identities = {}
    for vid, video_annotations in coded.annotations.items():
        track_identities[vid] = TrackIdentities(video_annotations.frames.values())
    chosen = choose_videos(coded.annotations, names, selection)

    notes: list[str] = []
    for video_annotations in read.annotations.values():
        notes += video_annotations.notes
    notes += [*coded.notes, *notes_on_names(names, read.documents)]
    notes += notes_on_labels(used_label_space, earlier_labels)
    notes += _notes_on_splits(chosen, coded.annotations, selection)
    bout_seconds: Mapping[str, float] = {}
    if coding:
        bout_seconds = mean_bout_seconds(coding, chosen.trained())
    return UsedAnnotations(
        exports=read.exports,
        of_video=chosen.annotations,
        names=names,
        label_space=used_label_space,
        videos=chosen.videos,
        track_identities=track_identities,
        notes=notes,
        left_out=[
            *left_out_of_videos(read.annotations, coded.left_out),
            *left_out_of_videos(read.annotations, chosen.left_out),
        ],
        doubts=tuple(doubts),
        lost_behaviours=coded.lost_behaviours,
        bout_seconds=bout_seconds,
    )


class _MatchedExports(NamedTuple):
    """Exports, their documents, and {video: its annotations}."""

    exports: list[ReadExport]
    documents: list[Document]
    annotations: dict[str, VideoAnnotations]


def _read_and_match(
    exports: Sequence[Export], folder: VideoFolder, options: ReadOptions
) -> _MatchedExports:
    """Read exports and match them to videos; InputError if no frame is annotated."""
    read = read_exports(exports, options)
    documents = documents_of(read)
    annotations = find_videos(read, folder, options.first_frame)
    if not annotations:
        reason = left_out_text(documents)
        problem = reason or "use the whole export, with annotated frames"
        raise InputError(f"{exports[0].path}: no annotated frames; {problem}")
    return _MatchedExports(read, documents, annotations)


def _notes_on_splits(
    chosen: ChosenVideos,
    annotations: Mapping[str, VideoAnnotations],
    selection: Selection,
) -> list[str]:
    """Return notes for the user on the splits, if there is a test split at all."""
    if not selection.has_split:
        return []
    return [
        *notes_on_tests(
            chosen.candidates, annotations, is_kept=bool(selection.earlier)
        ),
        *notes_on_sides(chosen.splits, selection.earlier),
        *notes_on_new(chosen.splits, selection),
    ]


def frames_path(folder: pathlib.Path, vid: str) -> pathlib.Path:
    """Return the path of a video in a folder: its file, or the folder of its images.

    If there is neither, it is the path that an .mp4 file would have, for errors.

    Args:
      folder: the folder of the videos.
      vid: the name of the video, without suffix.
    """
    return video_paths.find(folder, vid) or folder / f"{vid}.mp4"


def _bout_frames(folder: pathlib.Path, vid: str) -> BoutFrames:
    """Return the `BoutFrames` of a video, which finds frames by coded times."""
    return BoutFrames(frames_path(folder, vid), REMEDY)
