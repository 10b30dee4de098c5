"""label_maps/ and detections.json: the labels that a network gives each frame alone."""

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
    """Writer of the label maps, a PNG for each answered frame.

    A pixel has the code of its actor and action, 0 for background. The name of a file
    is the number of its frame, such as 00012.png.

    Args:
      path: path of the folder of the files, which is created.
    """

    def __init__(self, path: str) -> None:
        os.mkdir(path)
        self._path = path

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Write the label map of a frame; the label space is not used."""
        png = cv2.imencode(".png", frame.instances.label_map)[1]
        path = os.path.join(self._path, f"{frame.number:05d}.png")
        with open(path, "wb") as file:
            file.write(png.tobytes())

    def close(self) -> None:
        """Do nothing, because each file is whole already."""
        pass


class DetectionWriter:
    """Writer of `detections.json`, the instances of each frame as results of COCO.

    An instance has the network's own label of the frame, the number of its track, its
    second best label, and the margin between both.

    Args:
      path: path of the file, which is created.
    """

    def __init__(self, path: str) -> None:
        self._file = JsonList(path)

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append the instances of a frame.

        Args:
          frame: the next answered frame.
          labels: the label space of the codes.
        """
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
        """End the list and close the file."""
        self._file.close()
