"""The files of a prediction, written frame by frame: memory grows with the bouts only.

The page, which is made from these files, is a step of its own, see `video_page`.
"""

from __future__ import annotations

import array
import contextlib
import json
import operator
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO, Union

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.behaviour.prediction_folder import RESULT_FILES, VIDEO_FILE
from a2d_tf.core.files import write_csv, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.evaluation import coco_json
from a2d_tf.ops import visualize
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs.frame_table import FrameTable
from a2d_tf.video.outputs.track_rows import COLUMNS, TrackRows
from a2d_tf.video.outputs.video_writer import Writer
from a2d_tf.video.reading.reader import Reader


class _JsonList:
    """A file with a JSON list, an item a line."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb")

    def next_item(self) -> BinaryIO:
        """Return the file, to which the next item is to be written."""
        self._file.write(b",\n" if self._file.tell() else b"[\n")
        return self._file

    def close(self) -> None:
        """End the list."""
        with self._file:
            self._file.write(b"\n]\n" if self._file.tell() else b"[\n]\n")


class _Overlay:
    """Writer of the video with masks, boxes and tracks drawn into it."""

    def __init__(self, path: str, reader: Reader, every: int) -> None:
        zoom = visualize.zoom(reader.size)
        size = (zoom * reader.size[0], zoom * reader.size[1])
        self._writer = Writer.open(path, reader.fps / every, size)

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        self._writer.write(_draw(frame, labels), frame.seconds)

    def close(self) -> None:
        self._writer.close()


class _LabelMaps:
    """Writer of a folder with the network's label map of each frame."""

    def __init__(self, path: str) -> None:
        os.mkdir(path)
        self._path = path

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        png = cv2.imencode(".png", frame.instances.label_map)[1]
        path = os.path.join(self._path, f"{frame.number:05d}.png")
        with open(path, "wb") as file:
            file.write(png.tobytes())

    def close(self) -> None:
        pass


class _Detections:
    """Writer of the network's own answer to each frame, with the tracks."""

    def __init__(self, path: str) -> None:
        self._file = _JsonList(path)

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        instances = frame.instances
        entries = coco_json.result_entries(
            frame.number,
            boxes=instances.boxes,
            codes=instances.codes,
            scores=instances.scores,
            masks=instances.masks,
        )
        for i, entry in enumerate(entries):
            runner_up = instances.runner_up(i, labels)
            detection = {
                **entry,
                "track_id": int(frame.tracks[i]),
                "runner_up": runner_up.code,
                "margin": round(runner_up.margin, 4),
            }
            for field in FIELDS:
                if field.name in instances.fields:
                    values = instances.fields[field.name][i]
                    detection[field.name] = field.written(values)
            self._file.next_item().write(json.dumps(detection).encode())

    def close(self) -> None:
        self._file.close()


class _Tracks:
    """Writer of the tracks and of the table of their actions.

    Tracks are in the order of their ends, rows of the table in that of their starts.

    Args:
      tracks_path, summary_path: of the two files; None for one that is not wanted.
      rows_folder: for rows of tracks that last.
      names: {number of a track: the name of its individual}.
    """

    def __init__(
        self,
        tracks_path: str | None,
        summary_path: str | None,
        rows_folder: str,
        names: Mapping[int, str],
    ) -> None:
        self._file = _JsonList(tracks_path) if tracks_path else None
        self._summary_path = summary_path
        self._rows_folder = rows_folder
        self._names = names
        self._tracks: dict[int, TrackRows] = {}  # by id, those that have not ended
        self._summary: list[list] = []

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        self._rest(frame.resting)
        self._end(frame.ended)
        for i, track_id in enumerate(frame.tracks.tolist()):
            if track_id == 0:
                continue
            if track_id not in self._tracks:
                name = self._names.get(track_id)
                rows = TrackRows(track_id, labels, self._rows_folder, name)
                self._tracks[track_id] = rows
            self._tracks[track_id].add(
                frame.number,
                frame.seconds,
                frame.until,
                code=int(frame.codes[i]),
                score=round(float(frame.scores[i]), 6),
                bbox=coco_json.coco_box(frame.instances.boxes[i]),
            )

    def close(self) -> None:
        self._end(list(self._tracks))
        if self._file is not None:
            self._file.close()
        if self._summary_path is not None:
            start_and_track = operator.itemgetter(
                COLUMNS.index("start_frame"), COLUMNS.index("track_id")
            )
            rows = sorted(self._summary, key=start_and_track)
            write_csv(self._summary_path, [COLUMNS, *rows])

    def _rest(self, track_ids: Iterable[int]) -> None:
        """End the actions of tracks that may go on later."""
        for track_id in track_ids:
            self._tracks[track_id].end_action()

    def _end(self, track_ids: Iterable[int]) -> None:
        """Write tracks, and let go of them."""
        for track_id in track_ids:
            track = self._tracks.pop(track_id)
            track.end_action()
            self._summary += track.summary()
            if self._file is not None:
                track.write(self._file.next_item())


_Writer = Union[_Overlay, _LabelMaps, _Detections, _Tracks, FrameTable]


class Outputs:
    """Writer of the files of a prediction (docs/prediction.md), except its page.

    Label maps and detections hold the network's own answer to each frame, the other
    files the labels of the tracks.

    Args:
      folder: an empty one.
      reader: of the video.
      every: N if each Nth frame is added.
      kinds: those of RESULT_FILES that are written.

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
        self._frames_with_extra = 0
        self._unsure_frames = 0
        self._damaged_frames = 0
        self._labels: LabelSpace | None = None
        self._times = array.array("d")  # seconds at which the added frames begin
        self._until = 0.0  # seconds at which the newest one ends

        self._writers: list[_Writer] = []
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)  # if a file cannot be opened
            self._open_writers(kinds)
            stack.pop_all()

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append a frame; the numbers of frames must ascend."""
        self._labels = labels
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
        """Take what is known of the video before its first frame.

        Args:
          facts: further fields of `video.json`; see `prediction_folder.VideoInfo`.
          track_names: {number of a track: the name of its individual}.
        """
        self._facts.update(facts)
        self._track_names.update(track_names)

    def close(self) -> None:
        """Finish the files, also if one of them cannot be."""
        with contextlib.ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.close)

    def write_video_info(self) -> None:
        """Write `video.json`, once closed and with a frame."""
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
        write_json(os.path.join(self._folder, VIDEO_FILE), video_info)

    def _open_writers(self, kinds: Collection[str]) -> None:
        """Open the files of these kinds."""
        paths = {}
        for kind in kinds:
            paths[kind] = os.path.join(self._folder, RESULT_FILES[kind])
        if "label_maps" in kinds:
            self._writers.append(_LabelMaps(paths["label_maps"]))
        if "detections" in kinds:
            self._writers.append(_Detections(paths["detections"]))
        if "tracks" in kinds or "summary" in kinds:
            tracks = _Tracks(
                paths.get("tracks"),
                paths.get("summary"),
                self._folder,
                self._track_names,
            )
            self._writers.append(tracks)
        if "frames" in kinds:
            self._writers.append(FrameTable(paths["frames"], self._track_names))
        if "overlay" in kinds:
            self._writers.append(_Overlay(paths["overlay"], self._reader, self._every))


def _drawn_mask(instances: Instances, index: int) -> np.ndarray | None:
    """Return the mask of an instance, uint8 [H, W]; None where it only fills a box."""
    if instances.has_mask is not None and not instances.has_mask[index]:
        return None
    return rle_tools.decode(instances.masks[index])


def _draw(frame: VideoFrame, labels: LabelSpace) -> np.ndarray:
    """Return the picture of a frame for the overlay, with its tracks."""
    # The best one is drawn last, on top.
    order = np.argsort(frame.scores, kind="stable")
    order = order[frame.tracks[order] > 0]
    # One after the other: all masks of a large frame would fill the memory.
    masks = (_drawn_mask(frame.instances, i) for i in order)
    tracked = visualize.DrawnInstances(
        boxes=frame.instances.boxes[order],
        codes=frame.codes[order],
        masks=masks,
        scores=frame.scores[order],
        ids=frame.tracks[order],
    )
    return visualize.draw_instances(
        frame.image,
        tracked,
        labels,
        stamp=f"{frame.seconds:.2f} s",
        times=visualize.zoom(frame.image.shape[:2]),
    )
