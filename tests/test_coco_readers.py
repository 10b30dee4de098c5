"""COCO as CVAT, Roboflow, Label Studio and others write it: literals, and damaged files."""

import copy
import json

import pytest

from a2d_tf.annotations import read_coco as coco
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Instance, ReadOptions
from a2d_tf.core.errors import InputError

SQUARE = [[1, 1, 9, 1, 9, 7, 1, 7]]
RLE = {"size": [8, 10], "counts": [3, 4, 73]}


def image(identity, name, **fields):
    return {"id": identity, "file_name": name, "height": 8, "width": 10, **fields}


def drawn(image_id, category_id=1, segmentation=SQUARE, **fields):
    return {
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": segmentation,
        "iscrowd": 0,
        **fields,
    }


def content(images, annotations, names=("mouse", "wheel"), first=1, **fields):
    categories = [{"id": k, "name": name} for k, name in enumerate(names, first)]
    return {"images": images, "annotations": annotations, "categories": categories, **fields}


def read(folder, coco_json, **options):
    path = folder / "instances_default.json"
    path.write_text(json.dumps(coco_json))
    assert coco.matches(coco_json)
    return coco.read(path.name, coco_json, Container(path), ReadOptions(**options))


def found(document):
    """What a document says of each frame: (video, number, labels)."""
    return [(f.video, f.number, [i.label for i in f.instances]) for f in document.frames]


def cvat():
    """A track of keyframes 0 and 2, in a video of 4 frames; a mask drawn on the last but one."""
    images = [image(i + 1, f"frame_{i:06d}.PNG") for i in range(4)]
    track = [
        drawn(i + 1, attributes={"action": "run", "track_id": 7, "keyframe": i != 1})
        for i in range(3)
    ]
    mask = drawn(3, 2, RLE, iscrowd=1, attributes={"action": "turn", "occluded": False})
    return content(images, [*track, mask])


def test_attributes_name_actors_and_actions(tmp_path):
    mouse = drawn(1, attributes={"actor": "mouse", "action": "run"})
    seventh = drawn(1, attributes={"actor": 7, "action": " "})
    (document,) = read(tmp_path, content([image(1, "frame_000000.PNG")], [mouse, seventh]))
    assert [(i.label, i.actor, i.action) for i in document.frames[0].instances] == [
        ("mouse", "mouse", "run"),
        ("mouse", "7", None),
    ]


def test_cvat_numbers_frames_from_zero_and_marks_keyframes(tmp_path):
    (document,) = read(tmp_path, cvat())
    mouse = {"label": "mouse", "parts": (SQUARE,), "action": "run", "track": 7}
    wheel = Instance("wheel", (RLE,), "annotations[3]", action="turn")
    assert document.frames == (
        AnnotatedFrame(None, 1, (8, 10), (Instance(where="annotations[0]", **mouse),), "images[0]"),
        AnnotatedFrame(
            None, 3, (8, 10), (Instance(where="annotations[2]", **mouse), wheel), "images[2]"
        ),
    )
    assert document.format == "coco" and document.path == tmp_path / "instances_default.json"
    assert document.numbering == "video" and document.frame_count == 4
    assert "frame_000005 is frame 6" in document.explanation
    assert document.left_out == {"interpolated frames": 1, "frames without annotations": 1}


def test_options_say_which_frames_and_shapes_count(tmp_path):
    labels = {1: ["mouse"], 2: ["mouse"], 3: ["mouse", "wheel"], 4: []}
    for options, numbers in (
        ({"interpolated": True}, (1, 2, 3)),
        ({"empty_frames": True}, (1, 3, 4)),
    ):
        (document,) = read(tmp_path, cvat(), **options)
        assert found(document) == [(None, number, labels[number]) for number in numbers]
    (document,) = read(tmp_path, cvat(), crowds=True)
    assert found(document) == [(None, 1, ["mouse"]), (None, 3, ["mouse"])]
    assert document.left_out["crowds"] == 1


def test_every_second_frame_does_not_tell_the_number_of_frames(tmp_path):
    images = [image(i, f"frame_{i:06d}.PNG") for i in (0, 2, 4)]
    (document,) = read(tmp_path, content(images, [drawn(4)]))
    assert found(document) == [(None, 5, ["mouse"])] and document.frame_count is None


@pytest.mark.parametrize(
    "name, video, number",
    [
        ("clip1/00005.jpg", "clip1", 5),
        (r"lab\clip1\00005.jpg", "clip1", 5),
        ("clip1/frame_000005.PNG", "clip1", 5),
        ("frame_000005.png", None, 5),
        ("images/default/clip1/00000.jpg", "clip1", 0),
        ("images/00005.jpg", None, 5),
        ("clip1_00005.jpg", "clip1", 5),
    ],
)
def test_images_of_the_user_keep_their_numbers(tmp_path, name, video, number):
    (document,) = read(tmp_path, content([image("a", name)], [drawn("a")]))
    assert found(document) == [(video, number, ["mouse"])]
    assert document.numbering == "names" and document.frame_count is None


def test_images_of_both_kinds_are_two_documents(tmp_path):
    images = [
        image(1, "clip1/00005.jpg"),
        image(2, "frame_000005.PNG"),
        image(3, "clip1/00009.jpg"),
    ]
    documents = read(tmp_path, content(images, [drawn(1), drawn(2)]))
    assert [(d.numbering, found(d)) for d in documents] == [
        ("names", [("clip1", 5, ["mouse"])]),
        ("video", [(None, 6, ["mouse"])]),
    ]
    assert [d.left_out for d in documents] == [{"frames without annotations": 1}, {}]


def test_attributes_of_other_types(tmp_path):
    """CVAT writes numbers where an action looks like one; an empty one is none."""
    values = [
        {"action": 3},
        {"action": " "},
        {"action": None, "track_id": "7"},
        None,
        {"action": True},
    ]
    annotations = [drawn(1, attributes=value) for value in values]
    (document,) = read(tmp_path, content([image(1, "a/1.jpg")], annotations))
    instances = document.frames[0].instances
    assert [instance.action for instance in instances] == ["3", None, None, None, None]
    assert {instance.track for instance in instances} == {None}


def test_annotations_without_masks_are_left_out(tmp_path):
    images = [image(1, "a/1.jpg"), image(2, "a/2.jpg")]
    annotations = [drawn(1), drawn(1, 2, []), drawn(2, 2, None, bbox=[0, 0, 4, 4])]
    (document,) = read(tmp_path, content(images, annotations), empty_frames=True)
    assert found(document) == [("a", 1, ["mouse"])]  # what is on frame 2 is not known
    assert document.left_out == {
        "annotations without a mask": 2,
        "frames with nothing but such annotations": 1,
    }


def test_a_polygon_may_stand_without_its_list(tmp_path):
    (document,) = read(tmp_path, content([image(1, "a/1.jpg")], [drawn(1, 1, SQUARE[0])]))
    assert document.frames[0].instances[0].parts == (SQUARE,)


def roboflow(*names, annotations=None, **fields):
    annotations = [drawn(0, 2)] if annotations is None else annotations
    images = [image(i, name, **fields) for i, name in enumerate(names)]
    categories = ("cage-things", "mouse-rest", "mouse-run")
    return content(images, annotations, categories, first=0)


HASHES = "a72336164157d2fe122c6e14ecab224c", "Zq81kfjw20XbEaM3"


def test_roboflow_counts_sampled_frames_and_stretches_them(tmp_path):
    names = [f"clip-1_mp4-{n}_jpg.rf.{HASHES[n > 0]}.jpg" for n in (0, 4)]
    for step, numbers in ((1, (1, 5)), (10, (1, 41))):
        (document,) = read(tmp_path, roboflow(*names), frame_step=step)
        frames = document.frames
        assert [(f.video, f.number) for f in frames] == [("clip-1", number) for number in numbers]
        assert frames[0].instances == (Instance("mouse-run", (SQUARE,), "annotations[0]"),)
        assert frames[1].instances == () and document.left_out == {}
        assert [(f.size, f.scaled) for f in frames] == [((8, 10), True)] * 2
        assert document.numbering == "video" and "--frame_step" in document.explanation
        assert f"clip_mp4-5.jpg is frame {5 * step + 1} " in document.explanation


def test_roboflow_keeps_uploaded_names(tmp_path):
    upload = roboflow(f"x_jpg.rf.{HASHES[0]}.jpg", extra={"name": "clip1_MOV-0007.jpg"})
    assert found(*read(tmp_path, upload)) == [("clip1", 8, ["mouse-run"])]
    (document,) = read(tmp_path, roboflow(f"clip1_00005_png.rf.{HASHES[0]}.jpg"))
    assert found(document) == [("clip1", 5, ["mouse-run"])] and document.numbering == "names"


def test_roboflow_augmentation_is_refused(tmp_path):
    names = [f"clip1_mp4-5_jpg.rf.{name}.jpg" for name in HASHES]
    with pytest.raises(
        InputError, match=r"images\[1\]: frame 6 of 'clip1' is also images\[0\].*augm"
    ):
        read(tmp_path, roboflow(*names))


def label_studio(names, annotations, **fields):
    info = {"contributor": "Label Studio"}
    return content([image(i, n, **fields) for i, n in enumerate(names)], annotations, info=info)


@pytest.mark.parametrize(
    "name, video",
    [
        ("../../label-studio/data/media/upload/1/204292eb-clip1_00003.jpg", "clip1"),
        ("images/204292eb__clip1_00003.jpg", "clip1"),
        (r"images\clip1_00003.jpg", "clip1"),
        ("204292eb-deadbeef-clip_00003.jpg", "deadbeef-clip"),
        ("204292eb-00003_00003.jpg", "00003"),
    ],
)
def test_label_studio_names(tmp_path, name, video):
    (document,) = read(tmp_path, label_studio([name], [drawn(0)]))
    assert found(document) == [(video, 3, ["mouse"])] and document.numbering == "names"
    assert not document.frames[0].scaled


def test_label_studio_is_recognised_by_names_too(tmp_path):
    images = [image(i, f"0a1b2c3{i}-clip1_00003.jpg".replace("3.", f"{i}.")) for i in (4, 5)]
    (document,) = read(tmp_path, content(images, [drawn(4)]))
    assert found(document) == [("clip1", 4, ["mouse"]), ("clip1", 5, [])]


def test_label_studio_lists_only_what_was_submitted(tmp_path):
    names = ["0a1b2c3d-clip1_00003.jpg", "0a1b2c3e-clip1_00004.jpg"]
    sizeless = label_studio(names, [drawn(0)])
    sizeless["images"][1].update(width=None, height=None)
    frames = read(tmp_path, sizeless)[0].frames
    assert [(f.number, f.size, len(f.instances)) for f in frames] == [(3, (8, 10), 1), (4, None, 0)]


def test_label_studio_outlines_of_a_line_of_pixels_have_no_area(tmp_path):
    lines = [[[3, 3, 3, 6, 3, 5]], [[3, 3, 4, 4]], [[3, 3, 4, 4], *SQUARE]]
    annotations = [drawn(0, 1, line) for line in lines]
    (document,) = read(tmp_path, label_studio(["0a1b2c3d-clip1_00003.jpg"], annotations))
    assert [i.where for i in document.frames[0].instances] == ["annotations[2]"]
    assert document.left_out == {"polygons without an area": 2, "parts of one or two points": 1}
    assert document.frames[0].instances[0].parts == (SQUARE,)


@pytest.mark.parametrize("name", ["0a1b2c3d-00003.jpg", "clip1/00003.jpg", "0a1b2c3d-frame_3.jpg"])
def test_label_studio_without_the_video_in_the_name(tmp_path, name):
    with pytest.raises(InputError, match="images.0..file_name.*<video>_<number>.jpg before the im"):
        read(tmp_path, label_studio([name], [drawn(0)]))


def changed(*path, value):
    """CVAT's content with one field changed, or removed where the value is `...`."""
    broken = copy.deepcopy(cvat())
    entry = broken
    for key in path[:-1]:
        entry = entry[key]
    if value is ...:
        del entry[path[-1]]
    else:
        entry[path[-1]] = value
    return broken


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("categories",), ..., "categories: missing"),
        (("categories",), {}, "categories: missing, or not a list"),
        (("images", 1), 5, r"images\[1\]: 5 is no object"),
        (("images", 0, "id"), ..., r"images\[0\].id: None is no number"),
        (("images", 1, "id"), 1, r"images\[1\].id: 1 is also that of images\[0\]; ids are unique"),
        (("images", 0, "width"), "10", r"images\[0\].width: '10' is no size"),
        (("images", 0, "height"), 10**6, r"images\[0\].height: 1000000 is no size"),
        (("images", 0, "height"), None, r"images\[0\].height: None is no size"),
        (("images", 0, "file_name"), ..., r"images\[0\].file_name: None is no text"),
        (("images", 0, "file_name"), "cat.jpg", "'cat.jpg' names no frame.*<video>/<number>.jpg"),
        (
            ("images", 0, "file_name"),
            "frame_000002.PNG",
            r"images\[2\]: frame 3 is also images\[0\]",
        ),
        (("annotations", 0), [], r"annotations\[0\]: \[\] is no object"),
        (("annotations", 0, "image_id"), 99, r"annotations\[0\].image_id: 99 is not listed"),
        (("annotations", 0, "image_id"), [1], r"annotations\[0\].image_id: \[1\] is not listed"),
        (("annotations", 0, "category_id"), 0, r"annotations\[0\].category_id: 0 is not listed"),
        (("categories", 0, "name"), "", r"categories\[0\].name: '' is no text"),
    ],
)
def test_damaged_files(tmp_path, path, value, message):
    with pytest.raises(InputError, match=f"instances_default.json: .*{message}"):
        read(tmp_path, changed(*path, value=value))


def test_boxes_alone_are_refused(tmp_path):
    boxes = [drawn(1, segmentation=[], bbox=[1, 1, 4, 4]), drawn(1, segmentation=[])]
    with pytest.raises(InputError, match="annotations: none has a mask .*draw polygons or masks"):
        read(tmp_path, content([image(1, "a/1.jpg")], boxes))


def test_other_files_are_not_taken_for_coco():
    ours = {"images": [], "annotations": [{"actor": "a", "action": "b"}, {}]}
    no_coco = [
        ours,
        {**ours, "categories": []},
        {"images": [], "annotations": []},
        [],
        "coco",
        None,
    ]
    no_coco += [
        {"videos": [], "images": [], "annotations": [{}]},
        {"images": 3, "annotations": [{}]},
    ]
    assert not any(map(coco.matches, no_coco))
    assert coco.matches({"images": [], "annotations": [None]})
    assert coco.matches({"images": [], "annotations": [], "categories": []})
