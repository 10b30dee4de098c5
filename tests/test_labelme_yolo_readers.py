"""LabelMe's JSON and YOLO's text files: literals, and damaged files."""

import base64
import copy
import json
import math

import cv2
import numpy as np
import pytest

from a2d_tf.annotations import read_labelme as labelme
from a2d_tf.annotations import read_yolo as yolo
from a2d_tf.annotations import shapes
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Instance, ReadOptions
from a2d_tf.core.errors import InputError
from a2d_tf.data.segmentations import decode_mask

SQUARE = [[1, 1, 9, 1, 9, 7, 1, 7]]
POINTS = [[1, 1], [9, 1], [9, 7], [1, 7]]
BITMAP = np.array([[0, 1], [1, 1], [1, 0]], np.uint8)


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Container(folder)


def area(*parts, size=(40, 60)):
    return int(sum(decode_mask(part, *size).sum() for part in parts))


# Shapes


def test_a_bitmap_becomes_the_rle_of_its_image():
    rle = shapes.bitmap(BITMAP != 0, left=3, top=1, size=(5, 6))
    assert rle == {"size": [5, 6], "counts": [17, 2, 2, 2, 7]}
    expected = np.zeros((5, 6), bool)
    expected[1:4, 3:5] = BITMAP
    np.testing.assert_array_equal(decode_mask(rle, 5, 6), expected)
    whole = shapes.bitmap(np.ones((2, 3), bool), 0, 0, (2, 3))
    assert decode_mask(whole, 2, 3).all() and sum(whole["counts"]) == 6
    for left, top in ((-1, 0), (0, -1), (5, 0), (0, 3)):
        with pytest.raises(InputError, match="leaves the image of 6x5"):
            shapes.bitmap(BITMAP != 0, left, top, (5, 6))


def test_an_ellipse_has_its_area_and_its_turn():
    upright = decode_mask([shapes.ellipse(30, 20, 8, 16)], 40, 60)
    turned = decode_mask([shapes.ellipse(30, 20, 16, 8, angle=math.pi / 2)], 40, 60)
    assert abs(int(upright.sum()) - math.pi * 8 * 16) < 8
    assert (upright != turned).sum() <= 4
    leaning = shapes.ellipse(0, 0, 10, 1, angle=math.pi / 6)
    np.testing.assert_allclose(leaning[:2], [10 * math.cos(math.pi / 6), 5])  # from x to y


# LabelMe


def png(values=BITMAP):
    return base64.b64encode(cv2.imencode(".png", values)[1].tobytes()).decode()


def shape(label="mouse-run", points=POINTS, kind="polygon", **fields):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **fields}


def of_labelme(*shapes, path="00005.jpg", **fields):
    size = {"imageHeight": 8, "imageWidth": 10}
    return {"version": "6.3.1", "shapes": list(shapes), "imagePath": path, **size, **fields}


def read_labelme(folder, content, name="clip1/00005.json"):
    assert labelme.matches(content)
    container = write(folder, {name: json.dumps(content)})
    return labelme.read(name, content, container, ReadOptions())


def test_labelme_joins_the_shapes_of_a_group(tmp_path):
    mask = shape("wheel-turn", [[3.0, 1.0], [4.0, 3.0]], "mask", mask=png())
    content = of_labelme(
        shape(group_id=0),
        mask,
        shape(group_id=0),
        shape("mouse-rest", group_id=0),
        shape(),
        shape(),
    )
    (document,) = read_labelme(tmp_path, content)
    rle = {"size": [8, 10], "counts": [26, 2, 5, 2, 45]}
    assert document.frames == (
        AnnotatedFrame(
            "clip1",
            5,
            (8, 10),
            (
                Instance("mouse-run", (SQUARE, SQUARE), "shapes[0]"),
                Instance("wheel-turn", (rle,), "shapes[1]"),
                Instance("mouse-rest", (SQUARE,), "shapes[3]"),
                Instance("mouse-run", (SQUARE,), "shapes[4]"),
                Instance("mouse-run", (SQUARE,), "shapes[5]"),
            ),
            "imagePath",
        ),
    )
    assert document.path == tmp_path / "clip1/00005.json"
    assert (document.format, document.numbering, document.left_out) == ("labelme", "names", {})


def test_labelme_shapes_without_area_are_left_out(tmp_path):
    point, line = shape(points=[[1, 1]], kind="point"), shape(points=[[1, 1], [2, 2]], kind="line")
    (document,) = read_labelme(tmp_path, of_labelme(point, line, shape(shape_type=None)))
    assert [i.where for i in document.frames[0].instances] == ["shapes[2]"]
    assert document.left_out == {"shapes of type 'point'": 1, "shapes of type 'line'": 1}
    (document,) = read_labelme(tmp_path, of_labelme(point))
    assert document.frames == () and sum(document.left_out.values()) == 2
    (document,) = read_labelme(tmp_path, of_labelme())
    assert [frame.instances for frame in document.frames] == [()]  # annotated, and empty


def test_labelme_circles_and_rectangles(tmp_path):
    circle = shape(points=[[30, 20], [33, 24]], kind="circle")
    box = shape(points=[[9, 7], [1, 2]], kind="rectangle")
    content = of_labelme(circle, box, imageHeight=40, imageWidth=60)
    first, second = read_labelme(tmp_path, content)[0].frames[0].instances
    assert second.parts == ([[9, 7, 1, 7, 1, 2, 9, 2]],)
    assert abs(area(*first.parts) - math.pi * 25) < 3 and area(*second.parts) == 40


@pytest.mark.parametrize(
    "path, name, video, number",
    [
        ("00005.jpg", "clip1/00005.json", "clip1", 5),
        ("00005.jpg", "x.json", None, 5),
        (r"..\images\clip2\00007.jpg", "labels/a.json", "clip2", 7),
        ("../../00007.jpg", "clip1/a.json", None, 7),
        ("../00007.jpg", "clip1/labels/a.json", "clip1", 7),
        (r"C:\lab\clip3\00007.jpg", "labels/a.json", "clip3", 7),
        ("/lab/clip3/00007.jpg", "labels/a.json", "clip3", 7),
        ("clip4_00007.jpg", "a.json", "clip4", 7),
        ("cat.jpg", "clip5/00008.json", "clip5", 8),
        (None, "clip5_00008.json", "clip5", 8),
    ],
)
def test_labelme_frames_are_named_by_the_image_or_the_file(tmp_path, path, name, video, number):
    (frame,) = read_labelme(tmp_path, of_labelme(shape(), path=path), name)[0].frames
    assert (frame.video, frame.number) == (video, number)


MASK = {"points": [[3, 1], [4, 3]], "kind": "mask"}


@pytest.mark.parametrize(
    "content, message",
    [
        (of_labelme() | {"shapes": None}, "shapes: missing"),
        (of_labelme(3), r"shapes\[0\]: 3 is no object"),
        (of_labelme(shape(None)), r"shapes\[0\].label: None is no text"),
        (of_labelme(shape(points=None)), r"shapes\[0\].points: missing"),
        (
            of_labelme(shape(points=[[1, 2, 3]])),
            r"shapes\[0\].points\[0\]: .* no list of 2 numbers",
        ),
        (of_labelme(shape(points=[[1, math.nan]])), r"points\[0\]: .* no list of 2 numbers"),
        (of_labelme(shape(points=POINTS[:2])), "a polygon of 2 points; draw three or more"),
        (of_labelme(shape(kind="circle")), "a circle has two points, not 4"),
        (of_labelme(shape(**MASK, mask=None)), r"shapes\[0\].mask: no PNG in base64"),
        (of_labelme(shape(**MASK, mask="né")), r"shapes\[0\].mask: no PNG in base64"),
        (of_labelme(shape(**MASK, mask="AAAA")), r"shapes\[0\].mask: no PNG"),
        (of_labelme(shape(**MASK, mask=png()[:-16])), "truncated PNG"),
        (of_labelme(shape(**MASK, mask=png(BITMAP.T))), "is 3x2, but 'points' span 2x3"),
        (of_labelme(shape(points=[[9, 6], [10, 8]], kind="mask", mask=png())), "leaves the image"),
        (of_labelme(shape(), imageHeight=-8), "imageHeight: -8 is no size"),
        (
            of_labelme(shape(**MASK, mask=png()), imageHeight=None, imageWidth=None),
            "imageHeight: mi",
        ),
    ],
)
def test_labelme_damaged_files(tmp_path, content, message):
    with pytest.raises(InputError, match=f"00005.json: .*{message}"):
        read_labelme(tmp_path, content)


def test_labelme_without_a_number_anywhere(tmp_path):
    with pytest.raises(InputError, match="a.json: imagePath: 'cat.jpg' names no frame"):
        read_labelme(tmp_path, of_labelme(path="cat.jpg"), "a.json")


def test_other_files_are_not_taken_for_labelme():
    others = [{}, [], None, {"images": [], "annotations": []}, {"a": {"filename": "b"}}, {"a": 3}]
    assert not any(map(labelme.matches, others))


# YOLO

TRIANGLE = "0.1 0.2 0.5 0.2 0.5 0.75"
POLYGON = [[0.1, 0.2, 0.5, 0.2, 0.5, 0.75]]
YAML = "# by a tool\nnames:\n  0: mouse-run\n  1: 'no'\npath: .\ntrain: train.txt\n"
FILES = {
    "data.yaml": YAML,
    "train.txt": "data/images/train/clip1/00005.jpg\ndata/images/train/clip1/00006.jpg\n",
    "labels/train/clip1/00005.txt": f"0 {TRIANGLE}\n\n1 {TRIANGLE}\n",
    "labels/train/clip1/00009.txt": "",
    "images/train/clip1/00007.PNG": "",
    "labels/classes.txt": "mouse-run",
}


def read_yolo(folder, files=FILES, name="data.yaml", **options):
    container = write(folder, files)
    assert yolo.matches(container.read(name))
    return yolo.read(name, container.read(name), container, ReadOptions(**options))


def numbers(document):
    return [(frame.video, frame.number, len(frame.instances)) for frame in document.frames]


def test_yolo_lines_are_instances_in_shares_of_the_image(tmp_path):
    (document,) = read_yolo(tmp_path)
    text = "labels/train/clip1/00005.txt"
    instances = (
        Instance("mouse-run", (POLYGON,), f"{text}: line 1"),
        Instance("no", (POLYGON,), f"{text}: line 3"),
    )
    first, second = document.frames
    assert first == AnnotatedFrame("clip1", 5, (1, 1), instances, text, scaled=True)
    assert (second.number, second.instances) == (9, ())  # an empty file says that nothing is there
    assert document.path == tmp_path / "data.yaml"
    assert (document.format, document.numbering) == ("yolo", "names")
    assert document.left_out == {"images without a text file": 2}
    (document,) = read_yolo(tmp_path, empty_frames=True)
    assert numbers(document) == [("clip1", 5, 2), ("clip1", 6, 0), ("clip1", 7, 0), ("clip1", 9, 0)]


@pytest.mark.parametrize(
    "path, video",
    [
        ("labels/train/clip1_00005.txt", "clip1"),
        ("labels/Val/clip1/00005.txt", "clip1"),
        ("labels/night/clip1/00005.txt", "clip1"),
        ("labels/night/00005.txt", None),
        ("labels/clip1/00005.txt", "clip1"),
        ("train/labels/clip1_00005.txt", "clip1"),
    ],
)
def test_yolo_subsets_are_not_videos(tmp_path, path, video):
    yaml = "names: [mouse-run]\ntrain: x\nnight: night.txt\nnc: 1\n"
    (document,) = read_yolo(
        tmp_path, {"set/data.yaml": yaml, f"set/{path}": f"0 {TRIANGLE}"}, "set/data.yaml"
    )
    assert numbers(document) == [(video, 5, 1)]


def test_yolo_of_a_video_that_cvat_numbers(tmp_path):
    files = {
        "data.yaml": YAML,
        "train.txt": "data/images/train/frame_000005.PNG\n",
        "labels/train/frame_000005.txt": f"0 {TRIANGLE}",
    }
    (document,) = read_yolo(tmp_path, files)
    assert numbers(document) == [(None, 6, 1)] and document.numbering == "video"
    del files["train.txt"]
    with pytest.raises(InputError, match="frame_000005.txt: name: CVAT counts such names from 0"):
        read_yolo(tmp_path / "without", files)


def test_yolo_without_a_frame_says_what_is_left_out(tmp_path):
    files = {"data.yaml": YAML, "labels/train/clip1/00009.txt": "0 0.5 0.5 0.1 0.1"}
    (document,) = read_yolo(tmp_path, files)
    assert document.frames == () and document.left_out["boxes without a mask"] == 1


def test_yolo_boxes_are_left_out(tmp_path):
    lines = {"labels/train/clip1/00005.txt": f"0 {TRIANGLE}\n0 0.5 0.5 0.1 0.1"}
    boxes = {"labels/train/clip1/00009.txt": "0 0.5 0.5 0.1 0.1"}
    (document,) = read_yolo(tmp_path, {**FILES, **lines, **boxes})
    assert numbers(document) == [("clip1", 5, 1)]
    assert document.left_out["boxes without a mask"] == 2
    assert document.left_out["frames with nothing but boxes"] == 1


@pytest.mark.parametrize(
    "line, message",
    [
        (f"2 {TRIANGLE}", "line 2: class '2' is not among the 'names' of data.yaml"),
        (f"mouse {TRIANGLE}", "line 2: class 'mouse' is not among"),
        (f"0 {TRIANGLE} 0.5", "line 2: 7 numbers after the class"),
        ("0", "line 2: 0 numbers after the class"),
        (f"0 {TRIANGLE} 0.5 x", "line 2: 'x' is no share of the image's side"),
        (f"0 {TRIANGLE} 0.5 nan", "line 2: 'nan' is no share"),
        (f"0 {TRIANGLE} 16 9", "line 2: '16' is no share .*from 0 to 1"),
    ],
)
def test_yolo_damaged_lines(tmp_path, line, message):
    name = "labels/train/clip1/00005.txt"
    with pytest.raises(InputError, match=f"{name}: {message}"):
        read_yolo(tmp_path, {**FILES, name: f"0 {TRIANGLE}\n{line}\n"})


@pytest.mark.parametrize(
    "files, message",
    [
        ({"data.yaml": "names: [a\n"}, "data.yaml: content: no YAML"),
        ({"data.yaml": "names: a"}, "data.yaml: names: 'a' lists no classes"),
        ({"data.yaml": "names: []"}, "data.yaml: names: .* lists no classes"),
        ({"data.yaml": "names: [a, [b]]"}, r"data.yaml: names.1: \['b'\] is no text"),
        ({"data.yaml": YAML}, "data.yaml: labels: no labels/<subset>/<image>.txt beside it"),
        ({**FILES, "labels/train/cat.txt": ""}, "labels/train/cat.txt: name: 'cat' names no frame"),
        (
            {**FILES, "labels/val/clip1/5.txt": ""},
            "labels/val/clip1/5.txt: frame 5 of 'clip1' is als",
        ),
    ],
)
def test_yolo_damaged_sets(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        read_yolo(tmp_path, copy.deepcopy(files))


def test_other_yaml_is_not_taken_for_yolo():
    assert not yolo.matches(b"path: names\nclasses: [a]\n")
