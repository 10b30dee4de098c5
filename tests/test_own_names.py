"""Names of labels, individuals and videos that mean one thing."""

import json

import pytest
from a2d_files import encode_video
from test_annotation_formats import open_source, write
from test_coded_subjects import cvat_track, open_cvat, state, task_of_yard
from test_coding import FRAMES, TIMES, labels

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace

GUINEA_PIGS = LabelSpace.from_fields(
    {
        "actors": ["guinea"],
        "actions": ["pig"],
        "none_action": None,
        "pairs": [["guinea", "pig"]],
    }
)


@pytest.mark.parametrize(
    "action, label_space, names",
    [
        (None, None, ("guinea", "pig")),
        ("", None, ("guinea-pig", None)),
        ("__undefined__", None, ("guinea-pig", None)),
        ("__undefined__", GUINEA_PIGS, ("guinea", "pig")),
        ("run", None, ("guinea-pig", "run")),
    ],
)
def test_a_hyphen_is_part_of_the_actor_where_the_action_has_its_own_empty_place(
    action, label_space, names
):
    instance = Instance("guinea-pig", (), "here", action=action)
    assert Names(label_space=label_space).annotated_names(instance) == names


@pytest.mark.parametrize(
    "file, video",
    [
        ("20260131-clip_00001.jpg", "20260131-clip"),
        ("0a1b2c3d-clip_00001.jpg", "clip"),
        ("20269931-clip_00001.jpg", "clip"),
    ],
)
def test_a_date_before_a_name_in_label_studio_is_the_users(file, video):
    assert frame_names.parse_label_studio(file).video == video


def tracks_of(source, frame):
    return list(source.read_annotation("yard", frame).tracks)


def open_yard(folder, texts, **settings):
    if not (folder / "videos").exists():
        encode_video(folder / "videos" / "yard.mp4", FRAMES, "libx264", TIMES)
    write(folder, texts)
    return open_source(folder, folder / "videos", **settings)


RUNNING = '<attribute name="action">run</attribute>'


def running(*tracks):
    """Give the boxes of tracks the action run."""
    return [track.replace("</box>", f"{RUNNING}</box>") for track in tracks]


def test_an_individual_with_a_name_is_one_in_all_exports_of_its_video(tmp_path):
    first = running(
        cvat_track(0, 4, (0, 1), name="Ann"), cvat_track(1, 40, (0, 1), name="Bea")
    )
    second = running(
        cvat_track(0, 4, (5, 6), name="Bea"), cvat_track(1, 40, (5, 6), name="Ann")
    )
    source = open_yard(
        tmp_path,
        {
            "a.xml": task_of_yard(*first, size=5, task=1),
            "b.xml": task_of_yard(*second, size=5, start=5, task=2),
        },
    )
    assert tracks_of(source, 1) == [0, 1]
    assert tracks_of(source, 6) == [1, 0]


def test_two_of_one_name_in_a_frame_stay_two(tmp_path):
    both = running(cvat_track(0, 4, name="Ann"), cvat_track(1, 40, name="Ann"))
    source = open_yard(tmp_path, {"a.xml": task_of_yard(*both)})
    assert tracks_of(source, 1) == [0, 1]


def test_a_single_key_frame_with_a_name_has_an_identity(tmp_path):
    tracks = running(cvat_track(3, 4, (0, 1)), cvat_track(5, 40, (1,), name="Ann"))
    source = open_yard(tmp_path, {"a.xml": task_of_yard(*tracks)})
    assert tracks_of(source, 2) == [3, 4]


def test_names_that_differ_in_case_are_two_individuals(tmp_path):
    tracks = [cvat_track(0, 4, (0,), name="a1"), cvat_track(1, 40, (2,), name="A1")]
    rows = [*state("a1", "run", stop=0.4), *state("A1", "rest", stop=0.4)]
    source = open_cvat(tmp_path, {"own.xml": tracks}, rows)
    assert labels(source) == {1: ["mouse-run"], 3: ["mouse-rest"]}


def test_a_label_of_names_that_no_file_has_is_noted(tmp_path):
    names = Names({"moose": ("mouse", None), "mouse": ("rat", None)})
    texts = {"a.xml": task_of_yard(*running(cvat_track(0, 4)))}
    source = open_yard(tmp_path, texts, names=names)
    assert "--names: no label is called moose" in source.summary()


def test_a_label_twice_in_names_is_an_error(tmp_path):
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"r7": ["mouse", None], " r7 ": ["rat", None]}))
    with pytest.raises(InputError, match="names.json: ' r7 ' is there twice"):
        Names.load(path)


def test_a_video_whose_file_states_another_split_than_before_is_noted(tmp_path):
    image = {"id": 1, "file_name": "yard/00001", "width": 64, "height": 48}
    mouse = {"image_id": 1, "actor": "mouse", "action": "run", "bbox": [2, 10, 8, 10]}
    content = {"images": [{**image, "split": "train"}], "annotations": [mouse]}
    source = open_yard(
        tmp_path,
        {"own.json": json.dumps(content)},
        selection=Selection(earlier={"yard": "test"}),
    )
    assert (
        "in another split than in the earlier records, as their files state it: yard"
        in source.summary()
    )
