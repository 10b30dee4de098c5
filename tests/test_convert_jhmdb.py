"""tools/convert_jhmdb.py on a folder of the published layout with one video."""

import json
import pickle

import numpy as np

from tools import convert_jhmdb


def test_frames_boxes_and_folds_of_a_video(tmp_path):
    frames = tmp_path / "JHMDB" / "Frames" / "catch" / "ball_1"
    frames.mkdir(parents=True)
    (frames / "00001.png").write_bytes(b"1")
    truth = {
        "gttubes": {"catch/ball_1": {2: [np.array([[1.0, 10, 20, 40, 80]])]}},
        "resolution": {"catch/ball_1": (240, 320)},
        "labels": ["brush_hair", "run", "catch"],
        "test_videos": [["catch/ball_1"], []],
    }
    (tmp_path / "JHMDB" / "JHMDB-GT.pkl").write_bytes(pickle.dumps(truth))
    output = tmp_path / "jhmdb"

    convert_jhmdb.main(tmp_path / "JHMDB", output)

    assert (output / "videos" / "ball_1" / "00001.png").read_bytes() == b"1"
    assert (output / "folds.csv").read_text().split() == ["video,fold", "ball_1,1"]
    boxes = json.loads((output / "boxes.json").read_text())
    assert boxes["categories"] == [{"id": 1, "name": "person"}]
    assert boxes["images"] == [
        {"id": 0, "file_name": "ball_1/00001.png", "width": 320, "height": 240}
    ]
    assert boxes["annotations"] == [
        {
            "id": 0,
            "image_id": 0,
            "category_id": 1,
            "bbox": [10, 20, 30, 60],
            "attributes": {"action": "catch", "track_id": 0},
        }
    ]
