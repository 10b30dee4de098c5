"""The annotations that are used: matched to videos, coded, split and thinned out."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Collection, Mapping, Sequence

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.bout_seconds import mean_bout_seconds
from a2d_tf.annotations.coded_times.coded_videos import CodedVideos, code_videos
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.document import Document, ReadOptions
from a2d_tf.annotations.exports import Export, ReadExport, documents_of, read_exports
from a2d_tf.annotations.label_spaces import check_kept, label_space_of
from a2d_tf.annotations.matching import find_videos
from a2d_tf.annotations.misspellings import find_misspellings
from a2d_tf.annotations.names import Names
from a2d_tf.annotations.split import split_videos, stated_split
from a2d_tf.annotations.spread import SpreadAnnotations, spread_annotations
from a2d_tf.annotations.summary import LeftOut, left_out_of_videos, left_out_text
from a2d_tf.annotations.track_identities import TrackIdentities
from a2d_tf.annotations.video_annotations import VideoAnnotations, instances_of
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
      asked: names of videos of which frames were asked for, to be trained; a split that
        a file states stays, and an earlier one.
      max_frames: the most frames that are used for training, see `spread_annotations`.
      has_split: whether there is a test split at all, of which notes tell.
    """

    test_videos: Collection[str] = ()
    earlier: Mapping[str, str] = dataclasses.field(default_factory=dict)
    asked: Collection[str] = ()
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
    """Read exports, find their videos, and choose what is used.

    The arguments and errors are those of `annotated_videos.AnnotatedVideos.read`.
    """
    video_folder = VideoFolder.open(folder)
    exports_with_documents = read_exports(exports, options)
    documents = documents_of(exports_with_documents)
    annotations = find_videos(exports_with_documents, video_folder, options.first_frame)
    if not annotations:
        reason = left_out_text(documents)
        problem = reason or "use the whole export, with annotated frames"
        raise InputError(f"{exports[0].path}: no annotated frames; {problem}")

    if label_space and earlier_labels:
        check_kept(label_space, earlier_labels)
    names = dataclasses.replace(
        names, label_space=label_space or earlier_labels, grows=label_space is None
    )
    coded = CodedVideos(annotations)
    if coding:
        coding = coding.with_videos(video_folder)
        open_video = functools.partial(_bout_frames, folder)
        coded = code_videos(annotations, coding, names, open_video)
    used_label_space = label_space_of(instances_of(coded.annotations), names)
    doubts = [*coded.doubts]
    if label_space is None:
        doubts += find_misspellings(coded.annotations, names, documents)
    track_identities = {}
    for vid, video_annotations in coded.annotations.items():
        track_identities[vid] = TrackIdentities(video_annotations.frames.values())

    known_splits = {**dict.fromkeys(selection.asked, "train"), **selection.earlier}
    splits = split_videos(coded.annotations, names, known_splits)
    split = _in_splits(coded.annotations, splits, selection.test_videos)
    spread = SpreadAnnotations(coded.annotations)
    if selection.max_frames:
        spread = spread_annotations(
            coded.annotations, _trained(split), names, selection.max_frames
        )
    videos = _with_frames(split, spread.annotations)
    notes: list[str] = []
    for video_annotations in annotations.values():
        notes += video_annotations.notes
    notes += [*coded.notes, *_notes_on_names(names, documents)]
    notes += _notes_on_labels(used_label_space, earlier_labels)
    if selection.has_split:
        notes += _notes_on_tests(split, coded.annotations)
        notes += _notes_on_sides(splits, selection.earlier)
        notes += _notes_on_new(splits, selection)
    bout_seconds: Mapping[str, float] = {}
    if coding:
        bout_seconds = mean_bout_seconds(coding, _trained(videos))
    return UsedAnnotations(
        exports=exports_with_documents,
        of_video=spread.annotations,
        names=names,
        label_space=used_label_space,
        videos=videos,
        track_identities=track_identities,
        notes=notes,
        left_out=[
            *left_out_of_videos(annotations, coded.left_out),
            *left_out_of_videos(annotations, spread.left_out),
        ],
        doubts=tuple(doubts),
        lost_behaviours=coded.lost_behaviours,
        bout_seconds=bout_seconds,
    )


def frames_path(folder: pathlib.Path, vid: str) -> pathlib.Path:
    """Return the video file in a folder, or else the folder of its frames."""
    return video_frames.find(folder, vid) or folder / f"{vid}.mp4"


def _bout_frames(folder: pathlib.Path, vid: str) -> BoutFrames:
    """Return what finds the frames of a video by coded times."""
    return BoutFrames(frames_path(folder, vid), REMEDY)


def _in_splits(
    annotations: Mapping[str, VideoAnnotations],
    splits: Mapping[str, str],
    test_videos: Collection[str],
) -> tuple[Video, ...]:
    """Return the annotated videos in their splits, or in those that the user names."""
    videos = []
    for vid, video_annotations in annotations.items():
        count = len(video_annotations.frames)
        videos.append(Video(vid, frames=0, annotated=count, split=splits[vid]))
    return with_tests(tuple(videos), test_videos)


def _with_frames(
    videos: Sequence[Video], annotations: Mapping[str, VideoAnnotations]
) -> tuple[Video, ...]:
    """Return the videos that have annotated frames left, with their number."""
    remaining = []
    for video in videos:
        count = len(annotations[video.vid].frames)
        if count:
            remaining.append(dataclasses.replace(video, annotated=count))
    return tuple(remaining)


def _trained(videos: Sequence[Video]) -> list[str]:
    """Return the names of the videos of the training split."""
    return [video.vid for video in videos if video.split == "train"]


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


def _notes_on_new(splits: Mapping[str, str], selection: Selection) -> list[str]:
    """Return notes of the videos that earlier records lack: what they are used for."""
    if not selection.earlier:
        return []
    asked = []
    chosen: dict[str, list[str]] = {"train": [], "test": []}
    for vid in sorted(splits.keys() - selection.earlier.keys()):
        if vid in selection.asked and splits[vid] == "train":
            asked.append(vid)
        else:
            chosen[splits[vid]].append(vid)
    notes = []
    if asked:
        notes.append(
            "new for training, as a2d next asked for frames of them:"
            f" {', '.join(asked)}"
        )
    purposes = {"train": "for training", "test": "in the test split"}
    for split, vids in chosen.items():
        if vids:
            notes.append(
                f"new {purposes[split]}, so that both splits show each pair:"
                f" {', '.join(vids)}"
            )
    return notes


def _notes_on_sides(splits: Mapping[str, str], earlier: Mapping[str, str]) -> list[str]:
    """Return a note of the videos that were in the other split in earlier records."""
    names = [vid for vid in splits if earlier.get(vid, splits[vid]) != splits[vid]]
    if not names:
        return []
    return [
        "in another split than in the earlier records, as their files state it:"
        f" {join_names(sorted(names))}"
    ]


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
