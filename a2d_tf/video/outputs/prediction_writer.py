"""Write the files of a prediction frame by frame.

Memory grows with the number of bouts only. The page is made from these files
afterwards, see `video_page`.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from a2d_tf.behaviour.prediction_folder import RESULT_FILES, VIDEO_FILE
from a2d_tf.core.files import write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs.frame_table import FrameTable
from a2d_tf.video.outputs.network_answers import DetectionWriter, LabelMapWriter
from a2d_tf.video.outputs.overlay import OverlayWriter
from a2d_tf.video.outputs.track_writer import TrackWriter
from a2d_tf.video.reading.reader import Reader


class FileWriter(Protocol):
    """A writer of one file of a prediction, or of two that are made together."""

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append an answered frame.

        Args:
          frame: the frame; its number is above that of the frame before it.
          labels: the label space of the codes, the same in each call.
        """

    def close(self) -> None:
        """Finish the file; call it once, after the last frame."""


class PredictionWriter:
    """Writer of all files of a prediction (docs/prediction.md), except its page.

    Label maps and detections have the labels that the network gives each frame alone;
    the other files have the labels of the tracks. Call `describe` once, `add` for each
    frame, then `close` and `write_video_info`.

    Args:
      folder: path of an empty folder, in which the files are created.
      reader: the reader of the video.
      every: N if only each Nth frame is predicted.
      kinds: the kinds of results to write, such as "tracks" and "overlay": keys of
        `RESULT_FILES`.

    Attributes:
      frames: number of frames that were added.
    """

    def __init__(
        self, folder: str, reader: Reader, every: int, kinds: Collection[str]
    ) -> None:
        self._folder = folder
        self._reader = reader
        self._every = every
        self._facts: dict[str, Any] = {}
        self._track_names: dict[int, str] = {}

        self.frames = 0
        self._first_frame = 1
        self._frames_with_extra = 0
        self._unsure_frames = 0
        self._damaged_frames = 0
        self._labels: LabelSpace | None = None
        self._times = array.array("d")  # seconds at which the added frames begin
        self._until = 0.0  # seconds at which the newest one ends

        self._writers: list[FileWriter] = []
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)  # if a file cannot be opened
            self._open_writers(kinds)
            stack.pop_all()

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append an answered frame to each file.

        Args:
          frame: the frame; its number is above that of the frame before it.
          labels: the label space of the codes, the same in each call.
        """
        self._labels = labels
        if self.frames == 0:
            self._first_frame = frame.number
        self.frames += 1
        if frame.extra > 0:
            self._frames_with_extra += 1
        if len(frame.tracks) > 0 and not frame.tracks.any():
            self._unsure_frames += 1
        if frame.number - 1 in self._reader.damaged:
            self._damaged_frames += 1
        self._times.append(round(frame.seconds, 6))
        self._until = frame.until
        for writer in self._writers:
            writer.add(frame, labels)

    def describe(
        self, facts: Mapping[str, Any], track_names: Mapping[int, str]
    ) -> None:
        """Take the facts of the video, before its first frame is added.

        Args:
          facts: further fields of `video.json`, {name: value}; see `prediction_folder`.
          track_names: {number of a track: the name of its individual}; {} without
            names.
        """
        self._facts.update(facts)
        self._track_names.update(track_names)

    def close(self) -> None:
        """Finish all files but `video.json`, even if one of them fails."""
        with contextlib.ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.close)

    def write_video_info(self) -> None:
        """Write `video.json`: the video, its answered frames and the label space.

        Call it after `close`, if there was a frame.
        """
        assert self._labels is not None
        reader = self._reader
        video_info = {
            "name": reader.name,
            "images": reader.images,
            "frames": reader.length or reader.count,
            "fps": reader.fps,
            "height": reader.size[0],
            "width": reader.size[1],
            "every": self._every,
            "begin": self._times[0],
            "until": self._until,
            "seconds": round(max(self._until, reader.lasts or 0.0), 6),
            "labels": json.loads(self._labels.to_json()),
            "unsure_frames": self._unsure_frames,
            "frames_with_extra": self._frames_with_extra,
            "damaged_frames": self._damaged_frames,
            "times": list(self._times),
            **self._facts,
        }
        if reader.images is not None:
            video_info["fps_is_assumed"] = reader.fps_is_assumed
        if reader.first_frame_time > 0:
            video_info["film_start"] = reader.first_frame_time
        if self._first_frame > 1:
            video_info["first_frame"] = self._first_frame
        write_json(os.path.join(self._folder, VIDEO_FILE), video_info)

    def _open_writers(self, kinds: Collection[str]) -> None:
        """Open the files of these kinds."""
        paths = {}
        for kind in kinds:
            paths[kind] = os.path.join(self._folder, RESULT_FILES[kind])
        if "label_maps" in kinds:
            self._writers.append(LabelMapWriter(paths["label_maps"]))
        if "detections" in kinds:
            self._writers.append(DetectionWriter(paths["detections"]))
        if "tracks" in kinds or "summary" in kinds:
            tracks = TrackWriter(
                paths.get("tracks"),
                paths.get("summary"),
                self._folder,
                self._track_names,
            )
            self._writers.append(tracks)
        if "frames" in kinds:
            self._writers.append(FrameTable(paths["frames"], self._track_names))
        if "overlay" in kinds:
            self._writers.append(
                OverlayWriter(paths["overlay"], self._reader, self._every)
            )
