"""The file of --class_map: COCO's classes for actors of one's own."""

import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import layouts

ACTORS = ("mouse", "wheel", "dog")


def read(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text, encoding="utf-8")
    return layouts.read_class_map(path, ACTORS)


@pytest.mark.parametrize(
    "text, named",
    [
        ('{"rat": "cat"}', "'rat'"),
        ('{"mouse": "cats"}', "'cats' .* one of cat"),
        ('{"mouse": "xyzzyx"}', "one of person, bicycle"),
        ('{"mouse": 17}', "mouse"),
        ('{"mouse": ""}', "''"),
        ('["cat"]', "actor"),
        ("{", "actor"),
    ],
)
def test_what_is_no_map_of_these_actors(tmp_path, text, named):
    with pytest.raises(InputError, match=f"map.json: .*{named}"):
        read(tmp_path, text)
