"""CVAT's XML: tasks, jobs, projects and images, whole and damaged."""

import numpy as np
import pytest

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.core.errors import InputError
from a2d_tf.data.segmentations import decode_parts

TASK = """<task><id>7</id><name>anything</name><size>10</size><mode>interpolation</mode>
<start_frame>0</start_frame><stop_frame>9</stop_frame><frame_filter></frame_filter>
<original_size><width>8</width><height>6</height></original_size><source>yard.one.mp4</source></task>
"""
SQUARE = "1.00,1.00;3.00,1.00;3.00,3.00;1.00,3.00"  # 4 pixels
WIDE = "0.00,4.00;8.00,4.00;8.00,6.00;0.00,6.00"  # 16 pixels


def document(*elements, meta=TASK):
    head = f"<version>1.1</version><meta>{meta}</meta>"
    return f"<annotations>{head}{''.join(elements)}</annotations>"


def polygon(frame, action=None, points=SQUARE, keyframe=1, outside=0, **more):
    attribute = f'<attribute name="action">{action}</attribute>' if action else ""
    place = f'frame="{frame}" keyframe="{keyframe}" outside="{outside}"'
    more = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<polygon {place} points="{points}"{more}>{attribute}</polygon>'


def track(number, *shapes, label="mouse", **more):
    more = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<track id="{number}" label="{label}"{more}>{"".join(shapes)}</track>'


@pytest.fixture
def read(tmp_path):
    def of(text, **options):
        (tmp_path / "annotations.xml").write_text(text, encoding="utf-8")
        options = ReadOptions(format_name="cvat", **options)
        return read_export(tmp_path / "annotations.xml", options)

    return of


def described(document):
    """{frame number: [(label, action, track), ...]} of a document."""
    return {
        frame.number: [(x.label, x.action, x.track) for x in frame.instances]
        for frame in document.frames
    }


def test_keyframes_are_annotated_with_all_visible_shapes_and_the_rest_by_option(read):
    text = document(
        track(
            0,
            polygon(2, "run"),
            polygon(3, "run", keyframe=0),
            polygon(4, "rest"),
            polygon(5, "rest", outside=1),
        ),
        track(
            4,
            polygon(3, "turn", keyframe=0),
            polygon(4, "turn", keyframe=0),
            label="wheel",
        ),
    )
    (found,) = read(text)
    seen = described(found)
    assert seen == {
        3: [("mouse", "run", 0)],
        5: [("mouse", "rest", 0), ("wheel", "turn", 4)],
    }
    assert found.left_out == {
        "frames with interpolated shapes only": 1,
        "frames without shapes, possibly not annotated": 1,
    }
    first = found.frames[0]
    assert (found.format, first.numbering.kind, found.frame_count) == (
        "cvat",
        "video",
        10,
    )
    assert (first.video, first.size, first.split, first.scaled) == (
        "yard.one",
        (6, 8),
        None,
        False,
    )
    (instance,) = first.instances
    assert instance.parts == ([[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]],)
    assert instance.where.endswith('annotations.xml: <track id="0">, frame="2"')

    (found,) = read(text, interpolated=True)
    assert described(found)[4] == [("mouse", "run", 0), ("wheel", "turn", 4)]
    (found,) = read(text, interpolated=True, empty_frames=True)
    assert described(found)[6] == [] and found.left_out == {}


def test_runs_of_a_mask_go_row_by_row_through_its_box(read):
    box = 'left="2" top="1" width="4" height="3"'
    mask = f'<mask frame="3" keyframe="1" outside="0" rle="0, 4, 3, 1, 1, 3" {box}/>'
    (found,) = read(document(track(0, mask)))
    (instance,) = found.frames[0].instances
    np.testing.assert_array_equal(
        decode_parts(instance.parts, (6, 8), (6, 8)).astype(int),
        [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 1, 0, 0],
            [0, 0, 0, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
        ],
    )


def test_a_shape_of_one_frame_has_no_track_and_its_end_annotates_nothing(read):
    meta = TASK.replace("<start_frame>0", "<start_frame>3").replace(
        "<frame_filter>", "<frame_filter>step=2"
    )
    text = document(
        track(0, polygon(5, "run"), polygon(7, "run", outside=1)), meta=meta
    )
    (found,) = read(text, interpolated=True, empty_frames=True)
    assert described(found) == {6: [("mouse", "run", None)]}
    assert found.frame_count is None


def test_the_ends_of_single_key_frames_annotate_nothing_however_many_there_are(read):
    text = document(
        track(
            0,
            polygon(0, "run"),
            polygon(1, "run", outside=1),
            polygon(3, "run"),
            polygon(4, "run", outside=1),
            polygon(5, "rest"),
            polygon(6, "rest", keyframe=0),
            polygon(7, "rest", outside=1),
        )
    )
    (found,) = read(text, empty_frames=True)
    assert described(found) == {
        1: [("mouse", "run", 0)],
        4: [("mouse", "run", 0)],
        6: [("mouse", "rest", 0)],
        8: [],
    }


def test_no_frame_is_empty_that_a_track_passes_between_two_key_frames(read):
    text = document(
        track(0, polygon(0, "run"), polygon(4, "run"), polygon(5, "run", outside=1)),
        track(1, polygon(0, "run"), polygon(1, "run"), polygon(2, "run", outside=1)),
    )
    (found,) = read(text, empty_frames=True)
    assert {number: len(seen) for number, seen in described(found).items()} == {
        1: 2,
        2: 1,
        5: 1,
        6: 0,
    }


def test_a_group_is_one_instance_named_by_its_largest_part(read):
    text = document(
        track(5, polygon(0, "run", WIDE), polygon(1, "run", SQUARE), group_id=9),
        track(2, polygon(0, "rest"), polygon(1, "rest", WIDE), group_id=9),
        track(6, polygon(0, "turn"), polygon(1, "turn"), label="wheel"),
        track(7, polygon(1, "turn"), label="wheel", group_id=0),
    )
    (found,) = read(text)
    assert described(found) == {
        1: [("mouse", "run", 2), ("wheel", "turn", 6)],
        2: [("mouse", "rest", 2), ("wheel", "turn", 6), ("wheel", "turn", None)],
    }
    assert decode_parts(found.frames[0].instances[0].parts, (6, 8), (6, 8)).sum() == 20
    pair = (
        track(i, polygon(4), label=label, group_id=9)
        for i, label in enumerate(["cat", "rat"])
    )
    with pytest.raises(
        InputError, match="xml: frame 5: group 9 joins 'cat' and 'rat'; parts of"
    ):
        read(document(*pair))


def test_a_group_has_the_name_that_any_of_its_parts_has(read):
    def named(name, points):
        attribute = f'<attribute name="name">{name}</attribute>'
        return polygon(0, "run", points).replace("</polygon>", attribute + "</polygon>")

    (found,) = read(
        document(
            track(1, named("", WIDE), group_id=9),
            track(2, named("3", SQUARE), group_id=9),
        )
    )
    (instance,) = found.frames[0].instances
    assert (instance.name, instance.number) == ("3", 3)
    with pytest.raises(InputError, match="frame 1: group 9 joins 'Ann' and 'Bea'; par"):
        read(
            document(
                track(1, named("Ann", WIDE), group_id=9),
                track(2, named("Bea", SQUARE), group_id=9),
            )
        )


def test_points_and_skeletons_are_counted_and_annotate_nothing(read):
    points = '<points frame="{}" keyframe="1" outside="0" points="1,1"/>'
    text = document(
        track(0, points.format(1), points.format(2), polygon(3, "run", keyframe=0)),
        track(
            1,
            '<skeleton frame="3" keyframe="1"><points label="a"'
            ' outside="0"/></skeleton>',
        ),
        track(2, polygon(2, outside=1), polygon(4), polygon(5)),
    )
    (found,) = read(text, empty_frames=True)
    assert [frame.number for frame in found.frames] == [5, 6]
    assert found.left_out == {
        "shapes <points>, which have no area": 2,
        "shapes <skeleton>, which have no area": 1,
        "frames with interpolated shapes only": 1,
    }


def project(*tasks):
    """Of (id, subset, start, size, filter, source)."""
    form = (
        "<task><id>{}</id><name>task"
        " {}.mp4</name><subset>{}</subset><start_frame>{}</start_frame>"
        "<size>{}</size><frame_filter>{}</frame_filter>{}</task>"
    )
    entries = (form.format(task[0], *task) for task in tasks)
    return f"<project><id>1</id><tasks>{''.join(entries)}</tasks></project>"


def test_frames_of_a_project_run_on_through_the_tasks_of_a_subset(read):
    meta = project(
        (12, "Train", 0, 10, "", "<source>c.mp4</source>"),
        (9, "Train", 4, 5, "step=3", "<source>b.mp4</source>"),
        (8, "Test", 0, 7, "", "<source>a.mp4</source>"),
        (10, "Test", 0, 7, "", ""),
    )
    text = document(
        track(0, polygon(3), task_id=8),
        track(1, polygon(7 + 6), task_id=10),
        track(2, polygon(4 + 12), task_id=9),
        track(3, polygon(4 + 15 + 9), task_id=12),
        meta=meta,
    )
    found = {
        (frame.video, frame.number, frame.split)
        for each in read(text)
        for frame in each.frames
    }
    assert found == {
        ("a", 4, "test"),
        ("b", 17, "train"),
        ("c", 10, "train"),
        ("task 10", 7, "test"),
    }

    other = text.replace("<subset>Test", "<subset>Holdout")
    assert {frame.split for each in read(other) for frame in each.frames} == {None}
    for frame, task in ((4 + 15 + 10, 12), (5, 9)):
        wrong = document(track(2, polygon(frame), task_id=task), meta=meta)
        with pytest.raises(
            InputError,
            match=f'<track id="2">, frame="{frame}": frame {frame} is not in its task',
        ):
            read(wrong)
    with pytest.raises(
        InputError, match=r"<track id=\"0\">, task_id: '77' is not listed"
    ):
        read(document(track(0, polygon(3), task_id=77), meta=meta))


@pytest.mark.parametrize("inside", [True, False])
def test_a_job_has_no_name_and_any_part_of_the_frames(read, inside):
    size = "<original_size><width>8</width><height>6</height></original_size>"
    job = "<id>3</id><size>5</size><start_frame>20</start_frame>"
    meta = f"<job>{job}{size}</job>" if inside else f"<job>{job}</job>{size}"
    (found,) = read(document(track(0, polygon(21), polygon(22)), meta=meta))
    seen = [(x.video, x.number, x.size) for x in found.frames]
    assert seen == [(None, 22, (6, 8)), (None, 23, (6, 8))]
    assert found.frame_count is None


def image(number, name, *shapes):
    return (
        f'<image id="{number}" name="{name}" width="8"'
        f' height="6">{"".join(shapes)}</image>'
    )


def test_images_of_a_video_are_numbered_by_their_id(read):
    shape = f'<polygon label="mouse" points="{SQUARE}" group_id="1"/>'
    wide = f'<polygon label="mouse-run" points="{WIDE}" group_id="1"/>'
    points = '<points label="mouse" points="1,1"/>'
    images = [
        image(2, "frame_000002", shape, wide),
        image(3, "frame_000003", '<tag label="blurred"/>'),
        image(4, "frame_000004", points),
    ]
    text = document(*images)
    (found,) = read(text)
    assert described(found) == {3: [("mouse-run", None, None)]}
    assert (
        found.frames[0].video == "yard.one"
        and found.frames[0].numbering.kind == "video"
    )
    assert found.left_out == {
        "shapes <points>, which have no area": 1,
        "frames without shapes, possibly not annotated": 1,
    }
    (found,) = read(text, empty_frames=True)
    assert described(found) == {3: [("mouse-run", None, None)], 4: []}
    (found,) = read(document(*images, meta=""))
    assert [(x.video, x.number) for x in found.frames] == [(None, 3)]


def test_images_of_the_users_keep_their_numbers(read):
    shape = f'<polygon label="mouse-run" points="{SQUARE}"/>'
    meta = "<task><id>3</id><name>x</name><size>2</size><mode>annotation</mode></task>"
    images = (
        image(0, r"clip\00005.jpg", shape),
        image(1, "clip/frame_000010.png", shape),
    )
    (found,) = read(
        document(
            *images, meta=meta.replace("<size>", "<start_frame>0</start_frame><size>")
        )
    )
    assert [(x.video, x.number) for x in found.frames] == [("clip", 5), ("clip", 10)]
    assert (found.frames[0].numbering.kind, found.frame_count) == ("names", None)
    with pytest.raises(
        InputError, match=r'<image id="4">: \'yard.jpg\' has no frame number'
    ):
        read(document(image(4, "yard.jpg", shape), meta=""))


def test_masks_of_one_group_are_one_track(read):
    """As our own export writes them: CVAT has no tracks of masks."""
    masks = [
        track(i, polygon(i), polygon(i + 1, outside=1), group_id=7) for i in (1, 3, 5)
    ]
    alone = [
        track(8, polygon(1, points=WIDE), group_id=9),
        track(9, polygon(3, points=WIDE)),
    ]
    (found,) = read(document(*masks, *alone))
    assert described(found) == {
        2: [("mouse", None, 1), ("mouse", None, None)],
        4: [("mouse", None, 1), ("mouse", None, None)],
        6: [("mouse", None, 1)],
    }


def test_an_ellipse_turns_about_its_centre(read):
    ellipse = '<ellipse label="wheel" cx="20" cy="15" rx="12" ry="4" rotation="90.00"/>'
    frame = f'<image id="0" name="a/1.jpg" width="40" height="30">{ellipse}</image>'
    (found,) = read(document(frame, meta=""))
    inside = decode_parts(found.frames[0].instances[0].parts, (30, 40), (30, 40))
    assert inside.any(axis=1).nonzero()[0][[0, -1]].tolist() == [3, 26]
    assert inside.any(axis=0).nonzero()[0][[0, -1]].tolist() == [16, 23]
    assert inside.sum() == pytest.approx(np.pi * 12 * 4, abs=8)


def masked(runs, box='left="2" top="1" width="2" height="2"', **fields):
    return document(track(0, f'<mask frame="3" rle="{runs}" {box}/>'), **fields)


DAMAGED = [
    (document(track(0, polygon(1)))[:-30], "line 4"),
    ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///b">]>' + document("&b;"), "undefined"),
    (document(track(0, polygon(1), group_id="b")), "'group_id' is 'b'"),
    (document(track(0, polygon(1, points="1,2;3"))), '<track id="0">, frame="1"'),
    (masked("1, 2"), "4 pixels"),
    (masked("0, 4", 'left="7" top="1" width="2" height="2"'), "the image of 8x6"),
    (masked("0, 4", meta=""), "the image of 0x0"),
    (document(meta=TASK.replace("frame>0<", "frame>a<")), "meta: 'start_frame' is 'a'"),
    (document('<image id="0" name="a/1.jpg" width="8"/>'), "'height' is ''"),
]


@pytest.mark.parametrize(
    "text, expected", DAMAGED, ids=[expected for _, expected in DAMAGED]
)
def test_damage_is_one_clear_error(read, text, expected):
    with pytest.raises(InputError) as caught:
        read(text)
    assert "annotations.xml: " in str(caught.value) and expected in str(caught.value)


def listed_label(name, values, kind="select"):
    fields = (
        f"<name>Action</name><input_type>{kind}</input_type><values>{values}</values>"
    )
    attributes = f"<attributes><attribute>{fields}</attribute></attributes>"
    return f"<label><name>{name}</name>{attributes}</label>"


def test_the_labels_and_actions_that_the_tool_lists(read):
    labels = listed_label("mouse", "run\nrest") + listed_label(
        "polar-bear", "3", "number"
    )
    meta = TASK.replace("</task>", f"<labels>{labels}</labels></task>")
    (found,) = read(document(track(0, polygon(2, "run")), meta=meta))
    assert [(each.label, each.actor, each.action) for each in found.tool_labels] == [
        ("mouse", None, "run"),
        ("mouse", None, "rest"),
        ("", None, None),  # a polar-bear does any number
    ]
    assert read(document(track(0, polygon(2, "run"))))[0].tool_labels == ()
