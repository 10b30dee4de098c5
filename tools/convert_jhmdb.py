"""Convert the JHMDB that the MOC detector publishes, for a2d reproduce.

python tools/convert_jhmdb.py JHMDB jhmdb

JHMDB is the unpacked folder with `JHMDB-GT.pkl` and `Frames/`. The second folder is
made: `videos/` (folders of frames, moved), `boxes.json` and `folds.csv` of the official
splits. Loading the pickle can run code: take it from a source that you trust.
"""

from __future__ import annotations

import csv
import json
import pathlib
import pickle
import sys


def boxes(truth: dict) -> dict:
    """Return the boxes of JHMDB as a COCO file with attributes.

    Args:
      truth: contents of `JHMDB-GT.pkl`: `gttubes` has for each video {label: [tube]},
        where a tube has rows (frame from 1, x1, y1, x2, y2) in pixels.

    Returns:
      the contents of the JSON file: images, annotations with the action, and
        categories.
    """
    images = []
    annotations = []
    for key, tubes in truth["gttubes"].items():
        height, width = truth["resolution"][key]
        for label, (tube,) in tubes.items():
            attributes = {"action": truth["labels"][label], "track_id": 0}
            for frame, x1, y1, x2, y2 in tube.tolist():
                number = len(images)
                image = {
                    "id": number,
                    "file_name": f"{video_name(key)}/{int(frame):05}.png",
                    "width": width,
                    "height": height,
                }
                images.append(image)
                annotation = {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "attributes": attributes,
                }
                annotations.append(annotation)
    categories = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def folds(truth: dict) -> list[tuple[str, int]]:
    """Return each test video of an official split, and the number of the split, from 1.

    Args:
      truth: contents of `JHMDB-GT.pkl`.

    Returns:
      (name of the video, number of the split) each.
    """
    rows = []
    for fold, keys in enumerate(truth["test_videos"], 1):
        for key in keys:
            rows.append((video_name(key), fold))
    return rows


def video_name(key: str) -> str:
    """Return the name of a video, given its key ACTION/NAME in `JHMDB-GT.pkl`."""
    return key.split("/")[1]


def main(source: pathlib.Path, output: pathlib.Path) -> None:
    """Convert the folder of JHMDB; its folders of frames are moved.

    Args:
      source: path of the folder with `JHMDB-GT.pkl` and `Frames`.
      output: path of the folder to make, which must not yet have a folder `videos`.
    """
    with open(source / "JHMDB-GT.pkl", "rb") as file:
        truth = pickle.load(file, encoding="latin1")
    (output / "videos").mkdir(parents=True)
    (output / "boxes.json").write_text(json.dumps(boxes(truth)))
    with open(output / "folds.csv", "w", newline="") as file:
        csv.writer(file).writerows([("video", "fold"), *folds(truth)])
    for key in truth["gttubes"]:
        (source / "Frames" / key).rename(output / "videos" / video_name(key))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
