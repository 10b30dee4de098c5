"""Show what records hold: a JSON list of clips and instances, and pictures of them.

python tools/inspect_records.py --records records --json records.json --draw sheets --limit 20
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from absl import flags

from a2d_tf import errors, visualize
from a2d_tf.data.flow import resize_frame
from a2d_tf.data.manifest import SPLITS, Manifest
from a2d_tf.errors import InputError
from a2d_tf.files import write_json

_RECORDS = flags.DEFINE_string("records", None, "Folder of build_records.py.")
_JSON = flags.DEFINE_string("json", None, "File for the list of records.")
_DRAW = flags.DEFINE_string("draw", None, "Folder for one picture per record.")
_LIMIT = flags.DEFINE_integer("limit", None, "At most so many records.", lower_bound=0)
_SPLIT = flags.DEFINE_enum("split", "all", [*SPLITS, "all"], "Which records.")


def main(argv):
    errors.require(argv, records=_RECORDS.value, json=_JSON.value)
    manifest = Manifest.load(_RECORDS.value)
    splits = manifest.splits if _SPLIT.value == "all" else [_SPLIT.value]
    shards = [shard for split in splits for shard in manifest.shards(split)]
    try:
        for folder in (os.path.dirname(_JSON.value), _DRAW.value):
            if folder:
                os.makedirs(folder, exist_ok=True)
        rows = []
        for fields, truth in _records(shards, _LIMIT.value):
            rows.append(describe(fields, truth, manifest.label_space))
            if _DRAW.value:
                picture = sheet(fields, truth, manifest.label_space)
                path = os.path.join(_DRAW.value, f"{truth.video}_{truth.frame:05d}.png")
                if not cv2.imwrite(path, picture[..., ::-1]):
                    raise InputError(f"{path}: cannot be written; see --draw")
        write_json(_JSON.value, rows)
    except OSError as error:
        raise InputError(f"cannot write: {error}; see --json and --draw") from error
    print(f"{len(rows)} records, {sum(len(row['instances']) for row in rows)} instances")


def _records(shards, limit):
    """Yield (`records.parse` as arrays, `Truth`) of at most `limit` records."""
    import tensorflow as tf  # late, so that a wrong folder is reported at once

    from a2d_tf.data import records

    parse = tf.function(records.parse, input_signature=[tf.TensorSpec([], tf.string)])
    count = 0
    for shard in shards:
        for serialized in records.read_shard(shard):
            if count == limit:
                return
            count += 1
            with records.naming(shard):
                fields = {name: tensor.numpy() for name, tensor in parse(serialized).items()}
                truth = records.read_truth(serialized)
            yield fields, truth


def describe(fields, truth, label_space):
    """The JSON object of a record; boxes, areas and flow are in stored pixels."""
    flow = fields["flow"][len(fields["flow"]) // 2].astype(np.float64)
    instances = []
    for box, code, mask in zip(fields["boxes"].tolist(), fields["codes"].tolist(), fields["masks"]):
        actor, action = label_space.split(code)
        instances.append(
            {
                "actor": label_space.actors[actor - 1],
                "action": label_space.actions[action - 1],
                "code": code,
                "box": [box[1], box[0], box[3], box[2]],
                "area": int(mask.sum()),
                "flow_mean": flow[mask != 0].mean(axis=0).tolist(),
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


def sheet(fields, truth, label_space, height=320):
    """Key frame with instances | flow | label map, side by side: RGB uint8 [height, W, 3]."""
    key = len(fields["rgb"]) // 2
    rgb = fields["rgb"][key]
    scale = height / rgb.shape[0]
    size = (height, max(1, round(rgb.shape[1] * scale)))
    masks = [cv2.resize(m, size[::-1], interpolation=cv2.INTER_NEAREST) for m in fields["masks"]]
    panels = [
        visualize.draw_instances(
            resize_frame(rgb, *size), fields["boxes"] * scale, fields["codes"], masks, label_space
        ),
        resize_frame(visualize.flow_to_rgb(fields["flow"][key]), *size),
        cv2.resize(
            visualize.label_map_to_rgb(truth.label_map, label_space),
            size[::-1],
            interpolation=cv2.INTER_NEAREST,
        ),
    ]
    return np.concatenate(panels, axis=1)


if __name__ == "__main__":
    errors.run(main)
