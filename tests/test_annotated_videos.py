"""Own videos with annotations in our format: what is read, and each error of a file."""

import copy
import itertools
import json

import numpy as np
import pytest
from a2d_files import grey_frames, mask, moving_frames, write_images, write_video
from processes import complaint, run_a2d
from pycocotools import mask as rle_tools

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.labels.label_spaces import derive_label_space
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.annotations.selection.split import split_by_pairs
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import decode_mask

SIZE = (48, 64)
LARGE, SMALL = mask(*SIZE, 4, 6, 40, 50), mask(*SIZE, 30, 40, 44, 60)
FORKLIFTS = LabelSpace(
    ("forklift", "truck"), ("drive", "lift", "none"), (11, 12, 21, 23), "none"
)


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
    return {
        "id": identity,
        "file_name": name,
        "height": SIZE[0],
        "width": SIZE[1],
        **fields,
    }


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
UNSPLIT = copy.deepcopy(CONTENT)
for entry in UNSPLIT["images"]:
    del entry["split"]


def write(folder, content=CONTENT):
    """Write `own.json`, and `videos`: yard.mp4 of 6 frames and a folder gate-1 of 4."""
    videos = folder / "videos"
    if not videos.exists():
        write_video(videos / "yard.mp4", moving_frames(6, *SIZE, step=3))
        write_images(videos / "gate-1", grey_frames(4, *SIZE))
    path = folder / "own.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path, videos


def open_source(path, videos, label_space=None, **fields):
    return AnnotatedVideos.read([Export(path)], videos, label_space, **fields)


def changed(*path, **fields):
    """Return CONTENT with fields of one entry changed, or removed if they are `...`."""
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
    assert source.annotated_frames("yard") == (2, 5) and source.annotated_frames(
        "gate-1"
    ) == (3,)
    assert source.length("yard") == 6 and source.length("gate-1") == 4
    assert source.files("yard") == (videos / "yard.mp4",)
    assert [file.name for file in source.files("gate-1")] == [
        f"0000{i}.png" for i in (1, 2, 3, 4)
    ]
    assert source.root == tmp_path
    assert source.listing == f"own.json, videos in {videos}"
    assert source.annotation_path("yard", 5) == source.annotation_source("yard") == path


def test_facts_follow_the_content_alone(tmp_path):
    source = open_source(*write(tmp_path), FORKLIFTS)
    facts = {vid: source.annotation_text(vid) for vid in ("yard", "gate-1")}
    again = {
        key: CONTENT[key][::-1] if key == "images" else CONTENT[key] for key in CONTENT
    }
    same = open_source(
        *write(tmp_path, json.dumps(again, indent=3, sort_keys=True)), FORKLIFTS
    )
    assert {vid: same.annotation_text(vid) for vid in facts} == facts
    other = changed("annotations", 2, action="drive")
    other = open_source(*write(tmp_path, other), FORKLIFTS)
    assert (
        other.annotation_text("yard") == facts["yard"]
        and other.annotation_text("gate-1") != facts["gate-1"]
    )


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
        decode_mask([[2, 1, 7, 1, 7, 5, 2, 5]], 9, 11).tolist()
        == mask(9, 11, 1, 2, 5, 7).tolist()
    )
    polygons = [[3.5, 2, 40.2, 7, 20, 30.7], [50, 40, 90, 40, 90, 60, 50, 60]]
    parts = [
        rle_tools.decode(rle_tools.frPyObjects([p], *SIZE))[..., 0] for p in polygons
    ]
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
    some = derive_label_space(
        [("dog", "walking"), ("dog", "running"), ("ball", "none")]
    )
    assert some == LabelSpace(
        ("ball", "dog"), ("running", "walking", "none"), (13, 21, 22), "none"
    )
    derived = derive_label_space(
        [("ball", "none"), ("ball", "running"), ("adult", "running")]
    )
    assert derived == LabelSpace(
        ("adult", "ball"), ("running", "none"), (11, 21, 22), "none"
    )
    own = LabelSpace(FORKLIFTS.actors, FORKLIFTS.actions, (12, 21, 23), "none")
    assert open_source(*write(tmp_path)).label_space == own
    assert derive_label_space([("truck", "drive")]).none_action is None


def split(pairs, stated=None, earlier=None):
    """Split {video: letters of its pairs}; check that the order does not matter."""
    given = {vid: (stated or {}).get(vid) for vid in pairs}
    shown = [
        {vid for vid in pairs if pair in pairs[vid]}
        for pair in {*"".join(pairs.values())}
    ]
    found = split_by_pairs(given, shown, earlier or {})
    assert found == split_by_pairs(
        dict(reversed(given.items())), shown[::-1], earlier or {}
    )
    assert {*found} == {*pairs} and {*found.values()} <= {"train", "test"}
    return found


def in_test(splits):
    return sorted(vid for vid, name in splits.items() if name == "test")


def test_the_split_by_name():
    for count, tests in ((1, 0), (2, 1), (3, 1), (5, 1), (10, 2), (23, 5)):
        assert len(in_test(split({f"clip{i}": "a" for i in range(count)}))) == tests
    # Fixed for ever: a name must not change sides between versions.
    assert in_test(split({f"clip{i}": "a" for i in range(10)})) == ["clip3", "clip6"]
    assert split({"yard": "", "gate": ""}) == {"yard": "test", "gate": "train"}


def test_each_pair_of_two_videos_is_in_both_splits():
    clips = {f"clip{i}": "a" for i in range(10)}
    # By the hash, b would not be trained; nor c be tested; nor d, of one video, be
    # trained.
    assert in_test(split({**clips, "clip3": "ab", "clip6": "ab"})) == ["clip0", "clip6"]
    assert in_test(split({**clips, "clip0": "ac", "clip1": "ac"})) == ["clip0", "clip6"]
    assert in_test(split({**clips, "clip3": "ad"})) == ["clip0", "clip6"]
    assert in_test(split({"x": "abc", "y": "ab", "z": "c"})) in (["x"], ["y", "z"])
    # Training comes first: x has all of c, and y of d, so that none of the two tests a.
    assert in_test(split({"x": "ac", "y": "ad", "z": "e", "w": "e"})) == ["w"]


def test_a_split_of_all_pairs_is_found_if_there_is_one():
    """Compare with a search through all splits; a few of 100 other sets are missed."""
    rng, whole = np.random.default_rng(0), 0
    for number in range(150):
        size, letters = int(rng.integers(2, 9)), "abcdefgh"[: int(rng.integers(1, 9))]
        chosen = (rng.random((size, len(letters))) < rng.uniform(0.1, 0.6)).tolist()
        pairs = {
            f"{number}-{i}": "".join(x for x, has in zip(letters, row) if has)
            for i, row in enumerate(chosen)
        }
        counts = {x: sum(x in each for each in pairs.values()) for x in letters}

        def is_whole(tests, pairs=pairs, counts=counts):
            shown = {x: sum(x in pairs[vid] for vid in tests) for x in counts}
            trained = all(shown[x] < n for x, n in counts.items() if n)
            return (
                tests and trained and all(shown[x] for x, n in counts.items() if n > 1)
            )

        subsets = itertools.product((False, True), repeat=size)
        possible = any(is_whole([*itertools.compress(pairs, kept)]) for kept in subsets)
        assert bool(is_whole(in_test(split(pairs)))) == possible
        whole += possible
    assert 50 < whole < 145  # of 150


def test_videos_keep_their_earlier_split():
    earlier = {"clip1": "test", "clip3": "train", "clip6": "train", "gone": "test"}
    clips = {f"clip{i}": "a" for i in (1, 3, 6)}
    assert in_test(split(clips, earlier=earlier)) == ["clip1"]
    # New ones complete pairs first, else a fifth is reached in the order of the hash.
    assert in_test(split({**clips, "clip6": "ab", "x": "b"}, earlier=earlier)) == [
        "clip1",
        "x",
    ]
    assert in_test(split({**clips, "clip1": "ab", "x": "b"}, earlier=earlier)) == [
        "clip1"
    ]
    many = {f"clip{i}": "a" for i in range(10)}
    first = in_test(split(many, earlier={"clip3": "train", "clip1": "train"}))
    assert len(first) == 2 and "clip6" in first
    assert in_test(split(many, earlier={**earlier, "clip0": "test"})) == [
        "clip0",
        "clip1",
    ]
    # What the annotations state stays, too, and counts for no fifth.
    stated = {"clip1": "train", "clip3": "test"}
    assert in_test(split(clips, stated, earlier)) == ["clip3"]


def test_without_splits_the_names_decide_or_the_user(tmp_path):
    path, videos = write(tmp_path, UNSPLIT)
    source = open_source(path, videos, FORKLIFTS)
    splits = {v.vid: v.split for v in source.videos}
    (test,) = in_test(splits)
    assert source.summary()[-1].startswith(f"test split: {test}; a2d start --after ")
    earlier = {"yard": splits["gate-1"], "gate-1": splits["yard"]}
    source = open_source(path, videos, FORKLIFTS, selection=Selection(earlier=earlier))
    assert {v.vid: v.split for v in source.videos} == earlier
    source = open_source(
        path, videos, FORKLIFTS, selection=Selection(test_videos=["yard"])
    )
    assert {v.vid: v.split for v in source.videos} == {
        "yard": "test",
        "gate-1": "train",
    }
    with pytest.raises(InputError, match="--test_videos: unknown video 'dock'"):
        open_source(path, videos, FORKLIFTS, selection=Selection(test_videos=["dock"]))


@pytest.mark.parametrize("new, other", [("yard", "gate-1"), ("gate-1", "yard")])
def test_videos_of_which_frames_were_asked_for_train(new, other, tmp_path):
    """Unless a split is known; what was decided of new videos is noted."""
    path, videos = write(tmp_path, UNSPLIT)
    asked = "new for training, as a2d next asked for frames of them: "

    def read(earlier, vids):
        selection = Selection(earlier=earlier, asked=vids)
        source = open_source(path, videos, FORKLIFTS, selection=selection)
        assert not any("--split_of" in line for line in source.summary())
        notes = [line for line in source.summary() if line.startswith("new ")]
        return {v.vid: v.split for v in source.videos}, notes

    splits, notes = read({other: "train"}, {new, "dock"})
    assert splits == {new: "train", other: "train"}
    assert notes == [asked + new]
    splits, notes = read({other: "train"}, {other})
    assert splits == {new: "test", other: "train"}
    assert notes == [
        f"new in the test split, so that both splits show each pair: {new}"
    ]
    splits, notes = read({other: "train", new: "test"}, {new})
    assert splits == {new: "test", other: "train"} and notes == []


def test_two_files_of_a_video(tmp_path):
    """Each numbers its tracks by itself."""
    _, videos = write(tmp_path)
    for name, actor, frame in (("a", "truck", 2), ("b", "forklift", 3)):
        track = {"id": 2**64 + 5 if name == "b" else 5, "video_id": 1, "category_id": 1}
        content = {
            "videos": [
                {"id": 1, "file_names": [f"yard/{k:05d}.jpg" for k in (0, frame)]}
            ],
            "categories": [{"id": 1, "name": f"{actor}-drive"}],
            "annotations": [{**track, "segmentations": [None, rle(SMALL)]}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    exports = tuple(Export(tmp_path / name) for name in ("a.json", "b.json"))
    source = AnnotatedVideos.read(exports, videos)
    tracks = [source.read_annotation("yard", frame).tracks for frame in (3, 4)]
    assert tracks[0].tolist() == [5] and tracks[1].tolist() == [5 + 6]  # modulo 2^63


def test_new_labels_follow_those_of_earlier_records_and_are_noted(tmp_path):
    path, videos = write(tmp_path, UNSPLIT)
    earlier = LabelSpace(("truck",), ("wait", "drive"), (12,))
    source = open_source(path, videos, earlier_labels=earlier)
    labels = source.label_space
    assert labels.actors == ("truck", "forklift")
    assert labels.actions == ("wait", "drive", "lift", "none")
    assert labels.codes == (12, 14, 23) and labels.none_action == "none"
    note = (
        "new beside the earlier records: actor 'forklift', action 'lift', action 'none'"
    )
    assert note in source.summary()
    again = open_source(path, videos, earlier_labels=labels)
    assert again.label_space == labels
    assert not any("new beside" in line for line in again.summary())
    whole = open_source(path, videos, labels, earlier_labels=earlier)
    assert whole.label_space == labels and note in whole.summary()
    waits = LabelSpace(("truck",), ("wait", "sleep"), (11, 12))
    with pytest.raises(
        InputError, match="--labels: without .* action 'sleep', pair 'truck-wait'"
    ):
        open_source(path, videos, labels, earlier_labels=waits)


@pytest.mark.slow
def test_earlier_records_keep_the_split(tmp_path):
    path, videos = write(tmp_path, UNSPLIT)
    made = tmp_path / "records"
    chosen = in_test({v.vid: v.split for v in open_source(path, videos).videos})
    other = {"yard", "gate-1"}.difference(chosen).pop()
    words = ["records", f"--annotations={path}", f"--videos={videos}", "--workers=1"]
    converted = [*words, f"--output={made}", "--clip_frames=1"]
    assert run_a2d(*converted, f"--test_videos={other}").returncode == 0
    assert f"{made}: contains records of another split of these videos" in complaint(
        run_a2d(*converted)
    )
    done = run_a2d(*converted, f"--split_of={made}")
    assert f"test split: {other};" in done.stdout and "already complete" in done.stdout
    for given in (["--test_videos=yard"], [f"--release={tmp_path}"]):
        done = run_a2d(*words, "--check", f"--split_of={made}", *given)
        assert "--split_of" in complaint(done)
    assert "manifest.json" in complaint(
        run_a2d(*words, "--check", f"--split_of={videos}")
    )
