"""A source of clips: users' own videos with the annotations of a tool."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from a2d_tf.annotations.annotation_text import annotation_text
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.documents.frame_shapes import check_size, decode_shape
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.documents.read_options import DEFAULTS, ReadOptions
from a2d_tf.annotations.labels.names import NO_NAMES, Names
from a2d_tf.annotations.matching.video_length import check_length
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.selection.selection import ALL_FRAMES, Selection
from a2d_tf.annotations.selection.summary import describe_exports
from a2d_tf.annotations.used_annotations import (
    REMEDY,
    UsedAnnotations,
    frames_path,
    read_annotations,
)
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.decoding import video_frames, video_paths
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.sources.annotation import Annotation, paint


class AnnotatedVideos:
    """The users' own videos with the annotations of a tool, as a source of clips.

    It is a `data.sources.source.Source`, from which `a2d records` makes training
    records. `read` makes one. It checks all but masks and boxes, which are checked when
    they are decoded. An error of a broken file names the file and the field.

    Args:
      folder: the folder with a file, or a folder of frames, for each video.
      used: the annotations that are used, matched to the videos.

    Attributes:
      folder: the folder of the videos.
      root: the folder that contains the first export.
      label_space: the actors, the actions and their valid pairs.
      videos: the annotated videos with their splits.
      doubts: sentences on names that may be misspelled, and on coded times that may be
        of several individuals.
      lost_behaviours: {action that was coded, but that no instance has: its length as
        text}.
      bout_seconds: {action: the mean length of its coded bouts, in seconds}.
      listing: the files of the first exports and the folder of the videos, as text for
        errors.
      documents: the annotations of each file.
    """

    remedy = REMEDY
    skipped: tuple[str, ...] = ()

    def __init__(self, folder: pathlib.Path, used: UsedAnnotations) -> None:
        self.folder = folder
        self.root = used.exports[0].export.path.parent
        self.label_space = used.label_space
        self.videos = used.videos
        self.doubts = used.doubts
        self.lost_behaviours = used.lost_behaviours
        self.bout_seconds = used.bout_seconds
        file_names = [entry.export.path.name for entry in used.exports[:3]]
        self.listing = ", ".join([*file_names, f"videos in {folder}"])
        self.documents = used.documents
        self._used = used
        self._annotations = used.of_video
        self._lengths: dict[str, int] = {}

    @classmethod
    def read(
        cls,
        exports: Sequence[Export],
        folder: pathlib.Path,
        label_space: LabelSpace | None = None,
        *,
        earlier_labels: LabelSpace | None = None,
        names: Names = NO_NAMES,
        options: ReadOptions = DEFAULTS,
        coding: Coding | None = None,
        selection: Selection = ALL_FRAMES,
    ) -> AnnotatedVideos:
        """Read the annotations of users' videos, and find the videos.

        Args:
          exports: the files, folders and zips of the annotations.
          folder: the folder of the videos.
          label_space: the label space, all actors and actions, that the user states.
            None: it is derived from the annotations, and begins with `earlier_labels`.
          earlier_labels: the label space of earlier training records, all of whose
            labels must stay; None if there are no such records.
          names: maps labels of the tool to actors and actions.
          options: how files are read, and which frames and shapes count as annotated.
          coding: coded times, which give the instances their actions; None if all
            actions are annotated.
          selection: which annotated frames are used, and for which split.

        Raises:
          InputError: a file cannot be read or is of no known format, no frame is
            annotated, a label has no actor and action, no video fits a frame, a test
            video is not annotated, or `label_space` lacks some of `earlier_labels`.
        """
        used = read_annotations(
            exports,
            folder,
            label_space,
            earlier_labels=earlier_labels,
            names=names,
            options=options,
            coding=coding,
            selection=selection,
        )
        return cls(folder, used)

    def summary(self) -> list[str]:
        """Describe the annotations for the user.

        Returns:
          a line for each export, then lines on coded times, labels and splits.
        """
        used = self._used
        lines = describe_exports(used.exports, used.of_video, used.left_out)
        return [*lines, *used.notes]

    def length(self, vid: str) -> int:
        """Return the number of frames of a video that decode.

        They are counted at the first call.

        Args:
          vid: the name of the video.

        Raises:
          InputError: the video cannot be read, or an export covers more frames than
            decode, or fewer. It may cover fewer if it begins later, or if another
            export continues it.
        """
        if vid in self._lengths:
            return self._lengths[vid]
        path = self.frames_path(vid)
        count = video_frames.count(path, self.remedy)
        check_length(count, path, self._annotations[vid].documents)
        self._lengths[vid] = count
        return count

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the 1-based numbers of a video's annotated frames, ascending.

        Args:
          vid: the name of the video.
        """
        return tuple(sorted(self._annotations[vid].frames))

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Decode the masks and boxes of an annotated frame, and paint its label map.

        Smaller masks are painted over larger ones.

        Args:
          vid: the name of the video.
          frame: the 1-based number of one of its `annotated_frames`.
          size: (height, width) of the decoded frames in pixels; None for that of the
            video's first frame.

        Raises:
          InputError: a mask, a box or a field is broken, or the annotation is of
            another frame size.
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
            tracks=self._used.track_identities[vid].of_frame(annotated),
            fields=fields,
        )

    def codes(self, vid: str, frame: int) -> list[int]:
        """Return the label codes of the instances of a frame.

        A code is an integer that stands for a pair of actor and action.

        Args:
          vid: the name of the video.
          frame: the 1-based number of one of its `annotated_frames`.
        """
        instances = self._annotations[vid].frames[frame].instances
        return [self._code(instance) for instance in instances]

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the path of a video: its file, or the folder of its frames.

        If there is neither, it is the path that an .mp4 file would have.

        Args:
          vid: the name of the video.
        """
        return frames_path(self.folder, vid)

    def annotation_source(self, vid: str) -> pathlib.Path:
        """Return the annotation file of a video's first annotated frame, for messages.

        Args:
          vid: the name of the video.
        """
        return self.annotation_path(vid, min(self._annotations[vid].frames))

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the path of the file that contains the annotation of a frame.

        Args:
          vid: the name of the video.
          frame: the 1-based number of one of its `annotated_frames`.
        """
        return pathlib.Path(self._annotations[vid].frames[frame].path)

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the paths of a video's files: one, or the images of its frames.

        Args:
          vid: the name of the video.
        """
        return video_paths.files(self.frames_path(vid))

    def annotation_text(self, vid: str) -> str:
        """Return the annotations of a video as JSON, to compare them with earlier ones.

        The text changes only if the annotations change. Then the records of the video
        are converted again.

        Args:
          vid: the name of the video.
        """
        return annotation_text(self._annotations[vid], self._code)

    def _code(self, instance: Instance) -> int:
        return self._used.names.code(instance, self.label_space)
