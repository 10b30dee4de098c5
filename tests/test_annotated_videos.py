"""Own videos with annotations of our own format: what comes out, and each way a file can break."""

import copy
import json

import cv2
import numpy as np
import pytest
from a2d_files import grey_frames, mask, moving_frames, write_video
from pycocotools import mask as rle_tools

from a2d_tf.annotations.annotated_videos import AnnotatedVideos, split_by_name
from a2d_tf.annotations.matching import Export
from a2d_tf.annotations.names import derive_label_space
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import decode_mask

SIZE = (48, 64)
LARGE, SMALL = mask(*SIZE, 4, 6, 40, 50), mask(*SIZE, 30, 40, 44, 60)
FORKLIFTS = LabelSpace(("forklift", "truck"), ("drive", "lift", "none"), (11, 12, 21, 23), "none")


def rle(inside, compressed=True):
    """The RLE of a mask as JSON has it, from pycocotools; or its runs, counted here."""
    if compressed:
        encoded = rle_tools.encode(np.asfortranarray(inside, np.uint8))
        return {"size": list(inside.shape), "counts": encoded["counts"].decode()}
    pixels = np.concatenate([[0], inside.T.ravel(), [2]])  # runs begin with background
    edges = np.flatnonzero(np.diff(pixels.astype(int)))
    counts = np.diff([0, *edges]).tolist()
    return {"size": list(inside.shape), "counts": counts}


def image(identity, name, **fields):
    return {"id": identity, "file_name": name, "height": SIZE[0], "width": SIZE[1], **fields}


def instance(image_id, actor, action, inside, **fields):
    names = {"actor": actor, "action": action}
    return {"image_id": image_id, **names, "segmentation": rle(inside), **fields}


CONTENT = {
    "images": [
        image(7, "yard/00005.png", split="train"),
        image("seven", "yard/00002", split="train"),
        image(9, "gate-1/3.jpg", split="test"),
    ],
    "annotations": [
        instance(7, "truck", "drive", SMALL),
        instance(7, "forklift", "lift", LARGE, bbox=[6.5, 4, 100, 36], iscrowd=0),
        instance(9, "truck", "none", SMALL, bbox=None),
    ],
}


def write(folder, content=CONTENT):
    """`own.json` and `videos`: yard.mp4 of 6 frames, and a folder gate-1 of 4 images."""
    videos = folder / "videos"
    if not videos.exists():
        write_video(videos / "yard.mp4", moving_frames(6, *SIZE, step=3))
        (videos / "gate-1").mkdir()
        for number, frame in enumerate(grey_frames(4, *SIZE), 1):
            cv2.imwrite(str(videos / "gate-1" / f"{number:05d}.png"), frame)
    path = folder / "own.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path, videos


def open_source(path, videos, label_space=None, **fields):
    return AnnotatedVideos([Export(path)], videos, label_space, **fields)


def changed(*path, **fields):
    """CONTENT with the fields of one of its entries changed, or removed where they are `...`."""
    content = copy.deepcopy(CONTENT)
    entry = content
    for key in path:
        entry = entry[key]
    for name, value in fields.items():
        if value is ...:
            del entry[name]
        else:
            entry[name] = value
    return content


def test_the_annotations_of_a_frame(tmp_path):
    source = open_source(*write(tmp_path), FORKLIFTS)
    annotation = source.read_annotation("yard", 5, SIZE)
    np.testing.assert_array_equal(annotation.masks, [SMALL, LARGE])
    assert annotation.masks.dtype == bool
    assert annotation.codes.tolist() == [21, 12] and annotation.codes.dtype == np.int32
    # The first from its mask; the second from its bbox, cut to the 64 columns.
    assert annotation.boxes.tolist() == [[30, 40, 44, 60], [4, 6.5, 40, 64]]
    assert annotation.boxes.dtype == np.float32
    expected = np.where(SMALL, 21, np.where(LARGE, 12, 0))  # the smaller lies on top
    np.testing.assert_array_equal(annotation.label_map, expected)
    assert annotation.label_map.dtype == np.uint8 and annotation.note == ""


def test_the_videos_and_their_frames(tmp_path):
    path, videos = write(tmp_path)
    source = open_source(path, videos, FORKLIFTS)
    assert [(v.vid, v.annotated) for v in source.videos] == [("yard", 2), ("gate-1", 1)]
    assert [video.split for video in source.videos] == ["train", "test"]
    assert source.annotated_frames("yard") == (2, 5) and source.annotated_frames("gate-1") == (3,)
    assert source.length("yard") == 6 and source.length("gate-1") == 4
    assert source.files("yard") == (videos / "yard.mp4",)
    assert [file.name for file in source.files("gate-1")] == [f"0000{i}.png" for i in (1, 2, 3, 4)]
    assert source.root == tmp_path
    assert source.listing == f"own.json, videos in {videos}"
    assert source.annotation_path("yard", 5) == source.annotation_folder("yard") == path


def test_facts_follow_the_content_alone(tmp_path):
    source = open_source(*write(tmp_path), FORKLIFTS)
    facts = {vid: source.facts(vid) for vid in ("yard", "gate-1")}
    again = {key: CONTENT[key][::-1] if key == "images" else CONTENT[key] for key in CONTENT}
    same = open_source(*write(tmp_path, json.dumps(again, indent=3, sort_keys=True)), FORKLIFTS)
    assert {vid: same.facts(vid) for vid in facts} == facts
    other = changed("annotations", 2, action="drive")
    other = open_source(*write(tmp_path, other), FORKLIFTS)
    assert other.facts("yard") == facts["yard"] and other.facts("gate-1") != facts["gate-1"]


def test_rles_agree_with_pycocotools():
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = rng.integers(1, 40, 2).tolist()
        inside = rng.random((height, width)) < rng.random()
        inside[-1, -1] = True
        for compressed in (True, False):
            decoded = decode_mask(rle(inside, compressed), height, width)
            np.testing.assert_array_equal(decoded, inside)
    long = np.zeros((700, 900), bool)
    long[300:, 200:] = True  # runs of several digits
    np.testing.assert_array_equal(decode_mask(rle(long), 700, 900), long)


def test_polygons_agree_with_pycocotools():
    assert (
        decode_mask([[2, 1, 7, 1, 7, 5, 2, 5]], 9, 11).tolist() == mask(9, 11, 1, 2, 5, 7).tolist()
    )
    polygons = [[3.5, 2, 40.2, 7, 20, 30.7], [50, 40, 90, 40, 90, 60, 50, 60]]
    parts = [rle_tools.decode(rle_tools.frPyObjects([p], *SIZE))[..., 0] for p in polygons]
    np.testing.assert_array_equal(decode_mask(polygons, *SIZE), parts[0] | parts[1])


@pytest.mark.parametrize(
    "segmentation, words",
    [
        ([[1, 2, 3, 4, 5, float("nan")]], "three or more points"),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "outside the frame, 64x48"),
        ([[60, 60, 70, 60, 70, 70]], "the mask is empty"),
        (rle(LARGE.T), r"size \[64, 48\] is not \[48, 64\]"),
        ({"size": [48, 64], "counts": "0"}, "'counts' are corrupt"),
        ({"size": [48, 64], "counts": "PPPP\x7f"}, "'counts' are corrupt"),
        ({"size": [48, 64], "counts": [1, -1, 3072]}, "'counts' are corrupt"),
    ],
)
def test_broken_masks_are_named_when_they_are_read(tmp_path, segmentation, words):
    content = changed("annotations", 1, segmentation=segmentation)
    source = open_source(*write(tmp_path, content), FORKLIFTS)
    with pytest.raises(InputError, match=rf"own.json: annotations\[1\]: .*{words}"):
        source.read_annotation("yard", 5)
    assert source.read_annotation("gate-1", 3).codes.tolist() == [23]


def test_the_label_space_follows_from_the_names(tmp_path):
    pairs = [(A2D.actors[x], A2D.actions[y]) for x, y in A2D.pairs]
    assert derive_label_space(pairs) is A2D
    # Some of A2D's names are no reason to score what was not annotated.
    some = derive_label_space([("dog", "walking"), ("dog", "running"), ("ball", "none")])
    names = {"actors": ["ball", "dog"], "actions": ["running", "walking", "none"]}
    assert some == LabelSpace.from_fields(
        {
            **names,
            "pairs": [["ball", "none"], ["dog", "running"], ["dog", "walking"]],
            "none_action": "none",
        }
    )
    derived = derive_label_space([("ball", "none"), ("ball", "running"), ("adult", "running")])
    assert derived == LabelSpace(("adult", "ball"), ("running", "none"), (11, 21, 22), "none")
    own = LabelSpace(FORKLIFTS.actors, FORKLIFTS.actions, (12, 21, 23), "none")
    assert open_source(*write(tmp_path)).label_space == own
    assert derive_label_space([("truck", "drive")]).none_action is None


def test_the_split_by_name():
    names = [f"clip{i}" for i in range(23)]
    splits = split_by_name(names)
    assert splits == split_by_name(names[::-1])
    for count, tests in ((1, 0), (2, 1), (3, 1), (5, 1), (10, 2), (23, 5)):
        assert list(split_by_name(names[:count]).values()).count("test") == tests
    # Fixed for ever: a name must not change sides between versions.
    first = split_by_name(names[:10])
    assert sorted(name for name in first if first[name] == "test") == ["clip3", "clip6"]


def test_without_splits_the_names_decide_or_the_user(tmp_path):
    content = copy.deepcopy(CONTENT)
    for entry in content["images"]:
        del entry["split"]
    path, videos = write(tmp_path, content)
    source = open_source(path, videos, FORKLIFTS)
    splits = {v.vid: v.split for v in source.videos}
    assert splits == split_by_name(["yard", "gate-1"])
    (test,) = (vid for vid, split in splits.items() if split == "test")
    assert source.summary()[-1].endswith(f"--test_videos={test}")
    source = open_source(path, videos, FORKLIFTS, test_videos=["yard"])
    assert {v.vid: v.split for v in source.videos} == {"yard": "test", "gate-1": "train"}
    with pytest.raises(InputError, match="--test_videos: unknown video 'dock'"):
        open_source(path, videos, FORKLIFTS, test_videos=["dock"])


def test_two_files_of_a_video(tmp_path):
    """Each numbers its tracks by itself."""
    _, videos = write(tmp_path)
    for name, actor, frame in (("a", "truck", 2), ("b", "forklift", 3)):
        track = {"id": 2**64 + 5 if name == "b" else 5, "video_id": 1, "category_id": 1}
        content = {
            "videos": [{"id": 1, "file_names": [f"yard/{k:05d}.jpg" for k in (0, frame)]}],
            "categories": [{"id": 1, "name": f"{actor}-drive"}],
            "annotations": [{**track, "segmentations": [None, rle(SMALL)]}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    exports = tuple(Export(tmp_path / name) for name in ("a.json", "b.json"))
    source = AnnotatedVideos(exports, videos)
    tracks = [source.read_annotation("yard", frame).tracks for frame in (3, 4)]
    assert tracks[0].tolist() == [5] and tracks[1].tolist() == [5 + 6]  # modulo 2^63
