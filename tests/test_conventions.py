"""The conventions of tools: the table in the docs, and what readers make of files."""

import base64

import numpy as np
import pytest
from processes import ROOT
from test_annotation_formats import (
    HASH,
    OF_LABEL_STUDIO,
    OF_ROBOFLOW,
    PREDICTION,
    SIZE,
    SQUARE,
    coco,
    drawn,
    image,
    labelme,
    png,
    read,
    shape,
    track,
    vis,
    xml,
)

from a2d_tf.annotations.documents import conventions
from a2d_tf.annotations.documents.conventions import Conventions, Tracks
from a2d_tf.annotations.labels.names import NO_NAMES
from a2d_tf.annotations.readers.formats import FORMATS


def table():
    """The rows of docs/data_format.md; tools with the same conventions share one."""
    tools_of = {}
    for tool in vars(conventions).values():
        if isinstance(tool, Conventions):
            cells = (
                str(tool.first_frame),
                tool.tracks.value,
                "" if tool.tracks == Tracks.NONE else str(tool.first_track),
                "empty" if tool.lists_empty else "unknown",
            )
            tools_of.setdefault(cells, []).append(tool.tool)
    return [
        "| " + " | ".join([", ".join(tools), *cells]) + " |"
        for cells, tools in tools_of.items()
    ]


def test_the_table_in_the_docs_is_that_of_the_code():
    text = (ROOT / "docs" / "data_format.md").read_text()
    assert "\n" + "\n".join(table()) + "\n\n" in text


def test_every_format_is_in_the_docs():
    text = (ROOT / "docs" / "annotation_files.md").read_text()
    named = {name for name in FORMATS if f"(`{name}`)" in text}
    assert named == set(FORMATS)


def test_frames_are_counted_from_the_first_one_of_the_tool():
    assert conventions.CVAT.frame(0) == 1 and conventions.CVAT.number(1) == 0
    assert conventions.BORIS.frame(1) == 1 and conventions.BORIS.number(7) == 7


LABEL = [{"id": 1, "name": "cat"}]


def two_images(names, attributes, **fields):
    """COCO of two images; the first one shows a cat."""
    first, second = names
    shapes = [drawn(1, attributes={"action": "__undefined__", **attributes})]
    return {"x.json": coco([image(first), image(second, 2)], shapes, LABEL, **fields)}


OF_CVAT = {"occluded": False, "keyframe": True, "track_id": 7}
# A cat with track 7 and without action in the first frame, and nothing in the next one.
FILES = {
    conventions.CVAT: {
        "x.xml": xml(track(7, "cat", 0, 1, name="__undefined__")).replace(
            'frame="1"', 'frame="1" outside="1"'
        )
    },
    conventions.COCO_OF_CVAT: two_images(
        ["frame_000000.PNG", "frame_000001.PNG"], OF_CVAT
    ),
    conventions.COCO_OF_OURS: two_images(
        ["clip/frame_000000.PNG", "clip/frame_000001.PNG"],
        {"track_id": 7, "occluded": False},
        **PREDICTION,
    ),
    conventions.COCO_OF_LABEL_STUDIO: two_images(
        ["0a1b2c3d-clip_1.jpg", "0a1b2c3d-clip_2.jpg"], {}, **OF_LABEL_STUDIO
    ),
    conventions.COCO_OF_ROBOFLOW: two_images(
        [f"clip_mp4-{n}_jpg.rf.{HASH}.jpg" for n in (0, 1)], {}, **OF_ROBOFLOW
    ),
    conventions.COCO: two_images(["clip/1.jpg", "clip/2.jpg"], {"track_id": 7}),
    conventions.YOUTUBE_VIS: {
        "x.json": {
            **vis(["clip/0.jpg", "clip/1.jpg"], (1, [[SQUARE], None])),
            "categories": LABEL,
        }
    },
    conventions.LABELME: {
        "clip/1.json": labelme(shape("cat", group_id=7), path="1.jpg"),
        "clip/2.json": labelme(path="2.jpg"),
    },
    conventions.YOLO: {
        "data.yaml": "names: [cat]",
        "labels/train/clip/1.txt": "0 .5 .5 .2 .2 7",
        "labels/train/clip/2.txt": "",
    },
    conventions.MOT: {
        "clip/gt/gt.txt": "1,7,2,1,4,4,1,1,1\n",
        "clip/gt/labels.txt": "cat\n",
    },
    conventions.DEEPLABCUT: {
        "clip_DLC.csv": (
            "scorer,DLC,DLC,DLC,DLC\nindividuals,Ann,Ann,Ann,Ann\n"
            "bodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n0,2,1,6,5\n1,,,,\n"
        )
    },
    conventions.MASKS: {
        "objects.csv": "video,object,actor,action\nclip,7,cat,\n",
        "clip/0.png": base64.b64decode(png(np.full(SIZE, 7))),
        "clip/1.png": base64.b64decode(png(np.zeros(SIZE))),
    },
    conventions.OWN_JSON: {
        "x.json": {
            "images": [image("clip/1"), image("clip/2", 2)],
            "annotations": [
                {
                    "image_id": 1,
                    "actor": "cat",
                    "action": "",
                    "track_id": 7,
                    "segmentation": [SQUARE],
                }
            ],
        }
    },
}


@pytest.mark.parametrize("tool", FILES, ids=lambda tool: tool.tool)
def test_readers_follow_them(tmp_path, tool):
    frames = []
    for document in read(tmp_path, FILES[tool], actor="cat"):
        frames += document.frames
    assert [frame.number for frame in frames] == [1, 2][: 1 + tool.lists_empty]
    (instance,) = frames[0].instances
    assert instance.number == (7 if tool.tracks_have_names else None)
    actor, action = NO_NAMES.annotated_names(instance)
    assert (actor, action or None) == ("cat", None)
