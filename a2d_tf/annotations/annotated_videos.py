"""Users' own videos with annotations in any of `formats.FORMATS`: a source of clips."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from a2d_tf.annotations.bout_seconds import mean_bout_seconds
from a2d_tf.annotations.coded_frames import CodedVideo
from a2d_tf.annotations.coded_videos import code_videos, coding_notes
from a2d_tf.annotations.coding import Coding
from a2d_tf.annotations.document import DEFAULTS, Document, Instance, ReadOptions
from a2d_tf.annotations.formats import read_export
from a2d_tf.annotations.frame_shapes import check_size, decode_shape
from a2d_tf.annotations.matching import (
    Export,
    ReadExport,
    VideoAnnotations,
    find_videos,
)
from a2d_tf.annotations.misspellings import find_misspellings
from a2d_tf.annotations.names import NO_NAMES, Names, label_space_of
from a2d_tf.annotations.split import split_videos, stated_split
from a2d_tf.annotations.spread import spread_annotations
from a2d_tf.annotations.summary import (
    LeftOut,
    describe_exports,
    left_out_of_videos,
    left_out_text,
)
from a2d_tf.annotations.track_identities import TrackIdentities
from a2d_tf.annotations.video_folder import VideoFolder
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import video_frames
from a2d_tf.data.a2d_annotations import Annotation, paint
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.video_list import Video, with_tests


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


class AnnotatedVideos:
    """Annotated videos; broken files raise an InputError that names file and field.

    `read` makes one. Masks and boxes are checked when they are read, all else at once.

    Attributes, the others as of `sources.Source`:
      folder: the folder with a file, or a folder of frames, for each video; see
        `video_frames.find`.
      root: the folder of the first export.
      documents: those of all exports.
      videos: in the order of the annotations, without size and length.
      skipped: empty.
      doubts: notes of names that may be misspelled; empty if the user gave a label
        space.
      lost_behaviours: as of `coded_videos.CodedVideos`.
    """

    remedy = "add it, re-encode it, or pass its folder as --videos"
    skipped: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        folder: pathlib.Path,
        exports: Sequence[ReadExport],
        annotations: Mapping[str, VideoAnnotations],
        names: Names,
        label_space: LabelSpace,
        videos: tuple[Video, ...],
        doubts: tuple[str, ...],
        notes: Sequence[str],
        left_out: Sequence[LeftOut],
        track_identities: Mapping[str, TrackIdentities],
        lost_behaviours: Mapping[str, str],
        bout_seconds: Mapping[str, float],
    ) -> None:
        """Store what `read` has made.

        Args:
          annotations: {name of a video: its annotations}.
          names: maps labels to pairs of the label space.
          notes: the last lines of `summary`.
          left_out: what these annotations lack of the documents.
          track_identities: {name of a video: those of its tracks}.
        """
        self.folder = folder
        self.root = exports[0].export.path.parent
        self.label_space = label_space
        self.videos = videos
        self.doubts = doubts
        self.lost_behaviours = lost_behaviours
        self.bout_seconds = bout_seconds
        file_names = [entry.export.path.name for entry in exports[:3]]
        self.listing = ", ".join([*file_names, f"videos in {folder}"])
        self.documents = _documents(exports)
        self._exports = exports
        self._annotations = annotations
        self._names = names
        self._notes = notes
        self._left_out = left_out
        self._track_identities = track_identities
        self._lengths: dict[str, int] = {}

    @classmethod
    def read(
        cls,
        exports: Sequence[Export],
        folder: pathlib.Path,
        label_space: LabelSpace | None = None,
        *,
        names: Names = NO_NAMES,
        options: ReadOptions = DEFAULTS,
        coding: Coding | None = None,
        selection: Selection = ALL_FRAMES,
    ) -> AnnotatedVideos:
        """Read the annotations and find their videos.

        Args:
          exports: the files, folders and zips of the annotations.
          folder: the folder of the videos.
          label_space: by default `derive_label_space` of the annotations.
          names: maps labels to actors and actions.
          options: how files are read, and which frames and shapes count.
          coding: coded times, which give the instances their actions.
          selection: which of the annotated frames are used for what.

        Raises:
          InputError: a file cannot be read or is of no known format, a label has no
            actor and action, no video fits a frame, or a test video is not annotated.
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

        names = dataclasses.replace(names, label_space=label_space)
        notes = []
        left_out: list[LeftOut] = []
        lost_behaviours: Mapping[str, str] = {}
        if coding:
            coding = coding.with_videos(video_folder)
            open_video = functools.partial(_coded_video, folder)
            coded = code_videos(annotations, coding, names, open_video)
            about_coding = coding_notes(coding, annotations, coded.annotations)
            lost_behaviours = coded.lost_behaviours
            left_out.extend(left_out_of_videos(annotations, coded.left_out))
            notes.append("; ".join(about_coding))
            notes.extend(coded.length_notes)
            annotations = coded.annotations

        used_label_space = label_space_of(_instances(annotations), names)
        notes.extend(_notes_on_names(names, documents))
        doubts: tuple[str, ...] = ()
        if label_space is None:
            doubts = tuple(find_misspellings(annotations, names, documents))
        track_identities = {}
        for vid, video_annotations in annotations.items():
            frames = video_annotations.frames.values()
            track_identities[vid] = TrackIdentities(frames)

        splits = split_videos(annotations, names, selection.earlier)
        videos = with_tests(_videos(annotations, splits), selection.test_videos)
        if selection.has_split:
            notes.extend(_notes_on_tests(videos, annotations))
            notes.extend(_notes_on_sides(splits, selection.earlier))
        if selection.max_frames:
            trained = [video.vid for video in videos if video.split == "train"]
            remaining = spread_annotations(
                annotations, trained, names, selection.max_frames
            )
            left_out.extend(left_out_of_videos(annotations, remaining.left_out))
            annotations = remaining.annotations
            videos = _recounted(videos, annotations)

        bout_seconds: Mapping[str, float] = {}
        if coding:
            trained = [video.vid for video in videos if video.split == "train"]
            bout_seconds = mean_bout_seconds(coding, trained)

        return cls(
            folder=folder,
            exports=read_exports,
            annotations=annotations,
            names=names,
            label_space=used_label_space,
            videos=videos,
            doubts=doubts,
            notes=notes,
            left_out=left_out,
            track_identities=track_identities,
            lost_behaviours=lost_behaviours,
            bout_seconds=bout_seconds,
        )

    def summary(self) -> list[str]:
        """Describe each export in a line, then coded times and the test split."""
        lines = describe_exports(self._exports, self._annotations, self._left_out)
        return [*lines, *self._notes]

    def length(self, vid: str) -> int:
        """Return the number of frames that decode.

        Raises:
          InputError: there are fewer than an export covers. Or there are more, unless
            the export begins later, or another one goes on where it ends.
        """
        if vid in self._lengths:
            return self._lengths[vid]
        path = self.frames_path(vid)
        count = video_frames.count(path, self.remedy)
        documents = self._annotations[vid].documents
        latest_start = 0
        for document in documents:
            if document.frame_range:
                latest_start = max(latest_start, document.frame_range.start)
        for document in documents:
            frame_range = document.frame_range
            if not frame_range:
                continue
            last = frame_range[-1] + 1
            is_part = frame_range.start > 0 or latest_start >= frame_range.stop
            is_too_long = count >= last + frame_range.step and not is_part
            if count < last or is_too_long:
                raise InputError(
                    f"{path}: {count} frames decode, but {document.path} annotates a"
                    f" video of {last}; use the video that was annotated, or cut it to"
                    " these frames"
                )
        self._lengths[vid] = count
        return count

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the 1-based numbers of a video's annotated frames, ascending."""
        return tuple(sorted(self._annotations[vid].frames))

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Decode the masks and boxes of one of `annotated_frames`.

        The label map is painted from the masks, smaller over larger. `size` is the
        (height, width) of the decoded frames, by default the first one's.
        """
        annotated = self._annotations[vid].frames[frame]
        path = self.frames_path(vid)
        size = size or video_frames.size(path, self.remedy)
        check_size(annotated, size, path)
        count = len(annotated.instances)
        ratio = np.divide(size, annotated.size or size)
        masks = np.zeros((count, *size), bool)
        boxes = np.zeros((count, 4), np.float32)
        codes = np.zeros(count, np.int32)
        fields = {field.name: field.all_missing(count) for field in FIELDS}
        for i, instance in enumerate(annotated.instances):
            codes[i] = self._code(instance)
            try:
                for field in FIELDS:
                    value = instance.fields.get(field.name)
                    fields[field.name][i] = field.read(value, ratio)
                shape = decode_shape(instance, annotated, size)
            except InputError as error:
                raise InputError(
                    f"{instance.where}: {error} (frame {frame} of '{vid}')"
                ) from error
            boxes[i] = shape.box
            if shape.mask is not None:
                masks[i] = shape.mask
        return Annotation(
            label_map=paint(masks, codes, self.label_space.code_dtype),
            masks=masks,
            codes=codes,
            boxes=boxes,
            tracks=self._track_identities[vid].of_frame(annotated),
            fields=fields,
        )

    def codes(self, vid: str, frame: int) -> list[int]:
        """Return the codes of the instances of one of `annotated_frames`."""
        instances = self._annotations[vid].frames[frame].instances
        return [self._code(instance) for instance in instances]

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the video file, or else the folder of its frames."""
        return _frames_path(self.folder, vid)

    def annotation_source(self, vid: str) -> pathlib.Path:
        """Return the file of the first annotated frame, which messages name."""
        return self.annotation_path(vid, min(self._annotations[vid].frames))

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the file of a frame's annotation."""
        return pathlib.Path(self._annotations[vid].frames[frame].path)

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the video file, or the frames in its folder."""
        return video_frames.files(self.frames_path(vid))

    def annotation_text(self, vid: str) -> str:
        """Return the annotations of a video as JSON, whatever the layout of the files.

        Records depend on it: if it changes, they are converted again.
        """
        annotations = self._annotations[vid]
        ranges = [d.frame_range for d in annotations.documents if d.frame_range]
        content: list = [repr(ranges)]
        for number, frame in sorted(annotations.frames.items()):
            instances = []
            for instance in frame.instances:
                fields = sorted(instance.fields.items())
                track: Any = instance.track
                if instance.name:
                    track = [instance.track, instance.name]
                instances.append(
                    [
                        self._code(instance),
                        track,
                        instance.box,
                        list(instance.parts),
                        *fields,
                    ]
                )
            content.append([number, frame.size, frame.scaled, frame.split, instances])
        return json.dumps(content, sort_keys=True)

    def _code(self, instance):
        return self._names.code(instance, self.label_space)


def _documents(exports: Sequence[ReadExport]) -> list[Document]:
    """Return the documents of all exports."""
    all_documents = []
    for entry in exports:
        all_documents += entry.documents
    return all_documents


def _frames_path(folder, vid):
    """Return the video file, or else the folder of its frames."""
    return video_frames.find(folder, vid) or folder / f"{vid}.mp4"


def _coded_video(folder, vid):
    """Return a video, in which frames are found by coded times."""
    return CodedVideo(_frames_path(folder, vid), AnnotatedVideos.remedy)


def _instances(annotations: Mapping[str, VideoAnnotations]) -> Iterator[Instance]:
    """Yield the instances of all videos."""
    for video_annotations in annotations.values():
        for frame in video_annotations.frames.values():
            yield from frame.instances


def _videos(annotations, splits):
    """Return the `Video`s of annotations, in their splits."""
    videos = []
    for vid, video_annotations in annotations.items():
        count = len(video_annotations.frames)
        videos.append(Video(vid, frames=0, annotated=count, split=splits[vid]))
    return tuple(videos)


def _recounted(videos, annotations):
    """Return the `Video`s with as many annotated frames as there are now.

    Videos without any are left out.
    """
    remaining = []
    for video in videos:
        count = len(annotations[video.vid].frames)
        if count:
            remaining.append(dataclasses.replace(video, annotated=count))
    return tuple(remaining)


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
