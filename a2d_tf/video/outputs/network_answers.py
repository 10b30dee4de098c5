"""label_maps/ and detections.json: the network's own answer to each frame."""

from __future__ import annotations

import json
import os

import cv2

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs.json_list import JsonList


class LabelMapWriter:
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


class DetectionWriter:
    """Writer of the network's own answer to each frame, with the tracks."""

    def __init__(self, path: str) -> None:
        self._file = JsonList(path)

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
