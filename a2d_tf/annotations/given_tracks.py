"""Tracks that a user has: who is where in each frame of a video, from any tool.

What each one does is for a network to say. A label that is an actor of the network is
kept; without any label the network names the actor, too.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from a2d_tf.annotations.document import (
    DEFAULTS,
    AnnotatedFrame,
    Instance,
    ReadOptions,
    check_tracks_differ,
)
from a2d_tf.annotations.frame_shapes import check_size, decode_shape
from a2d_tf.annotations.matching import (
    Export,
    ReadExport,
    VideoAnnotations,
    find_videos,
)
from a2d_tf.annotations.names import NO_NAMES, Names
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.annotations.track_identities import TrackIdentities
from a2d_tf.annotations.video_folder import VideoFolder
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import encode_mask

FLAG = "tracks"
"""The flag that names the exports; errors show it."""


@dataclasses.dataclass(frozen=True)
class GivenInstances:
    """The N instances of a frame whose places and tracks are given.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2, in pixels of the video.
      masks: N RLEs; None where only the box is given.
      tracks: int64 [N], the numbers of the tracks, from 1.
      actors: int64 [N], 0-based; -1 where the export does not say.
      scores: float32 [N], of the boxes that a detector found; None of those of a user.
    """

    boxes: np.ndarray
    masks: list[dict | None]
    tracks: np.ndarray
    actors: np.ndarray
    scores: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Reading:
    """How exports of tracks are read, as the user says.

    Attributes:
      exports: the files, folders and zips.
      names: maps labels to actors.
      options: how files are read.
    """

    exports: Sequence[Export]
    names: Names = NO_NAMES
    options: ReadOptions = DEFAULTS


class VideoTracks:
    """The given tracks of a video.

    Attributes:
      names: {number of a track: the name of its individual}, of those that have one.
      last_frames: {number of a track: the last frame with it}.
      has_masks: whether any instance has a mask.
    """

    def __init__(
        self,
        video: str,
        annotations: VideoAnnotations,
        labels: LabelSpace,
        names: Names = NO_NAMES,
    ) -> None:
        self._video = video
        self._frames = annotations.frames
        self._labels = labels
        self._label_names = dataclasses.replace(names, label_space=labels)
        self._identities = TrackIdentities(self._frames.values())
        for frame in self._frames.values():
            check_tracks_differ(frame.instances)
        self._numbers = _shown_numbers(self._frames.values(), self._identities)
        self.names: dict[int, str] = {}
        self.last_frames: dict[int, int] = {}
        self.has_masks = False
        for number in sorted(self._frames):
            for instance, track in self._tracked(self._frames[number]):
                self.last_frames[track] = number
                if instance.name:
                    self.names[track] = instance.name
                if instance.parts:
                    self.has_masks = True
                self._actor(instance)  # an unknown one is an error at once

    @property
    def last_frame(self) -> int:
        """The 1-based number of the last frame with a track; 0 without any."""
        return max(self.last_frames.values(), default=0)

    def instances(self, number: int, size: tuple[int, int]) -> GivenInstances:
        """Return the instances of a frame.

        Args:
          number: 1-based, of the frame.
          size: (height, width) of the video's frames.

        Raises:
          InputError: a shape is malformed or outside the frame, or an instance has no
            track.
        """
        boxes = []
        masks = []
        tracks = []
        actors = []
        frame = self._frames.get(number)
        if frame is not None:
            check_size(frame, size, self._video)
            for instance, track in self._tracked(frame):
                try:
                    shape = decode_shape(instance, frame, size)
                except InputError as error:
                    place = f"(frame {number} of '{self._video}')"
                    raise InputError(f"{instance.where}: {error} {place}") from error
                boxes.append(shape.box)
                masks.append(None if shape.mask is None else encode_mask(shape.mask))
                tracks.append(track)
                actors.append(self._actor(instance))
        return GivenInstances(
            boxes=np.reshape(np.array(boxes, np.float32), (-1, 4)),
            masks=masks,
            tracks=np.array(tracks, np.int64),
            actors=np.array(actors, np.int64),
        )

    def numbers(self, number: int) -> list[int]:
        """Return the numbers of the tracks of a frame, in the order of its file."""
        return [track for _, track in self._tracked(self._frames[number])]

    def short_gaps(self, every: int) -> int:
        """Count how often an answered frame lies in a track's gap of few frames.

        Args:
          every: of so many frames, from the first, one is answered; a gap of fewer
            frames is short.
        """
        frames_of_track: dict[int, list[int]] = {}
        for number in sorted(self._frames):
            for track in self.numbers(number):
                frames_of_track.setdefault(track, []).append(number)
        count = 0
        for numbers in frames_of_track.values():
            for before, after in zip(numbers, numbers[1:]):
                if after - before <= every:
                    count += (after - 2) // every - (before - 1) // every
        return count

    def digest(self) -> str:
        """Return a digest of the places of all tracks."""
        total = hashlib.sha256()
        for number in sorted(self._frames):
            frame = self._frames[number]
            total.update(repr((number, frame.size, frame.scaled)).encode())
            for instance, track in self._tracked(frame):
                shape = (track, instance.box, instance.parts)
                total.update(repr(shape).encode())
        return total.hexdigest()

    def check_length(self, frames: int) -> None:
        """Raise InputError if a track goes on after the last of a video's frames."""
        if self.last_frame <= frames:
            return
        where = self._frames[self.last_frame].where
        raise InputError(
            f"{where}: frame {self.last_frame} of '{self._video}', which has"
            f" {frames} frames; use the video that was tracked, or for images numbered"
            " from 0 --first_frame=0"
        )

    def _tracked(self, frame: AnnotatedFrame) -> Iterator[tuple[Instance, int]]:
        """Yield the instances of a frame with the numbers of their tracks."""
        identities = self._identities.of_frame(frame)
        for i, instance in enumerate(frame.instances):
            if identities is None or identities[i] < 0:
                raise InputError(
                    f"{instance.where}: names no track; --{FLAG} takes an export in"
                    " which each shape belongs to one"
                )
            yield instance, self._numbers[int(identities[i])]

    def _actor(self, instance: Instance) -> int:
        """Return the index of an instance's actor; -1 if its label says nothing."""
        actor, _ = self._label_names.annotated_names(instance)
        if not actor:
            return -1
        if actor in self._labels.actors:
            return self._labels.actors.index(actor)
        known = self._labels.actors
        raise InputError(
            f"{instance.where}: {quoted(actor)} is no actor of the model"
            f" ({join_names(known)}); map it with --names=FILE, a JSON file such as"
            f' {{"{instance.label}": ["{known[0]}", null]}}'
        )


@dataclasses.dataclass(frozen=True)
class GivenTracks:
    """The given tracks of videos.

    Attributes:
      videos: {name of a video: its tracks}.
      annotations: {name of a video: the frames of its exports}.
      left_out: {actor of a detector's that the labels lack: its instances}.
    """

    videos: Mapping[str, VideoTracks]
    annotations: Mapping[str, VideoAnnotations]
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(
        cls,
        reading: Reading,
        folder: VideoFolder,
        labels: LabelSpace,
        wanted: Collection[str],
        *,
        of_detector: bool = False,
    ) -> GivenTracks:
        """Read exports, and find the tracks of videos in them.

        Args:
          folder: where the videos are.
          labels: the label space of the model. If it has a single actor, that is the
            actor of tracks whose export does not say.
          wanted: names of videos, all of which must have tracks; exports of others are
            left out.
          of_detector: whether a detector found them: then videos may have no tracks,
            and those of other actors are left out.

        Raises:
          InputError: a file cannot be read, a wanted video has no tracks, a track is in
            a frame twice, or a label is no actor.
        """
        options = reading.options
        if not options.actor and len(labels.actors) == 1:
            options = dataclasses.replace(options, actor=labels.actors[0])
        read_exports = []
        for export in reading.exports:
            read_exports.append(ReadExport(export, read_export(export.path, options)))
        annotations = find_videos(
            read_exports, folder, options.first_frame, flag=FLAG, wanted=wanted
        )
        missing = [name for name in wanted if name not in annotations]
        if of_detector:
            for name in missing:
                annotations[name] = VideoAnnotations()
        elif missing:
            paths = [str(export.path) for export in reading.exports]
            others = sorted(set(annotations) - set(wanted))
            instead = f", but those of {join_names(others)}" if others else ""
            raise InputError(
                f"{join_names(paths)}: no tracks of {join_names(missing)}{instead}; add"
                f" them, or name the video of a file, as in --{FLAG}=VIDEO=FILE"
            )
        left_out = collections.Counter[str]()
        if of_detector:
            names = dataclasses.replace(reading.names, label_space=labels)
            for name in wanted:
                known = _of_actors(annotations[name], labels.actors, names, left_out)
                annotations[name] = known
        videos = {}
        for name in wanted:
            videos[name] = VideoTracks(name, annotations[name], labels, reading.names)
        return cls(videos, annotations, left_out)


def _of_actors(
    annotations: VideoAnnotations,
    actors: Collection[str],
    names: Names,
    left_out: collections.Counter[str],
) -> VideoAnnotations:
    """Return the annotations without instances of other actors, which are counted."""
    frames = {}
    for number, frame in annotations.frames.items():
        instances = []
        for instance in frame.instances:
            actor, _ = names.annotated_names(instance)
            if not actor or actor in actors:
                instances.append(instance)
            else:
                left_out[actor] += 1
        if instances:
            frames[number] = dataclasses.replace(frame, instances=tuple(instances))
    return dataclasses.replace(annotations, frames=frames)


def digest(exports: Sequence[Export]) -> str:
    """Return a digest of the files of exports, which tells changed tracks."""
    total = hashlib.sha256()
    for export in exports:
        paths = [export.path]
        if export.path.is_dir():
            paths = sorted(path for path in export.path.rglob("*") if path.is_file())
        for path in paths:
            total.update(path.relative_to(export.path.parent).as_posix().encode())
            total.update(hashlib.sha256(pathlib.Path(path).read_bytes()).digest())
    return total.hexdigest()


def _shown_numbers(
    frames: Collection[AnnotatedFrame], identities: TrackIdentities
) -> dict[int, int]:
    """Return {identity of a track: its number on pages, from 1}.

    It is the number by which the user knows the individual, else the tool's, which is
    one higher if the tool counts from 0. Where another track has this number already,
    it is the next one that is free.
    """
    of_user: dict[int, int] = {}
    of_tool: dict[int, int] = {}
    for frame in frames:
        values = identities.of_frame(frame)
        if values is None:
            continue
        for instance, identity in zip(frame.instances, values.tolist()):
            if identity < 0:
                continue
            if instance.number is not None:
                of_user.setdefault(identity, instance.number)
            of_tool.setdefault(identity, identity)
            if instance.track is not None:
                of_tool[identity] = instance.track
    numbers: dict[int, int] = {}
    for identity, number in sorted(of_user.items()):
        if number > 0 and number not in numbers.values():
            numbers[identity] = number
    offset = 0 if min(of_tool.values(), default=1) > 0 else 1
    for identity, number in sorted(of_tool.items()):
        if identity in numbers:
            continue
        number += offset
        if number in numbers.values():
            number = max(numbers.values()) + 1
        numbers[identity] = number
    return numbers
