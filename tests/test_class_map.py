"""The file of --class_map: COCO's classes for actors of one's own."""

import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import coco_classes

ACTORS = ("mouse", "wheel", "dog")


def read(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text, encoding="utf-8")
    return coco_classes.read_class_map(path, ACTORS)


def test_classes_and_none(tmp_path):
    chosen = read(tmp_path, '{"mouse": "teddy bear", "wheel": null}')
    assert chosen == {"mouse": "teddy bear", "wheel": None}
    assert read(tmp_path, "{}") == {}


@pytest.mark.parametrize(
    "text, problem",
    [
        ('{"rat": "cat"}', "'rat': no actor of the records, which have mouse, wheel, dog;"),
        (
            '{"mouse": "cats"}',
            "'mouse': 'cats' is no class of COCO; write null for random weights, or one of cat",
        ),
        ('{"mouse": "xyzzyx"}', "one of person, bicycle, car,"),
        ('{"mouse": 17}', "'mouse': 17 is no class of COCO"),
        ('{"mouse": ["cat"]}', "is no class of COCO"),
        ('{"mouse": ""}', "'' is no class of COCO"),
        ('["cat"]', "not a JSON object; write {actor: COCO class or null}"),
        ("{", "not a readable JSON file"),
    ],
)
def test_what_is_no_map_of_these_actors(tmp_path, text, problem):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'map.json'}: ") and problem in message


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="absent.json: not a readable JSON file"):
        coco_classes.read_class_map(tmp_path / "absent.json", ACTORS)
