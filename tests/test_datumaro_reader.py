"""Datumaro's JSON, whole and damaged; test_datumaro_oracle.py has Datumaro's own reading of it."""

import copy
import json

import export_reading
import numpy as np
import pytest

from a2d_tf.annotations import read_datumaro as datumaro
from a2d_tf.core.errors import InputError

SQUARE = [1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]  # 4 pixels
WIDE = [0.0, 4.0, 8.0, 4.0, 8.0, 6.0, 0.0, 6.0]  # 16 pixels
RLE = {"size": [6, 8], "counts": "7240m0"}  # 7, 2, 4, 2, 33: rows 1 and 2 of columns 1 and 2


def polygon(points, label=0, group=0, **attributes):
    shape = {"id": 0, "type": "polygon", "label_id": label, "group": group, "points": points}
    return {**shape, "attributes": attributes}


def item(frame, *annotations, **more):
    return {
        "id": f"frame_{frame:06d}",
        "annotations": list(annotations),
        "attr": {"frame": frame},
        "image": {"path": "", "size": [6, 8]},
        **more,
    }


def document(*items):
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("mouse", "wheel")]
    return {"info": {}, "categories": {"label": {"labels": labels}}, "items": list(items)}


@pytest.fixture
def read(tmp_path):
    def of(content, **options):
        path = tmp_path / "default.json"
        path.write_text(json.dumps(content))
        (found,) = export_reading.read(datumaro, path, **options)
        return found

    return of


def test_items_with_a_keyframe_are_annotated_and_the_rest_by_option(read):
    key = {"action": "run", "track_id": 3, "keyframe": True}
    between = {**key, "keyframe": False}
    content = document(
        item(0, polygon(SQUARE, **key), polygon(WIDE, 1, **{**between, "track_id": 4})),
        item(1, polygon(SQUARE, **between)),
        item(2),
        item(3, polygon(SQUARE, action="rest")),
    )
    found = read(content)
    assert export_reading.described(found) == {
        1: [("mouse", "run", 3), ("wheel", "run", 4)],
        4: [("mouse", "rest", None)],
    }
    assert found.left_out == {
        "frames with interpolated shapes only": 1,
        "frames without shapes, which may not be annotated": 1,
    }
    assert (found.format, found.numbering, found.frame_count) == ("datumaro", "video", 4)
    assert (found.frames[0].video, found.frames[0].size) == (None, (6, 8))
    assert found.frames[0].instances[0].where == "items[0].annotations[0]"
    assert sorted(export_reading.described(read(content, interpolated=True))) == [1, 2, 4]
    assert export_reading.described(read(content, empty_frames=True))[3] == []
    del content["items"][0]
    assert read(content).frame_count is None


def test_masks_boxes_and_ellipses(read):
    mask = {"type": "mask", "label_id": 1, "group": 0, "attributes": {}, "rle": RLE}
    box = {"type": "bbox", "label_id": 1, "bbox": [0, 0, 2, 2], "attributes": {}}
    ellipse = {"type": "ellipse", "label_id": 0, "points": [2, 1, 6, 5], "attributes": {}}
    content = document(item(0, mask, box), item(1, box), item(2, ellipse))
    found = read(content, empty_frames=True)
    assert [frame.number for frame in found.frames] == [1, 3]
    assert found.left_out == {"annotations of type bbox, which are no masks": 2}
    np.testing.assert_array_equal(
        export_reading.mask(found.frames[0].instances[0], (6, 8)).astype(int),
        [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 1, 1, 0, 0, 0, 0, 0],
            [0, 1, 1, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
        ],
    )
    np.testing.assert_array_equal(
        export_reading.mask(found.frames[1].instances[0], (6, 8)).astype(int),
        [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 1, 1, 0, 0, 0],
            [0, 0, 1, 1, 1, 1, 0, 0],
            [0, 0, 1, 1, 1, 1, 0, 0],
            [0, 0, 0, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
        ],
    )


def test_a_group_is_one_instance_named_by_its_largest_part(read):
    mask = {"type": "mask", "label_id": 0, "group": 5, "attributes": {"action": "rest"}, "rle": RLE}
    found = read(
        document(
            item(
                0,
                polygon(SQUARE, 1, 4, action="run", track_id=7),
                polygon(SQUARE, action="alone"),
                polygon(WIDE, 0, 4, action="rest", track_id=2),
            ),
            item(1, polygon(SQUARE, 1, 4, action="run", track_id=7)),
            item(2, polygon(SQUARE[:6], 1, 5, action="run"), mask),
        )
    )
    assert export_reading.described(found) == {
        1: [("mouse", "rest", 2), ("mouse", "alone", None)],
        2: [("wheel", "run", 2)],
        3: [("mouse", "rest", None)],
    }
    assert export_reading.mask(found.frames[0].instances[0], (6, 8)).sum() == 20


def test_names_of_images_are_the_users_and_older_exports_have_no_size(read):
    shape = polygon(SQUARE)
    content = document(
        item(0, shape, id="clip1/00005"),
        item(1, shape, id=r"clip1\00006"),
        item(2, id="frame_000002"),
    )
    del content["items"][0]["image"]
    found = read(content)
    assert [(x.video, x.number, x.size) for x in found.frames] == [
        ("clip1", 5, None),
        ("clip1", 6, (6, 8)),
    ]
    assert (found.numbering, found.frame_count) == ("names", None)
    # A user's image too: CVAT's own names have the frame's number.
    assert read(document(item(4, shape, id="frame_000005"))).numbering == "names"
    assert read(document(item(5, shape, attr={}))).frames[0].number == 6


def changed(value, *path):
    """A sound document with one field changed."""
    content = copy.deepcopy(document(item(0, polygon(SQUARE, 0, 3), polygon(WIDE, 0, 3))))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


FIRST = ("items", 0, "annotations", 0)
DAMAGED = {
    "categories": (changed([], "categories"), "no 'items' and 'categories' of Datumaro"),
    "labels": (changed({}, "categories", "label"), "categories.label.labels: missing"),
    "label": (changed({}, "categories", "label", "labels", 0), "labels[0].name: None is no text"),
    "item": (changed(3, "items", 0), "items[0]: 3 is no object"),
    "id": (changed(3, "items", 0, "id"), "items[0].id: 3 is no text"),
    "name": (changed("yard", "items", 0, "id"), "items[0].id: 'yard' has no frame number"),
    "annotations": (changed(None, "items", 0, "annotations"), "items[0].annotations: missing"),
    "annotation": (changed("a", *FIRST), "items[0].annotations[0]: 'a' is no object"),
    "type": (changed(None, *FIRST, "type"), "items[0].annotations[0].type: None is no text"),
    "label id": (changed(2, *FIRST, "label_id"), "label_id: 2 is none of categories.label.labels"),
    "group": (changed("a", *FIRST, "group"), "items[0].annotations[0].group: 'a' is no number"),
    "points": (changed(["a"], *FIRST, "points"), "annotations[0].points: ['a'] is no list of"),
    "odd points": (changed([1, 2, 3], *FIRST, "points"), "items[0].annotations[0]: [[1, 2, 3]] is"),
    "rle": (changed("mask", *FIRST, "type"), "items[0].annotations[0].rle: None is no object"),
    "action": (changed({"action": [3]}, *FIRST, "attributes"), "attributes.action: [3] is no text"),
    "a group that is none": (changed([], *FIRST, "group"), "items[0].annotations[0].group"),
    "size": (changed([6], "items", 0, "image", "size"), "items[0].image.size: [6] is no"),
    "frame twice": (
        document(item(0, polygon(SQUARE)), item(0, polygon(SQUARE))),
        "items[1]: frame 1 is also items[0]",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_one_clear_error(read, case):
    content, expected = DAMAGED[case]
    with pytest.raises(InputError) as caught:
        read(content)
    assert "default.json: " in str(caught.value) and expected in str(caught.value)


def test_it_is_recognised_by_its_keys():
    assert datumaro.matches(document())
    for other in ([], {}, None, {"items": []}, {"items": [], "categories": []}):
        assert not datumaro.matches(other)
