"""Inspect records: counts, a JSON list and pictures of them.

a2d inspect --records records --sheets sheets
a2d inspect --records records --json records.json --draw pictures --limit 20
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.data.record_folder.inspection import Summary
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.evaluation.frames.label_maps import write_png
from a2d_tf.evaluation.reports import annotation_sheets
from a2d_tf.ops import visualize

if TYPE_CHECKING:
    from a2d_tf.data.clip_records import ClipTruth

FLAGS = command_line.Register()
_RECORDS = FLAGS.define_string("records", None, "Folder written by a2d records.")
_JSON = FLAGS.define_string("json", None, "JSON file to write the list of records to.")
_DRAW = FLAGS.define_string(
    "draw", None, "Folder to write a picture of each record to."
)
_SHEETS = FLAGS.define_string(
    "sheets",
    None,
    "Folder to write sheets of annotated frames to: one of each video, at least a"
    " dozen.",
)
_LIMIT = FLAGS.define_integer(
    "limit", None, "Maximum number of records to read.", lower_bound=0
)


def main(argv: list[str]) -> None:
    """Count, list and draw records, as the flags say."""
    command_line.require(argv, records=_RECORDS.value)
    manifest = Manifest.load(_RECORDS.value)
    devices.hide_gpus()
    label_space = manifest.label_space
    summaries = {split: Summary() for split in manifest.splits}
    records = []
    annotated_frames = []
    clips = read_records(
        manifest,
        splits=summaries,
        limit=_LIMIT.value,
        decode=bool(_JSON.value or _DRAW.value),
    )
    for record in clips:
        truth = record.truth
        summaries[record.split].add(truth)
        annotated_frames.append(annotation_sheets.AnnotatedFrame.of(truth))
        if _JSON.value:
            records.append(describe(record.fields, truth, label_space))
        if _DRAW.value:
            path = os.path.join(_DRAW.value, f"{truth.video}_{truth.frame:05d}.png")
            write_png(path, sheet(record.fields, truth, label_space)[..., ::-1])
    if _JSON.value:
        write_json(_JSON.value, records)
    if _SHEETS.value:
        annotation_sheets.write(_SHEETS.value, manifest, annotated_frames)
    for split, summary in summaries.items():
        pairs = f"{len(summary.pair_videos)} of {len(label_space.codes)} pairs"
        print(f"{split}: {summary.counts()}, {pairs}")


def describe(
    fields: Mapping[str, np.ndarray], truth: ClipTruth, label_space: LabelSpace
) -> dict:
    """Return the JSON object of a record; boxes, areas and flow are in stored pixels.

    An instance's `track` is its identity in the video, None where unknown. Without a
    mask its `area` is None, and its flow that of its box.
    """
    flow = fields["flow"][len(fields["flow"]) // 2].astype(np.float64)
    instances = []
    for i, code in enumerate(fields["codes"].tolist()):
        box = fields["boxes"][i].tolist()
        mask = fields["masks"][i]
        inside = mask != 0
        area: int | None = int(mask.sum())
        if not truth.has_mask[i]:
            y1, x1, y2, x2 = box
            rows = slice(math.floor(y1), math.ceil(y2))
            columns = slice(math.floor(x1), math.ceil(x2))
            inside[rows, columns] = True
            area = None
        track = None
        if truth.tracks is not None and truth.tracks[i] >= 0:
            track = int(truth.tracks[i])
        actor, action = label_space.indices(code)
        instances.append(
            {
                "actor": label_space.actors[actor],
                "action": label_space.actions[action],
                "code": code,
                "box": [box[1], box[0], box[3], box[2]],
                "area": area,
                "flow_mean": flow[inside].mean(axis=0).tolist(),
                "track": track,
            }
        )
    return {
        "video": truth.video,
        "frame": truth.frame,
        "split": truth.split,
        "height": truth.size[0],
        "width": truth.size[1],
        "clip_frames": truth.clip_frames.tolist(),
        "instances": instances,
    }


def sheet(
    fields: Mapping[str, np.ndarray], truth: ClipTruth, label_space: LabelSpace
) -> np.ndarray:
    """Draw a clip's key frame with its instances, its flow and its label map.

    Returns:
      the three beside each other, enlarged: RGB uint8 [H, W, 3].
    """
    instances = annotation_sheets.draw_key_frame(fields, label_space)
    height, width = instances.shape[:2]
    flow = visualize.flow_to_rgb(fields["flow"][len(fields["flow"]) // 2])
    labels = label_space.palette[truth.label_map]
    pictures = [instances]
    for picture in (flow, labels):
        pictures.append(
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
        )
    return np.concatenate(pictures, axis=1)


run = command_line.command(main, FLAGS)
