"""The tracks that a user gave for a video: the instances in each of its frames."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np

from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.documents.frame_shapes import check_size, decode_shape
from a2d_tf.annotations.documents.instance import Instance, check_tracks_differ
from a2d_tf.annotations.labels.names import NO_NAMES, Names
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.tracks.track_identities import TrackIdentities
from a2d_tf.annotations.tracks.track_numbers import page_numbers
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import encode_mask

FLAG = "tracks"
"""The flag that names the exports; errors show it."""


@dataclasses.dataclass(frozen=True)
class GivenInstances:
    """The N instances of one frame in tracks that a user or a detector gives.

    Attributes:
      boxes: float32 [N, 4], (y1, x1, y2, x2) in pixels of the video.
      masks: a mask in COCO's RLE for each instance; None for one with a box alone.
      tracks: int64 [N], the numbers of the tracks on pages, from 1.
      actors: int64 [N], the 0-based indices of the actors in the network's labels; -1
        if the export names no actor.
      scores: float32 [N], the scores of a detector's boxes; None if a user drew the
        boxes.
    """

    boxes: np.ndarray
    masks: list[dict | None]
    tracks: np.ndarray
    actors: np.ndarray
    scores: np.ndarray | None = None


class VideoTracks:
    """The given tracks of one video: who is where in each of its frames.

    Args:
      video: the name of the video.
      annotations: its annotated frames, in which each instance must belong to a track.
      labels: the label space of the network that labels the tracks.
      names: maps labels of the tool to actors.

    Attributes:
      names: {number of a track on pages: the name of its individual} of tracks whose
        individual has a name.
      last_frames: {number of a track: the 1-based number of the last frame with it}.
      has_masks: whether any instance has a mask.

    An InputError is raised if a track is in a frame twice, an instance belongs to no
    track, or its actor is not in the label space.
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
        self._numbers = page_numbers(self._frames.values(), self._identities)
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
        """The 1-based number of the last frame that shows a track; 0 without tracks."""
        return max(self.last_frames.values(), default=0)

    def instances(self, number: int, size: tuple[int, int]) -> GivenInstances:
        """Return the instances of a frame, with shapes in pixels of the video.

        Args:
          number: the 1-based number of the frame in the video. A frame without
            annotation has no instances.
          size: (height, width) of the video's frames in pixels.

        Raises:
          InputError: a shape is malformed or outside the frame, or the annotations are
            of another frame size.
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
        """Return the numbers on pages of the tracks in a frame, in its file's order.

        Args:
          number: the 1-based number of an annotated frame.
        """
        return [track for _, track in self._tracked(self._frames[number])]

    def short_gaps(self, every: int) -> int:
        """Count the predicted frames that lie in short gaps of tracks.

        Such a frame may cut a bout of the track in two. A gap is short if the track
        appears again at most `every` frames after the last frame before the gap.

        Args:
          every: the number of frames from one predicted frame to the next; the first
            frame of the video is predicted.
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
        """Return a SHA-256 checksum, in hexadecimal, of all tracks' boxes and masks.

        It changes if a track changes, so that its features have to be computed again.
        """
        total = hashlib.sha256()
        for number in sorted(self._frames):
            frame = self._frames[number]
            total.update(repr((number, frame.size, frame.scaled)).encode())
            for instance, track in self._tracked(frame):
                shape = (track, instance.box, instance.parts)
                total.update(repr(shape).encode())
        return total.hexdigest()

    def check_length(self, frames: int) -> None:
        """Raise InputError if a track goes on behind the last frame of the video.

        Args:
          frames: the number of frames of the video.
        """
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
