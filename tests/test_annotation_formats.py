"""Exports of every format: one scene as each tool writes it, peculiarities, damage."""

import base64
import copy
import json
import math
import zipfile

import cv2
import numpy as np
import pytest
from a2d_files import mask, moving_frames, write_video
from pycocotools import mask as rle_tools

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.core.errors import InputError
from a2d_tf.data.conversion import clips
from a2d_tf.data.sources import source_check
from a2d_tf.data.sources.source import usable_frames

SIZE = (24, 32)
SQUARE, WIDE = [2, 1, 6, 1, 6, 5, 2, 5], [8, 10, 24, 10, 24, 20, 8, 20]
CAT, DOG = mask(*SIZE, 1, 2, 5, 6), mask(*SIZE, 10, 8, 20, 24)
RUNS = rle_tools.encode(np.asfortranarray(DOG, np.uint8))
RUNS = {"size": [*SIZE], "counts": RUNS["counts"].decode()}
HASH = "a72336164157d2fe122c6e14ecab224c"
OF_LABEL_STUDIO = {"info": {"contributor": "Label Studio"}}
OF_ROBOFLOW = {"info": {"description": "Exported from roboflow.com"}}
NAMES = [
    {"id": 0, "name": "cat-sit"},
    {"id": 1, "name": "dog-run"},
    {"id": 2, "name": "a choice"},
]


def image(name, number=1, size=SIZE, **fields):
    return {
        "id": number,
        "file_name": name,
        "height": size[0],
        "width": size[1],
        **fields,
    }


def drawn(category=0, segmentation=None, image_id=1, **fields):
    segmentation = [SQUARE] if segmentation is None else segmentation
    ids = {"image_id": image_id, "category_id": category, "iscrowd": 0}
    return {**ids, "segmentation": segmentation, **fields}


def coco(images, annotations, names=NAMES, **fields):
    return {"images": images, "annotations": annotations, "categories": names, **fields}


def shape(label="cat-sit", polygon=SQUARE, kind="polygon", **fields):
    points = np.reshape(polygon, (-1, 2)).tolist()
    return {
        "label": label,
        "points": points,
        "shape_type": kind,
        "group_id": None,
        **fields,
    }


def png(values):
    return base64.b64encode(
        cv2.imencode(".png", np.uint8(values))[1].tobytes()
    ).decode()


def labelme(*shapes, path="00003.jpg", **fields):
    size = {"imageHeight": 24, "imageWidth": 32, "imageData": "AAAA"}
    return {
        "version": "6.3.1",
        "shapes": list(shapes),
        "imagePath": path,
        **size,
        **fields,
    }


def vis(names, *annotations, **fields):
    video = {"id": 4, "height": 24, "width": 32, "file_names": names, **fields}
    rows = [
        {"id": i, "video_id": 4, "category_id": k, "iscrowd": 1, "segmentations": masks}
        for i, (k, masks) in enumerate(annotations, 7)
    ]
    return {"videos": [video], "categories": NAMES, "annotations": rows}


def xml(*elements, source="clip.mp4", size=6, start=0, task=7):
    task = (
        f"<task><id>{task}</id><name>t</name><size>{size}</size><mode>interpolation</mode>"
        f"<start_frame>{start}</start_frame><frame_filter></frame_filter><original_size><width>32</width><height>24"
        f"</height></original_size><source>{source}</source></task>"
    )
    return f"<annotations><meta>{task}</meta>{''.join(elements)}</annotations>"


def points(polygon):
    return ";".join(f"{x},{y}" for x, y in zip(polygon[::2], polygon[1::2]))


def action(name):
    return f'<attribute name="Action">{name}</attribute>'


def track(number, label, *frames, name="sit", polygon=SQUARE):
    shapes = (
        f'<polygon frame="{n}" points="{points(polygon)}">{action(name)}</polygon>'
        for n in frames
    )
    return f'<track id="{number}" label="{label}">{"".join(shapes)}</track>'


YOLO = "names: {0: cat-sit, 1: dog-run}\ntrain: train.txt\n"
LINE = " ".join(str(v / s) for v, s in zip(SQUARE, (32, 24) * 4))
WIDE_LINE = " ".join(str(v / s) for v, s in zip(WIDE, (32, 24) * 4))
TRACKED = [{"track_id": t, "keyframe": True, "occluded": False} for t in (4, 9)]
DOUBLE = [[2 * v for v in polygon] for polygon in (SQUARE, WIDE)]

# The same scene in each format: on frame 3 of clip a cat and a dog, and nothing on
# frame 5 where the format can say that.
SCENES = {
    "a2d_tf": {
        "own.json": {
            "images": [image("clip/00003.png"), image("clip/5", 2)],
            "annotations": [
                {
                    "image_id": 1,
                    "actor": "cat",
                    "action": "sit",
                    "segmentation": [SQUARE],
                },
                {"image_id": 1, "actor": "dog", "action": "run", "segmentation": RUNS},
            ],
        }
    },
    "coco": {"x.json": coco([image("clip/00003.jpg")], [drawn(), drawn(1, RUNS)])},
    "coco of CVAT": {
        "clip/annotations/instances_default.json": coco(
            [image(f"frame_{n:06d}.PNG", n) for n in range(6)],
            [
                drawn(0, image_id=2, attributes={**TRACKED[0], "Action": "sit"}),
                drawn(
                    1, RUNS, 2, iscrowd=1, attributes={**TRACKED[1], "action": "run"}
                ),
                drawn(0, image_id=3, attributes={**TRACKED[0], "keyframe": False}),
            ],
            [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        )
    },
    "coco of Label Studio": {
        "result.json": coco(
            [
                image("../../upload/1/0a1b2c3d-clip_00003.jpg"),
                image("images/0a1b2c3e__clip_5.jpg", 2),
            ],
            [drawn(), drawn(1, [WIDE])],
            **OF_LABEL_STUDIO,
        )
    },
    "coco of Roboflow": {
        f"{part}/_annotations.coco.json": coco(
            [image(f"clip_mp4-{number}_jpg.rf.{HASH}.jpg", size=(48, 64))],
            [drawn(0, DOUBLE[:1]), drawn(1, DOUBLE[1:])] if number == 2 else [],
            **OF_ROBOFLOW,
        )
        for part, number in (("train", 2), ("valid", 4))
    },
    "youtube_vis": {
        "x.json": vis(
            ["clip/00000.jpg", "clip/00002.jpg", "clip/00004.jpg"],
            (0, [None, [SQUARE], []]),
            (1, [[WIDE], RUNS, None]),
        )
    },
    "labelme": {
        "clip/00003.json": labelme(
            shape(),
            shape("dog-run", [8, 10, 23, 19], "mask", mask=png(np.ones((10, 16)))),
        ),
        "clip/00005.json": labelme(path="00005.jpg"),
    },
    "yolo": {
        "data.yaml": YOLO,
        "labels/train/clip/00003.txt": f"0 {LINE}\n\n1 {WIDE_LINE}\n",
        "labels/train/clip/00005.txt": "",
        "train.txt": (
            "data/images/train/clip/00003.jpg\ndata/images/train/clip/00006.jpg\n"
        ),
    },
    "cvat": {
        "annotations.xml": xml(
            track(0, "cat", 2, 3, polygon=SQUARE).replace(
                'frame="3"', 'frame="3" keyframe="0"'
            ),
            '<track id="1" label="dog"><mask frame="2" keyframe="1" outside="0"'
            ' left="8" top="10" width="16" height="10" rle="0,'
            f' 160">{action("run")}</mask></track>',
        )
    },
    "cvat of images": {
        "annotations.xml": (
            "<annotations>"
            '<image id="0" name="clip/00003.jpg" width="32" height="24">'
            f'<polygon label="cat-sit" points="{points(SQUARE)}"/>'
            f'<polygon label="dog-run" points="{points(WIDE)}"/></image></annotations>'
        )
    },
}
TRACKS = {"coco of CVAT": [4, 9], "youtube_vis": [7, 8], "cvat": [0, -1]}


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(content) if isinstance(content, (dict, list)) else content
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "clip.mp4", moving_frames(6, *SIZE, step=2))
    return folder


def open_source(export, videos, **settings):
    return AnnotatedVideos.read((Export(export),), videos, **settings)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", SCENES)
def test_every_format_says_the_same(tmp_path, videos, name, packed):
    export = write(tmp_path / "clip", SCENES[name])
    if packed:
        path = tmp_path / "task_17.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for member in SCENES[name]:
                archive.write(export / member, f"clip/{member}")
        export = path
    source = open_source(export, videos)
    assert {document.format for document in source.documents} == {name.split()[0]}
    numbers = source.annotated_frames("clip")
    assert numbers in ((3,), (3, 5), (1, 3, 5)) and len(source.videos) == 1
    annotation = source.read_annotation("clip", 3, SIZE)
    np.testing.assert_array_equal(annotation.masks, [CAT, DOG])
    pairs = [source.label_space.name(code) for code in annotation.codes]
    assert pairs == ["cat-sit", "dog-run"]
    tracks = annotation.tracks
    assert (tracks if tracks is None else tracks.tolist()) == TRACKS.get(name)
    for number in set(numbers) - {1, 3}:
        assert len(source.read_annotation("clip", number, SIZE).codes) == 0


PREDICTION = {"info": {"description": "a2d_tf"}}
NUMBERS = {
    "cvat: no name": (
        {"x.xml": xml(track(1, "cat", 2, 3), track(2, "cat", 2, 3))},
        [None, None],
    ),
    "cvat: names": (
        {
            "x.xml": xml(
                *(
                    track(i, "cat", 2).replace(
                        "</polygon>",
                        f'<attribute name="name">{name}</attribute></polygon>',
                    )
                    for i, name in enumerate(["2", "Ann", "007"])
                )
            )
        },
        [2, None, None],
    ),
    "coco of CVAT": (SCENES["coco of CVAT"], [None, None]),
    "coco of CVAT: names": (
        {
            "x.json": coco(
                [image("clip/00003.jpg")],
                [drawn(attributes={**TRACKED[1], "name": 3})],
            )
        },
        [3],
    ),
    "coco of another tool": (
        {"x.json": coco([image("clip/3.jpg")], [drawn(attributes={"track_id": 4})])},
        [4],
    ),
    "our own coco": (
        {
            "x.json": coco(
                [image("clip/frame_000002.PNG")],
                [drawn(attributes={"track_id": 4, "occluded": False})],
                **PREDICTION,
            )
        },
        [4],
    ),
    "youtube_vis": (SCENES["youtube_vis"], [7, 8]),
    "labelme": ({"clip/3.json": labelme(shape(group_id=2), shape())}, [2, None]),
    "yolo": (
        {
            "data.yaml": YOLO,
            "labels/train/clip/00003.txt": "0 .5 .5 .2 .2 3\n",
        },
        [None],
    ),
    "masks": (
        {
            "objects.csv": "video,object,actor,action\nclip,3,cat,sit\n",
            "clip/00002.png": base64.b64decode(png(np.full(SIZE, 3))),
        },
        [3],
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_one_that_a_person_or_our_own_export_gave(tmp_path, name):
    files, expected = NUMBERS[name]
    documents = read(tmp_path, files)
    frames = [frame for document in documents for frame in document.frames]
    (frame,) = (frame for frame in frames if frame.number == 3)
    assert [instance.number for instance in frame.instances] == expected


def read(folder, files, **options):
    return read_export(write(folder / "export", files), ReadOptions(**options))


def found(documents):
    """{(video, number): labels} of documents."""
    return {
        (frame.video, frame.number): [instance.label for instance in frame.instances]
        for document in documents
        for frame in document.frames
    }


def left_out(documents):
    return {
        reason: n for document in documents for reason, n in document.left_out.items()
    }


# COCO


@pytest.mark.parametrize(
    "tool, name, frame, kind",
    [
        ({}, r"lab\clip1\00005.jpg", ("clip1", 5), "names"),
        ({}, "frame_000005.png", (None, 5), "names"),
        ({}, "frame_000005.PNG", (None, 6), "video"),
        ({}, "images/default/clip1/00000.jpg", ("clip1", 0), "names"),
        ({}, "clip1_00005.jpg", ("clip1", 5), "names"),
        ({}, "clip_2_3.png", ("clip_2", 3), "names"),
        (
            OF_LABEL_STUDIO,
            "../upload/1/204292eb-clip1_00003.jpg",
            ("clip1", 3),
            "names",
        ),
        (OF_LABEL_STUDIO, "204292eb-00003_00003.jpg", ("00003", 3), "names"),
        (OF_ROBOFLOW, f"clip-1_mp4-4_jpg.rf.{HASH}.jpg", ("clip-1", 41), "video"),
    ],
)
def test_names_of_images_in_coco(tmp_path, tool, name, frame, kind):
    content = coco([image(name)], [drawn()], **tool)
    (document,) = read(tmp_path, {"x.json": content}, frame_step=10)
    assert found([document]) == {frame: ["cat-sit"]}
    assert document.frames[0].numbering.kind == kind and document.frame_count is None


def test_options_say_which_frames_and_shapes_of_cvat_count(tmp_path):
    files = SCENES["coco of CVAT"]
    keys = {(None, 3): ["cat", "dog"]}
    documents = read(tmp_path, files)
    assert found(documents) == keys and documents[0].frame_count == 6
    assert left_out(documents) == {
        "interpolated frames": 1,
        "frames without annotations": 4,
    }
    assert found(read(tmp_path, files, interpolated=True)) == {
        **keys,
        (None, 4): ["cat"],
    }
    empty = {(None, number): [] for number in (1, 2, 5, 6)}
    assert found(read(tmp_path, files, empty_frames=True)) == {**keys, **empty}


@pytest.mark.parametrize("frames", [5, 7])
def test_a_video_of_another_length_is_not_the_one_that_was_annotated(tmp_path, frames):
    write_video(tmp_path / "videos/clip.mp4", moving_frames(frames, *SIZE, step=2))
    export = write(tmp_path / "clip", {"a.xml": xml(track(1, "cat", 1))})
    source = open_source(export, tmp_path / "videos")
    report, problems = source_check.check(source, workers=1)
    words = (
        f"{tmp_path}/videos/clip.mp4: {frames} frames decode, but {tmp_path}/clip/a.xml"
        " anno"
    )
    assert f"problem: {words}tates a video of 6; use" in report and len(problems) == 1
    skipped: list = []
    given = source, clips.ConversionSettings(), source.videos[0]
    assert not list(clips.clips_of(*given, lambda *item: skipped.append(item)))
    assert [path.name for path, _ in skipped] == ["clip.mp4"]


# frames 2 to 5, counted from 0
LATER = xml(track(1, "cat", 3), size=4, start=2, task=8)
FIRST = xml(track(1, "cat", 1), size=2)
# 0, 2 and 4
STEPS = xml(track(1, "cat", 2), size=3).replace("filter></", "filter>step=2</")


@pytest.mark.parametrize(
    "tasks, fit",
    [
        ([LATER], [6, 7, 8]),
        ([LATER, FIRST], [6, 7, 8]),  # one goes on where the other ends
        ([FIRST], [2]),
        ([STEPS], [5, 6]),
    ],
)
def test_a_part_of_a_video_may_end_before_it_does(tmp_path, tasks, fit):
    export = write(
        tmp_path / "clip", {f"{n}.xml": content for n, content in enumerate(tasks)}
    )
    for count in range(2, 9):
        write_video(tmp_path / f"{count}/clip.mp4", moving_frames(count, *SIZE, step=2))
        source = open_source(export, tmp_path / str(count))
        if count in fit:
            assert source.length("clip") == count
        else:
            words = (
                rf"clip.mp4: {count} frames decode, but .*xml annotates a video of"
                r" \d; use"
            )
            with pytest.raises(InputError, match=words):
                source.length("clip")


def test_the_fingerprint_follows_what_a_task_shows(tmp_path, videos):
    facts = set()
    for size in (5, 6, 6):
        export = write(tmp_path / "clip", {"a.xml": xml(track(1, "cat", 1), size=size)})
        facts.add(open_source(export, videos).annotation_text("clip"))
    assert len(facts) == 2


def test_our_own_coco_of_the_first_frames_is_a_part_and_cvats_is_the_whole(
    tmp_path, videos
):
    for kind, folder in ("own", "clip/"), ("cvat", ""):
        images = [image(f"{folder}frame_{n:06d}.PNG", n + 1) for n in range(2)]
        export = write(
            tmp_path / kind / "clip", {"x.json": coco(images, [drawn(0, [SQUARE])])}
        )
        source = open_source(export, videos)
        if kind == "own":
            assert source.length("clip") == 6
        else:
            with pytest.raises(
                InputError, match="6 frames decode, but .*x.json .* video of 2"
            ):
                source.length("clip")


def test_two_videos_of_one_name_are_not_taken_for_one(tmp_path, videos):
    """Tasks that name the same source, and folders of frames in different folders."""
    tasks = {f"{n}.xml": xml(track(1, "cat", n), task=n) for n in (3, 4)}
    export = write(tmp_path / "export", tasks)
    with pytest.raises(
        InputError, match="tasks 3 and 4 are both of a video 'clip'; .*clip="
    ):
        open_source(export, videos)
    named = [Export.parse(f"clip={tmp_path}/export/{name}") for name in tasks]
    assert AnnotatedVideos.read(named, videos).annotated_frames("clip") == (4, 5)

    def of_folders(*folders):
        images = [
            image(f"{folder}/0000{n}.jpg", n) for n, folder in enumerate(folders, 1)
        ]
        content = coco(
            images, [drawn(0, [SQUARE], n) for n in range(1, len(folders) + 1)]
        )
        return write(
            tmp_path / "-".join(folders).replace("/", "_"), {"x.json": content}
        )

    for folders in (
        ("dayA/clip", "dayB/clip"),
        ("clip", "2021/clip", "images/2022/clip"),
    ):
        export = of_folders(*folders)
        words = (
            f"'{folders[-1].split('/')[-2]}/clip' is another video than .*if they are"
            " one, name"
        )
        with pytest.raises(InputError, match=words):
            open_source(export, videos)
        named = [Export.parse(f"clip={export}")]
        frames = AnnotatedVideos.read(named, videos).annotated_frames("clip")
        assert len(frames) == len(folders)
    for folders in (
        ("train/clip", "val2017/clip", "clip"),
        ("/home/ann/clip", "C:/bob/clip", "../frames/clip"),
        ("data/clip", "Data/clip"),
    ):
        source = open_source(of_folders(*folders), videos)
        assert len(source.annotated_frames("clip")) == len(folders)


def test_label_studio_outlines_of_a_line_of_pixels_have_no_area(tmp_path):
    rle = {"size": [*SIZE], "counts": [3, 4, 24 * 32 - 7]}
    lines = [[[3, 3, 3, 6, 3, 5]], [[3, 3, 4, 4]], [[3, 3, 4, 4], SQUARE], rle]
    images = [
        image("0a1b2c3d-clip1_3.jpg"),
        {"id": 2, "file_name": "0a1b2c3e-clip1_4.jpg"},
    ]
    annotations = [drawn(0, line, bbox=[3, 3, 1, 1]) for line in lines]
    content = coco(images, annotations, **OF_LABEL_STUDIO)
    documents = read(tmp_path, {"x.json": content})
    assert [i.parts for i in documents[0].frames[0].instances] == [([SQUARE],), (rle,)]
    nothing = "annotations without a mask or a box"
    assert left_out(documents) == {"polygons with zero area": 3, nothing: 2}
    assert documents[0].frames[1].size is None  # submitted, and empty


# LabelMe


def test_labelme_joins_the_shapes_of_a_group(tmp_path):
    part = shape(group_id=0)
    shapes = [part, shape("dog-run"), part, shape("b-c", group_id=0), shape()]
    (document,) = read(tmp_path, {"clip1/00005.json": labelme(*shapes)})
    (frame,) = document.frames
    joined = [(i.label, len(i.parts)) for i in frame.instances]
    assert joined == [("cat-sit", 2), ("dog-run", 1), ("b-c", 1), ("cat-sit", 1)]


def test_labelme_shapes_of_other_kinds(tmp_path, videos):
    shapes = [
        shape(polygon=p, kind=k) for p, k in (([1, 1], "point"), ([1, 1, 2, 2], "line"))
    ]
    shapes.append(shape(polygon=[12, 10, 15, 14], kind="circle"))
    shapes.append(shape(polygon=[9, 7, 1, 2], kind="rectangle"))
    # A turned one by labelme, and one whose four corners X-AnyLabeling has written.
    shapes.append(shape(polygon=[8, 4, 12, 8, 8, 12, 4, 8], kind="oriented_rectangle"))
    shapes.append(shape(polygon=[1, 2, 9, 2, 9, 7, 1, 7], kind="rectangle"))
    export = write(
        tmp_path / "x",
        {"clip/3.json": labelme(*shapes), "clip/4.json": labelme(*shapes[:1])},
    )
    source = open_source(export, videos)
    areas = source.read_annotation("clip", 3).masks.sum(axis=(1, 2)).tolist()
    assert source.annotated_frames("clip") == (3,)
    # rectangles are no masks
    assert areas == [pytest.approx(math.pi * 25, abs=3), 0, 0, 0]
    boxes = source.read_annotation("clip", 3).boxes[1:].tolist()
    assert boxes == [[2, 1, 7, 9], [4, 4, 12, 12], [2, 1, 7, 9]]
    assert left_out(source.documents)["frames with no shape that has an area"] == 1


@pytest.mark.parametrize(
    "path, name, frame",
    [
        ("00005.jpg", "x.json", (None, 5)),
        (r"..\images\clip2\00007.jpg", "labels/a.json", ("clip2", 7)),
        ("../../00007.jpg", "clip1/a.json", (None, 7)),
        ("../00007.jpg", "clip1/labels/a.json", ("clip1", 7)),
        ("/lab/clip3/00007.jpg", "labels/a.json", ("clip3", 7)),
        ("cat.jpg", "clip5/00008.json", ("clip5", 8)),
        (None, "clip5_00008.json", ("clip5", 8)),
    ],
)
def test_labelme_frames_are_named_by_the_image_or_the_file(tmp_path, path, name, frame):
    assert list(found(read(tmp_path, {name: labelme(shape(), path=path)}))) == [frame]


# YOLO


@pytest.mark.parametrize(
    "path, video",
    [
        ("labels/train/clip1_00005.txt", "clip1"),
        ("labels/Val/clip1/00005.txt", "clip1"),
        ("labels/night/clip1/00005.txt", "clip1"),
        ("labels/night/00005.txt", None),
        ("train/labels/clip1_00005.txt", "clip1"),
    ],
)
def test_yolo_subsets_are_not_videos(tmp_path, path, video):
    yaml = "names: [cat-sit]\ntrain: x\nnight: night.txt\nnc: 1\n"
    files = {
        "set/data.yaml": yaml,
        f"set/{path}": f"0 {LINE}",
        "set/labels/classes.txt": "a",
    }
    assert found(read(tmp_path, files)) == {(video, 5): ["cat-sit"]}


def test_yolo_images_without_a_text_file_and_boxes(tmp_path):
    files = {
        **SCENES["yolo"],
        "data.yaml": "\ufeff" + YOLO.replace("dog-run", "'no'"),
        "images/train/clip/00007.PNG": "",
        "labels/train/clip/00008.txt": "0 0.5 0.5 0.1 0.1 3",  # with its track
    }
    documents = read(tmp_path, files)
    names = {3: ["cat-sit", "no"], 5: [], 8: ["cat-sit"]}
    assert found(documents) == {
        ("clip", number): labels for number, labels in names.items()
    }
    assert left_out(documents) == {"images without a label file": 2}
    ((box,),) = (f.instances for f in documents[0].frames if f.number == 8)
    assert (box.parts, box.track) == ((), 3) and box.box == pytest.approx(
        [0.45, 0.45, 0.1, 0.1]
    )
    assert sorted(n for _, n in found(read(tmp_path, files, empty_frames=True))) == [
        3,
        5,
        6,
        7,
        8,
    ]


# Damage


def changed(name, *path, value=...):
    """A scene with the entry at a path replaced, or removed where it is `...`."""
    files = copy.deepcopy(SCENES[name])
    *parents, last = path
    entry = files
    for key in parents:
        entry = entry[key]
    if value is ...:
        del entry[last]
    else:
        entry[last] = value
    return files


def of_coco(*path, value=...):
    return changed("coco", "x.json", *path, value=value)


def of_own(*path, value=...):
    return changed("a2d_tf", "own.json", *path, value=value)


def of_labelme(*shapes, **fields):
    return {"clip_3.json": labelme(*shapes, **fields)}


def of_yolo(line):
    return {"data.yaml": YOLO, "labels/train/clip_3.txt": f"0 {LINE}\n{line}"}


ROBOFLOW = [
    image(f"clip_mp4-1_jpg.rf.{h * 16}.jpg", i) for i, h in enumerate(("a1", "b2"))
]
BOTH = [drawn(image_id=0), drawn(image_id=1)]
AUGMENTED = {"x.json": coco(ROBOFLOW, BOTH, **OF_ROBOFLOW)}
UPLOAD = image("0a1b2c3d-00003.jpg")
PHOTO = {"result.json": coco([UPLOAD], [drawn()], **OF_LABEL_STUDIO)}
NO_NUMBER = {"data.yaml": YOLO, "labels/train/cat.txt": ""}
CVATS = {"data.yaml": YOLO, "labels/train/frame_000005.txt": ""}
SHORT = shape(polygon=[8, 10, 23, 19], kind="mask", mask=png(np.ones((10, 16)))[:-16])
BEYOND = shape(polygon=[18, 16, 33, 25], kind="mask", mask=png(np.ones((10, 16))))
MASKS = "youtube_vis", "x.json", "annotations", 0, "segmentations"
COUNTS = "x.json: annotations[0]: the number of segmentations differs from file_names"
TWICE = {**SCENES["coco"], "clip_00003.json": labelme(path=None)}

# What is in the export, and what the error names.
BROKEN = [
    ({}, "export: no annotations in a known format"),
    ({"x.json": json.dumps(SCENES["coco"])[:90]}, "x.json: cannot be read"),
    ({"x.xml": "<annotation><object/></annotation>"}, "found x.xml"),
    (
        of_coco("images", 0, "file_name", value="photo.jpg"),
        "images[0]: 'photo.jpg' does not name",
    ),
    (
        of_coco("annotations", value=[drawn(0, [])]),
        "1 annotations without a mask or a box",
    ),
    (
        of_coco("images", 0, "width", value=33),
        "x.json: images[0]: 'width' and 'height' say 33x24",
    ),
    (
        of_coco("images", 0, "file_name", value="clip/7"),
        "x.json: annotates frame 7, but",
    ),
    (
        of_coco("categories", 1, value={"id": 0, "name": "dog-run"}),
        "x.json: categories[1].id: 0",
    ),
    (AUGMENTED, "x.json: images[1]: frame 2 of 'clip' is also"),
    (PHOTO, "result.json: images[0]: '0a1b2c3d-00003.jpg' does not name"),
    (TWICE, "clip_00003.json: imagePath"),
    (
        of_own("annotations", 0, "bbox", value=[64, 2, 5, 5]),
        "own.json: annotations[0]: [64, 2,",
    ),
    (
        of_coco("annotations", value=[drawn(0, 5, bbox=[0.1, 0.2, 0.3, 0.8])]),
        "[0]: [0.1, 0.2,",
    ),
    (
        of_coco("annotations", value=[drawn(0, [], bbox=[9, 9, 900, 9])]),
        "[0]: [9, 9, 900, 9] is",
    ),
    (of_own("images", 0, "split", value="val"), "own.json: images[0].split: 'val'"),
    (changed(*MASKS, value=[None]), COUNTS),
    (changed(*MASKS), COUNTS),
    (
        {"photo.json": labelme(shape(), path="photo.jpg")},
        "photo.json: imagePath: 'photo.jpg'",
    ),
    (of_labelme(shape(polygon=[1, 1, 2, 2])), "clip_3.json: shapes[0]: points"),
    (of_labelme(SHORT), "clip_3.json: shapes[0]: mask"),
    (of_labelme(BEYOND), "clip_3.json: shapes[0]: a mask of 16x10"),
    (
        {"data.yaml": "names: [a\n"},
        "data.yaml: names: the file is malformed YAML (while parsing a flow sequence",
    ),
    ({"data.yaml": YOLO}, "no annotated frames"),
    (of_yolo("0 10 10 50 10 50 40"), "clip_3.txt: line 2"),
    (of_yolo("0 .5 .5 .1 .1 .93"), "clip_3.txt: line 2"),
    ({"data.yaml": f"{YOLO}\nkpt_shape: [2, 3]"}, "data.yaml: kpt_shape"),
    (NO_NUMBER, "'cat.txt' does not name a video frame"),
    (CVATS, "data.yaml: frame_000005: may be numbered from 0"),
]


@pytest.mark.parametrize("files, named", BROKEN, ids=[named for _, named in BROKEN])
def test_broken_exports_have_one_clear_error(tmp_path, videos, files, named):
    def fail(path, error):
        raise error

    with pytest.raises(InputError) as caught:
        source = open_source(write(tmp_path / "export", files), videos)
        for video in source.videos:
            for number in usable_frames(source, video, fail):
                source.read_annotation(video.vid, number, SIZE)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_an_error_that_has_a_remedy_gets_no_other_one(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, of_labelme(SHORT))
    assert str(caught.value).startswith(f"{tmp_path}/export/clip_3.json: shapes[0]: ")
    assert str(caught.value).endswith("; draw it again")
    rle = '<mask frame="2" left="8" top="10" width="16" height="10" rle="0, 7"/>'
    with pytest.raises(InputError) as caught:
        read(tmp_path / "2", {"x.xml": xml(f'<track id="0" label="cat">{rle}</track>')})
    assert str(caught.value).endswith("add up to 160 pixels; encode the mask again")


def test_a_format_that_the_user_says(tmp_path, videos):
    export = write(
        tmp_path / "export", {**SCENES["coco"], "clip_00004.json": labelme(shape())}
    )
    assert open_source(
        export, videos, options=ReadOptions(format_name="coco")
    ).annotated_frames("clip") == (3,)
    with pytest.raises(InputError, match="export: no annotations in the format 'yolo'"):
        open_source(export, videos, options=ReadOptions(format_name="yolo"))
    torn = write(tmp_path / "torn", {"own.json": {"images": []}})
    with pytest.raises(InputError, match="own.json: annotations"):
        open_source(torn, videos, options=ReadOptions(format_name="a2d_tf"))
    bare = {"shapes": [shape()], "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    bare = write(tmp_path / "bare", {"clip_00004.json": bare})
    assert open_source(
        bare, videos, options=ReadOptions(format_name="labelme")
    ).annotated_frames("clip") == (4,)


def test_the_files_of_an_export(tmp_path):
    """The system's files are hidden; a folder may hold zips and other files."""
    content = json.dumps(coco([image("clip/00002.jpg")], []))
    for name in ("b.zip", "a.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in ("x/instances.json", "__MACOSX/x/._instances.json"):
                archive.writestr(member, "\ufeff" + content)
    write(
        tmp_path,
        {"tasks.json": "[]", "00001.xml": "<annotation/>", ".hidden/y.json": "["},
    )
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as archive:
        archive.writestr("00001.png", b"PNG")
    documents = read_export(tmp_path, ReadOptions(empty_frames=True))
    names = [str(document.path.relative_to(tmp_path)) for document in documents]
    assert names == ["a.zip/x/instances.json", "b.zip/x/instances.json"]
    assert documents[0].left_out == {
        "files in other formats (00001.xml, tasks.json)": 2
    }
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("task.zip", b"PK")
    with pytest.raises(
        InputError, match="export.zip: no annotations in a known format"
    ):
        read_export(tmp_path / "export.zip", ReadOptions())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damaged_zips(tmp_path, damage):
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.json", json.dumps(list(range(500))))
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[60] ^= 255
        path.write_bytes(data)
    elif damage == "missing":
        path.unlink()
    with pytest.raises(InputError, match="task.zip"):
        read_export(path, ReadOptions())
