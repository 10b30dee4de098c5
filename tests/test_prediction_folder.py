"""The files of a prediction, read in the layouts that programs write."""

import json

import pytest

from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.checked_json import whole
from a2d_tf.core.errors import InputError

ITEMS = [{"image_id": 1, "score": 0.5}, {"image_id": 2, "score": 0.25}]
LAYOUTS = {
    "an item a line": "[\n" + ",\n".join(map(json.dumps, ITEMS)) + "\n]\n",
    "one line": json.dumps(ITEMS),
    "indented": json.dumps(ITEMS, indent=1),
}


def read(folder):
    return list(prediction_folder.read_detections(folder, {"image_id": whole()}))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_detections_in_each_layout(tmp_path, layout):
    (tmp_path / "detections.json").write_text(LAYOUTS[layout])
    assert read(tmp_path) == ITEMS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, layout):
    path = tmp_path / "detections.json"
    path.write_text(LAYOUTS[layout].rstrip()[:-1])
    with pytest.raises(InputError, match="detections.json"):
        read(tmp_path)
