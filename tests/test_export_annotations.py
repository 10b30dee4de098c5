"""Predictions written for annotation tools: polygons, key frames, files, way back."""

import copy
import dataclasses
import json
import pathlib
import shutil
import zipfile
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from a2d_files import mask
from processes import complaint, run_a2d
from pycocotools import mask as rle_tools
from test_outputs import BOX, FILM, OTHER, SIZE, write

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.labels.names import NO_NAMES
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.annotations.writers import tool_exports as files
from a2d_tf.annotations.writers.key_frames import (
    interpolate_boxes,
    keep_key_frames,
    select_frames,
)
from a2d_tf.annotations.writers.outlines import polygons
from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo, TrackShapes
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import decode_mask, decode_parts, encode_mask

CLIP = {"name": "clip1.mp4", "length": 8}
SUFFIXES = {"cvat": ".xml", "coco": ".json", "labelme": ".zip"}


def blobs(seed, height=60, width=80):
    """A mask of smooth or ragged parts with holes, some at the frame's edge."""
    random = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(
        random.normal(size=(height, width)), (0, 0), random.choice([1, 2, 5])
    )
    return noise > np.quantile(noise, random.choice([0.5, 0.8, 0.97]))


def differences(inside, other):
    """Count pixels that differ away from the first mask's border; also the IoU."""
    square = np.ones((3, 3), np.uint8)
    inner = cv2.erode(
        np.uint8(inside), square, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    border = cv2.dilate(np.uint8(inside), square) != inner
    far = (inside != other) & ~border
    return far.sum(), (inside & other).sum() / (inside | other).sum()


def test_polygons_of_rectangles_run_along_the_edges_of_pixels():
    inside = mask(8, 10, 1, 2, 4, 9) | mask(8, 10, 6, 0, 8, 2)
    corners = [sorted(zip(p[::2], p[1::2])) for p in polygons(inside)]
    assert corners == [
        [(2, 1), (2, 4), (9, 1), (9, 4)],
        [(0, 6), (0, 8), (2, 6), (2, 8)],
    ]
    assert sorted(polygons(mask(8, 10, 7, 0, 8, 1))[0]) == [0, 0, 1, 1, 7, 7, 8, 8]
    assert polygons(np.zeros((8, 10), bool)) == []
    assert sorted(polygons(np.ones((2, 3), bool))[0]) == [0, 0, 0, 0, 2, 2, 3, 3]


def test_a_hole_is_cut_to_the_outline():
    inside = (
        mask(20, 20, 2, 2, 18, 18)
        & ~mask(20, 20, 6, 6, 9, 9)
        & ~mask(20, 20, 11, 12, 15, 16)
    )
    (outline,) = polygons(inside)
    far, iou = differences(inside, decode_mask([outline], 20, 20))
    assert far == 0 and iou > 0.95
    assert not decode_mask([outline], 20, 20)[7, 7]
    points = list(zip(outline[::2], outline[1::2]))
    assert len(points) == len(set(points)) + 4  # there and back again, twice


@pytest.mark.parametrize("seed", range(12))
def test_polygons_are_within_a_pixel_of_the_mask(seed):
    inside = blobs(seed)
    far, iou = differences(inside, decode_mask(polygons(inside), *inside.shape))
    assert far == 0 and iou >= 0.92


TWELVE = range(1, 13)


def shapes(text, **until):
    """Shapes of 1 pixel; 'a1 a2 b3' does a in the frames 1 and 2, and b in 3."""
    pixel = encode_mask(mask(4, 4, 0, 0, 1, 1))
    return tuple(Shape(int(s[1:]), s[0], pixel, until.get(s)) for s in text.split())


def video(*tracks, frames=TWELVE, count=14):
    """A TrackedVideo of a cat for each of the tracks."""
    made = tuple(TrackShapes(i, "cat", track) for i, track in enumerate(tracks, 1))
    actions = {"cat": ("a", "b")}
    return TrackedVideo("clip1.mp4", None, (4, 4), count, tuple(frames), actions, made)


def test_key_frames_are_at_every_few_frames_and_where_a_track_changes():
    whole = video(
        shapes(" ".join(f"a{n}" for n in range(1, 13))),
        shapes("a2 a3 a4 b5 b6 b7 b9 b10"),
    )
    key = keep_key_frames(whole, 5)
    assert key.frames == (1, 2, 5, 6, 7, 9, 10, 11, 12)
    assert key.tracks[0].shapes == shapes("a1 a2 a5 a6 a7 a9 a10 a11 a12", a12=13)
    assert key.tracks[1].shapes == shapes("a2 b5 b6 b7 b9 b10", b7=8, b10=11)
    assert keep_key_frames(whole, 1).frames == whole.frames


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of the prediction FILM."""
    folder = tmp_path_factory.mktemp("written")
    write(folder, FILM, **CLIP)
    return folder


@pytest.fixture
def prediction(written, tmp_path):
    """A copy of it, to be changed."""
    return pathlib.Path(shutil.copytree(written, tmp_path / "out"))


def test_a_prediction_is_read_with_the_labels_of_its_tracks(prediction):
    read = read_tracked_video(prediction)
    assert (read.source, read.name, read.images, read.size) == (
        "clip1.mp4",
        "clip1",
        None,
        SIZE,
    )
    assert (read.frame_count, read.frames) == (8, (1, 2, 3, 4, 5, 6))
    assert read.actions["ball"] == ("flying", "jumping", "rolling", "none")
    assert [(t.id, t.actor) for t in read.tracks] == [(1, "adult"), (2, "ball")]
    done = [(s.frame, s.action) for s in read.tracks[0].shapes]
    assert done == [
        (1, "running"),
        (2, "running"),
        (3, "walking"),
        (5, "walking"),
        (6, "running"),
    ]
    assert (read.tracks[1].shapes[0].decoded() == mask(*SIZE, *OTHER)).all()
    assert read_tracked_video(prediction, 0.5).tracks == read.tracks[:1]
    assert read_tracked_video(prediction, 0.5, "b.avi").source == "b.avi"


def test_a_track_that_changes_its_actor_is_two(tmp_path):
    film = {n: [(4, code, 0.5, BOX)] for n, code in enumerate((66, 76, 76, 66, 66), 1)}
    write(tmp_path, film, **CLIP)
    tracks = read_tracked_video(tmp_path).tracks
    found = [(t.id, t.actor, [s.frame for s in t.shapes]) for t in tracks]
    assert found == [(4, "cat", [1, 4, 5]), (5, "dog", [2, 3])]


ROW = {"frame": 1, "category_id": 17, "score": 0.5}


def damage(path, fields):
    """Change fields of a JSON, or of the first object of its list."""
    content = json.loads(path.read_text())
    (content[0] if isinstance(content, list) else content).update(fields)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name, fields, message",
    [
        ("tracks.json", {"mean_score": None}, "tracks.json: [0].mean_score"),
        (
            "tracks.json",
            {"frames": [{**ROW, "category_id": 10}]},
            "[0].frames[0].category_id",
        ),
        ("tracks.json", {"frames": [{**ROW, "frame": 99}]}, "no detection in frame 99"),
        (
            "detections.json",
            {"segmentation": {"size": [48, 64], "counts": "1"}},
            "[0]: the RLE",
        ),
        ("video.json", {"name": "../x"}, "video.json: name: '../x'"),
        ("video.json", {"labels": {"actors": []}}, "video.json: labels: actions"),
    ],
)
def test_damaged_files_are_named(prediction, name, fields, message):
    damage(prediction / name, fields)
    with pytest.raises(InputError) as error:
        read_tracked_video(prediction)
    assert message in str(error.value) and str(prediction) in str(error.value)


def test_cvat_has_a_task_and_tracks_of_polygons_that_end_where_they_are_gone(
    prediction, tmp_path
):
    whole = keep_key_frames(read_tracked_video(prediction), 1)
    files.save(whole, str(tmp_path / "clip1.xml"), "cvat")
    root = ElementTree.fromstring((tmp_path / "clip1.xml").read_bytes())
    tracks = [
        (
            track.attrib,
            [
                (s.tag, *map(s.get, ("frame", "outside", "points")), s[0].text)
                for s in track
            ],
        )
        for track in root.findall("track")
    ]
    box = "8.00,4.00;8.00,24.00;40.00,24.00;40.00,4.00"
    other = "2.00,30.00;2.00,44.00;12.00,44.00;12.00,30.00"
    shapes = (
        "running00 running10 walking20 walking31 walking40 running50 running61".split()
    )
    assert tracks == [
        (
            {"id": "0", "label": "adult", "source": "auto"},
            [("polygon", s[-2], s[-1], box, s[:-2]) for s in shapes],
        ),
        (
            {"id": "1", "label": "ball", "source": "auto"},
            [
                ("polygon", "1", "0", other, "flying"),
                ("polygon", "2", "1", other, "flying"),
            ],
        ),
    ]
    shape = root.find("track/polygon")
    fixed = {name: shape.get(name) for name in ("keyframe", "occluded", "z_order")}
    assert fixed == {"keyframe": "1", "occluded": "0", "z_order": "0"}
    task = root.find("meta/task")
    assert root.findtext("version") == "1.1"
    words = ["name", "size", "start_frame", "source"]
    assert [task.findtext(word) for word in words] == [
        "clip1.mp4",
        "8",
        "0",
        "clip1.mp4",
    ]
    assert [task.findtext(f"original_size/{side}") for side in ("width", "height")] == [
        "64",
        "48",
    ]


@pytest.mark.parametrize("form", [*SUFFIXES, "masks"])
@pytest.mark.parametrize("masks", [False, True])
def test_a_track_keeps_the_number_that_its_page_shows(form, masks, tmp_path):
    whole = ragged()
    tracks = list(whole.tracks)
    for i, number in ((1, 20), (2, 5)):
        tracks[i] = dataclasses.replace(tracks[i], id=number)
    path = str(tmp_path / "a.zip")
    files.save(
        dataclasses.replace(whole, tracks=tuple(tracks)), path, form, masks=masks
    )
    (first, *others) = read_export(pathlib.Path(path), ReadOptions(format_name=form))
    for document in (first, *others):
        for frame in document.frames:
            numbers = {instance.number for instance in frame.instances}
            assert numbers == {
                track.id
                for track in tracks
                if frame.number in {shape.frame for shape in track.shapes}
            }


@pytest.mark.parametrize("form", [*SUFFIXES, "masks"])
def test_the_number_stays_where_a_track_changes_its_actor(form, tmp_path):
    film = {n: [(4, code, 0.5, BOX)] for n, code in enumerate((66, 76, 76, 66, 66), 1)}
    film[1].append((5, 66, 0.1, OTHER))  # left out, as its score is low
    write(tmp_path / "out", film, **CLIP)
    path = str(tmp_path / "a.zip")
    files.save(read_tracked_video(tmp_path / "out", 0.3), path, form)
    found = {}
    for document in read_export(pathlib.Path(path), ReadOptions(format_name=form)):
        for frame in document.frames:
            (instance,) = frame.instances
            found[frame.number] = (instance.label.split("-")[0], instance.number)
    cat = ("cat", 4)
    dog = ("dog", 4)
    assert found == {1: cat, 2: dog, 3: dog, 4: cat, 5: cat}


@pytest.mark.parametrize("form", [*SUFFIXES, "masks"])
def test_a_detection_without_action_has_none_when_it_is_read(form, tmp_path):
    track = ragged().tracks[0]
    shapes = [dataclasses.replace(s, action="__undefined__") for s in track.shapes]
    track = dataclasses.replace(track, shapes=tuple(shapes))
    video = dataclasses.replace(
        ragged(), tracks=(track,), actions={"cat": ("__undefined__",)}
    )
    path = str(tmp_path / "a.zip")
    files.save(video, path, form)
    count = 0
    for document in read_export(pathlib.Path(path), ReadOptions(format_name=form)):
        for frame in document.frames:
            for instance in frame.instances:
                actor, action = NO_NAMES.annotated_names(instance)
                assert (actor, action or None) == ("cat", None)
                count += 1
    assert count == len(shapes)


def test_a_label_of_labelme_that_would_be_two_names_is_an_error(tmp_path):
    track = ragged().tracks[0]
    shapes = [dataclasses.replace(s, action="__undefined__") for s in track.shapes]
    track = dataclasses.replace(track, actor="polar-bear", shapes=tuple(shapes))
    video = dataclasses.replace(ragged(), tracks=(track,))
    with pytest.raises(InputError, match="'polar-bear', without .* choose another"):
        files.save(video, str(tmp_path / "a"), "labelme")
    assert not (tmp_path / "a").exists()


def test_a_track_whose_number_no_pixel_can_hold_is_an_error(tmp_path):
    track = dataclasses.replace(ragged().tracks[0], id=65536)
    video = dataclasses.replace(ragged(), tracks=(track,))
    with pytest.raises(InputError, match="number of track 65536; choose another"):
        files.save(video, str(tmp_path / "a"), "masks")
    assert not (tmp_path / "a").exists()


def as_cvat_returns_it(path, length):
    """Fill the tracks between key frames, as CVAT does when it exports them."""
    tree = ElementTree.parse(path)
    for track in tree.getroot().iter("track"):
        keys = list(track)
        ends = [int(key.get("frame")) for key in keys[1:]] + [length]
        for key in keys:
            track.remove(key)
        for key, end in zip(keys, ends):
            track.append(key)
            if key.get("outside") == "0":
                for number in range(int(key.get("frame")) + 1, end):
                    between = copy.deepcopy(key)
                    between.set("frame", str(number))
                    between.set("keyframe", "0")
                    track.append(between)
    tree.write(path)


@pytest.mark.parametrize("chosen", [(4, 20), (4, 5, 6, 20, 30)])
@pytest.mark.parametrize("every", [1, 2, 5])
def test_frames_to_correct_that_cvat_returns_leave_no_frame_empty(
    chosen, every, tmp_path
):
    whole = moving()
    looked_at = sorted({*range(1, 41, every), *chosen})
    shapes = [s for s in whole.tracks[0].shapes if s.frame in looked_at]
    track = TrackShapes(3, "cat", tuple(shapes))
    video = dataclasses.replace(
        whole, frames=tuple(looked_at), tracks=(track,), boxes_only=False
    )
    path = tmp_path / "a.xml"
    files.save(select_frames(video, chosen), str(path), "cvat")
    as_cvat_returns_it(path, 40)
    (document,) = read_export(path, ReadOptions(empty_frames=True))
    found = {f.number: [i.number for i in f.instances] for f in document.frames}
    assert found == {number: [3] for number in chosen}


def test_no_shape_ends_behind_the_last_frame_that_is_known(tmp_path):
    path = tmp_path / "a.xml"
    video = dataclasses.replace(ragged(), frame_count=None)
    files.save(video, str(path), "cvat", masks=True)
    frames = [int(x.get("frame")) for x in ElementTree.parse(path).iter("mask")]
    assert max(frames) == 11
    files.save(select_frames(video, video.frames), str(path), "cvat")
    frames = [int(x.get("frame")) for x in ElementTree.parse(path).iter("polygon")]
    assert max(frames) == 11


def test_coco_has_the_attributes_of_cvat(prediction, tmp_path):
    keys = keep_key_frames(read_tracked_video(prediction), 5)
    files.save(keys, str(tmp_path / "a.json"), "coco")
    content = json.loads((tmp_path / "a.json").read_text())
    names = [image["file_name"] for image in content["images"]]
    assert names == [f"clip1/frame_{n:06d}.PNG" for n in (0, 1, 2, 4, 5)]
    assert content["images"][1] == {
        "id": 2,
        "file_name": names[1],
        "width": 64,
        "height": 48,
    }
    assert [c["name"] for c in content["categories"]] == list(A2D.actors)
    polygon = content["annotations"][2]
    assert polygon.pop("attributes") == {
        "action": "flying",
        "occluded": False,
        "track_id": 2,
    }
    ids = {"id": 3, "image_id": 2, "category_id": 3, "iscrowd": 0}
    outline = {
        "segmentation": [[2, 30, 2, 44, 12, 44, 12, 30]],
        "bbox": [2, 30, 10, 14],
    }
    assert polygon == {**ids, **outline, "area": 140}
    files.save(keys, str(tmp_path / "a.json"), "coco", masks=True)
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["annotations"][2]["segmentation"] == encode_mask(mask(*SIZE, *OTHER))


def test_labelme_has_a_file_for_each_frame(prediction, tmp_path):
    files.save(read_tracked_video(prediction), str(tmp_path / "new" / "a"), "labelme")
    names = sorted(
        p.relative_to(tmp_path / "new").as_posix() for p in tmp_path.rglob("a/*/*")
    )
    assert names == [f"a/clip1/{n:05d}.json" for n in range(1, 7)]
    content = json.loads((tmp_path / "new" / names[1]).read_text())
    _, shape = content.pop("shapes")
    picture = {
        "imagePath": "00002.jpg",
        "imageData": None,
        "imageHeight": 48,
        "imageWidth": 64,
    }
    assert content == {"version": "6.3.1", "flags": {}, **picture}
    assert shape.pop("points") == [[2, 30], [2, 44], [12, 44], [12, 30]]
    kind = {"label": "ball-flying", "group_id": 2, "shape_type": "polygon"}
    assert shape == {**kind, "description": "", "flags": {}, "mask": None}
    assert json.loads((tmp_path / "new" / names[3]).read_text())["shapes"] == []


def test_outputs_replace_no_folder(prediction, tmp_path):
    for form, name in (("labelme", "full"), ("coco", "folder.zip")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "corrected.json").write_text("{}")
        with pytest.raises(InputError, match=f"{name}: (already exists|is a folder)"):
            files.save(read_tracked_video(prediction), str(tmp_path / name), form)
        assert (tmp_path / name / "corrected.json").read_text() == "{}"


def ragged(count=12, size=(60, 80)):
    """Make a TrackedVideo of two cats and a dog with holes and parts; frame 7 is empty.

    A track has a gap.
    """
    tracks = []
    for i, (actor, action) in enumerate((("cat", "a"), ("cat", "b"), ("dog", "b")), 1):
        frames = [n for n in range(i, count + 1) if n != 7 and n % 5 != i]
        then = "ab"[action == "a"]
        made = [
            Shape(n, then if n > 9 else action, encode_mask(blobs(100 * i + n)))
            for n in frames
        ]
        tracks.append(TrackShapes(i, actor, tuple(made)))
    actions = {"cat": ("a", "b"), "dog": ("a", "b")}
    numbers = tuple(range(1, count + 1))
    return TrackedVideo("clip1.mp4", None, size, count, numbers, actions, tuple(tracks))


def read_back(form, path):
    """{frame: [(actor, action, mask), ...]} as the reader of a format finds them."""
    found = {}
    for document in read_export(path, ReadOptions(format_name=form)):
        for frame in document.frames:
            assert frame.video == "clip1"
            found[frame.number] = [
                (*((x.label, x.action) if x.action else x.label.split("-")), x)
                for x in frame.instances
            ]
    return found


@pytest.mark.parametrize("kind", ["polygons", "masks", "boxes"])
@pytest.mark.parametrize("form", SUFFIXES)
def test_imported_again_they_are_the_same_instances(form, kind, tmp_path):
    whole = keep_key_frames(
        dataclasses.replace(ragged(), boxes_only=kind == "boxes"), 4
    )
    path = tmp_path / f"export{SUFFIXES[form]}"
    files.save(whole, str(path), form, masks=kind == "masks")
    found, expected = read_back(form, path), whole.by_frame()
    empty = {frame for frame in expected if not expected[frame]}
    assert set(found) == set(expected) - (empty if form == "cvat" else set())
    for frame, instances in found.items():
        pairs = {(track.actor, shape.action): shape for track, shape in expected[frame]}
        assert len(instances) == len(expected[frame])
        for actor, action, instance in instances:
            inside = pairs[actor, action].decoded()
            if kind == "boxes":
                box = rle_tools.toBbox(encode_mask(inside)).tolist()
                assert (instance.parts, list(instance.box)) == ((), box)
                continue
            again = decode_parts(instance.parts, whole.size, whole.size)
            far, iou = differences(inside, again)
            assert far == 0 and iou >= (1 if kind == "masks" else 0.92)


def moving():
    """Make a cat that walks with a, then b, is gone for three frames, returns with a.

    It is gone in frames 31 to 33.
    """
    shapes = []
    for n in (*range(1, 31), *range(34, 41)):
        inside = mask(60, 80, 20, n + 3, 40 + n // 10, n + 33)
        if n < 16:
            inside |= mask(60, 80, 50, n, 58, n + 10)  # a second part
        shapes.append(Shape(n, "b" if 11 <= n < 31 else "a", encode_mask(inside)))
    track = TrackShapes(1, "cat", tuple(shapes))
    frames, actions = tuple(range(1, 41)), {"cat": ("a", "b")}
    return TrackedVideo(
        "clip1.mp4", None, (60, 80), 40, frames, actions, (track,), True
    )


def test_of_boxes_the_key_frames_reproduce_all_frames(tmp_path):
    path, whole = tmp_path / "a.xml", moving()
    files.save(interpolate_boxes(keep_key_frames(whole, 1), 0.95), str(path), "cvat")
    root = ElementTree.parse(path)
    keys = [
        x
        for x in root.iter("box")
        if x.get("keyframe") == "1" and x.get("outside") == "0"
    ]
    numbers = [int(x.get("frame")) + 1 for x in keys]
    assert numbers == [1, 11, 15, 16, 30, 34, 40]  # of 37
    sides = [
        [float(x.get(side)) for x in keys] for side in ("xtl", "ytl", "xbr", "ybr")
    ]
    (document,) = read_export(path, ReadOptions(interpolated=True))
    found = {frame.number: frame.instances for frame in document.frames}
    assert list(found) == [shape.frame for shape in whole.tracks[0].shapes]
    for shape in whole.tracks[0].shapes:
        left, top, right, bottom = (
            np.interp(shape.frame, numbers, side) for side in sides
        )
        drawn = [left, top, right - left, bottom - top]
        (read,) = found[shape.frame]
        assert rle_tools.iou([drawn], [shape.box()], [0])[0, 0] > 0.95
        assert (read.action, list(read.box)) == (
            shape.action,
            pytest.approx(drawn, abs=0.006),
        )
        # CVAT keeps an action up to the next key frame.
        latest = [x for x, number in zip(keys, numbers) if number <= shape.frame][-1]
        assert latest.findtext("attribute") == shape.action
    assert len(read_export(path, ReadOptions())[0].frames) == 7
    # As CVAT exports it after two edits: the bout of b ends with frame 15.
    action, edits = "", {"15": "a", "29": "a"}
    for x in root.iter("box"):
        if x.get("keyframe") == "1":
            action = edits.get(x.get("frame"), x.findtext("attribute"))
        x.find("attribute").text = action
    root.write(path)
    (document,) = read_export(path, ReadOptions(interpolated=True))
    actions = [frame.instances[0].action for frame in document.frames]
    assert actions == 10 * ["a"] + 5 * ["b"] + 22 * ["a"]
    files.save(keep_key_frames(whole, 1), str(path), "cvat")  # all stay
    assert len(read_export(path, ReadOptions())[0].frames) == 37


@pytest.mark.slow
def test_the_command(prediction, tmp_path):
    def run(*words):
        return run_a2d("export-annotations", "--prediction=out", *words, cwd=tmp_path)

    done = run("--output=clip1.zip", "--every=3", "--min_score=0.3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "clip1.zip: 1 tracks with 4 polygons in 5 frames of clip1.mp4 (cvat)\n"
    )
    assert zipfile.ZipFile(tmp_path / "clip1.zip").namelist() == ["annotations.xml"]
    done = run("--output=a.json", "--format=coco", "--shapes=masks")
    assert (done.returncode, done.stderr) == (0, "") and "6 masks" in done.stdout
    assert "--output=a.txt" in complaint(run("--output=a.txt", "--format=coco"))
