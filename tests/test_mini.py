"""The mini A2D: its layout byte by byte, its splits, its drawings, its motion and its tracks."""

import collections
import csv
import filecmp
import json

import cv2
import h5py
import numpy as np
import pytest
from processes import run_tool
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data import frames, mini
from a2d_tf.data import mini_figures as figures

VIDEOS, SEED = 6, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a release with its tracks, made by the command."""
    output = tmp_path_factory.mktemp("mini")
    flags = f"--output={output}", f"--videos={VIDEOS}", f"--seed={SEED}", "--workers=1", "--tracks"
    done = run_tool("make_mini_a2d", *flags)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def release(made):
    return made / "Release"


def _rows(release):
    with open(release / "videoset.csv", newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# Layout


def test_videoset_has_nine_columns_and_no_header(release):
    rows, plans = _rows(release), mini.plan(VIDEOS, SEED)
    assert len(rows) == VIDEOS
    for row, video in zip(rows, plans):
        numbers = (320, 400, video.frames, video.annotated, video.usage)
        times = "00:00:00", "00:00:02"
        assert row == [video.vid, str(video.codes[0]), *times, *map(str, numbers)]
        assert len(row[0]) == 11


def test_clips_decode_to_their_length_and_size(release):
    for row in _rows(release):
        found = list(frames.read(release / "clips320H" / f"{row[0]}.mp4"))
        assert len(found) == int(row[6]) and found[0][1].shape == (320, 400, 3)


def test_annotated_frames_are_sixths_of_the_clip(release):
    for row in _rows(release):
        sixth = int(row[6]) // 6
        for kind, suffix in (("mat", "mat"), ("col", "png")):
            names = sorted(p.name for p in (release / "Annotations" / kind / row[0]).iterdir())
            expected = [f"{k * sixth:05d}.{suffix}" for k in range(1, int(row[7]) + 1)]
            assert names == expected


def test_annotations_read_back_as_drawn(release):
    for video in mini.plan(VIDEOS, SEED):
        scene = mini.Scene(video)
        for key in video.keys:
            instances = scene.instances(key - 1)
            codes, masks = [video.codes[i] for i in instances], np.stack([*instances.values()])
            assert codes[0] == video.codes[0]  # the clip's label is always in sight
            assert masks.sum(axis=0).max() == 1 and masks.sum(axis=(1, 2)).min() >= 40
            path = release / "Annotations" / "mat" / video.vid / f"{key:05d}.mat"
            with h5py.File(path, "r") as file:
                stored = file["reMask"][()]
                if len(codes) == 1:
                    assert stored.shape == (400, 320)
                    stored = stored[None]
                assert np.array_equal(stored.transpose(0, 2, 1), masks)
                assert file["id"].dtype == np.float64 and file["id"][()].tolist() == [codes]
                label_map = np.zeros((320, 400), np.uint8)
                for code, mask in zip(codes, masks):
                    label_map[mask] = code
                assert np.array_equal(file["reS_id"][()].T, label_map)
                boxes = file["reBBox"][()]
                assert boxes.shape == (4, len(codes))
                for (x1, y1, x2, y2), mask in zip(boxes.T.astype(int), masks):
                    assert mask[y1 - 1 : y2, x1 - 1 : x2].sum() == mask.sum()
                    for edge in (mask[y1 - 1], mask[y2 - 1], mask[:, x1 - 1], mask[:, x2 - 1]):
                        assert edge.any()
            image = release / "Annotations" / "col" / video.vid / f"{key:05d}.png"
            assert np.array_equal(cv2.imread(str(image))[..., ::-1], A2D.palette[label_map])


def test_mat_is_matlab_73_with_a_cell_of_names(tmp_path):
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1:3, 2:5] = masks[1, 3, 0] = True
    path = tmp_path / "frame.mat"
    mini.write_mat(path, [36, 78], masks)
    head = path.read_bytes()[:520]
    assert head.startswith(b"MATLAB 7.3 MAT-file") and head[124:128] == b"\x00\x02IM"
    assert head[128:512] == bytes(384) and head[512:520] == b"\x89HDF\r\n\x1a\n"
    with h5py.File(path, "r") as file:
        assert file.userblock_size == 512
        assert file["reBBox"][()].tolist() == [[3, 1], [2, 4], [5, 1], [3, 4]]
        assert file["reMask"].shape == (2, 6, 4) and file["reS_id"].shape == (6, 4)
        assert file["reS_id"][2:5, 1:3].tolist() == [[36, 36]] * 3
        assert file["reS_id"][0, 3] == 78
        names = file["class"]
        assert names.shape == (1, 2) and h5py.check_ref_dtype(names.dtype) is h5py.Reference
        texts = [file[reference] for reference in names[0]]
        assert all(text.dtype == np.uint16 for text in texts)
        assert ["".join(map(chr, text[:, 0])) for text in texts] == ["ball-rolling", "dog-walking"]


# Making it


def test_neither_workers_nor_tracks_change_a_byte(made, release, tmp_path):
    other = mini.make_release(tmp_path, VIDEOS, SEED, workers=2)
    files = sorted(p.relative_to(release) for p in release.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    assert filecmp.cmpfiles(release, other, files, shallow=False)[0] == files
    assert [p.name for p in tmp_path.iterdir()] == ["Release"]
    path = mini.write_tracks(tmp_path / "tracks.json", mini.plan(VIDEOS, SEED), workers=2)
    assert path.read_bytes() == (made / "tracks.json").read_bytes()


def test_native_clips_have_the_widths_of_a2d(tmp_path):
    release = mini.make_release(tmp_path, 2, SEED, workers=1, native=True)
    plans = mini.plan(2, SEED, native=True)
    for row, video in zip(_rows(release), plans):
        ((_, frame),) = frames.read(release / "clips320H" / f"{video.vid}.mp4", [1])
        assert row[5] == str(video.width) == str(frame.shape[1])
    assert [(v.vid, v.codes) for v in mini.plan(2, SEED)] == [(v.vid, v.codes) for v in plans]
    many = mini.plan(1000, 0, native=True)
    assert {video.width for video in many} == set(mini.NATIVE_WIDTHS)
    assert sum(video.usage for video in many) == 200
    assert 500 < sum(video.width == 568 for video in many) < 600
    with pytest.raises(InputError, match=f"--videos=2 --seed={SEED}; delete it"):
        mini.make_release(tmp_path, 2, SEED, workers=1)


def test_same_arguments_reuse_other_arguments_refuse(release):
    marker = release / "videoset.csv"
    before = marker.stat().st_mtime_ns
    assert mini.make_release(release.parent, VIDEOS, SEED, workers=1) == release
    assert marker.stat().st_mtime_ns == before
    with pytest.raises(InputError, match="--output"):
        mini.make_release(release.parent, VIDEOS, SEED + 1, workers=1)


# The plan


@pytest.mark.parametrize("videos", [4, 5, 7, 400])
def test_splits(videos):
    plans = mini.plan(videos, 0)
    tests = sum(video.usage for video in plans)
    assert len(plans) == videos and 0.3 * videos <= tests < 0.3 * videos + 1
    assert {video.usage for video in plans} == {0, 1}


def test_every_pair_leads_clips_of_both_splits():
    leads = collections.Counter((v.usage, v.codes[0]) for v in mini.plan(400, 0))
    for usage, videos in ((0, 280), (1, 120)):
        counts = [leads[usage, code] for code in A2D.codes]
        assert sum(counts) == videos and max(counts) - min(counts) <= 1 and min(counts) >= 2


def test_vids_are_distinct_and_some_look_like_options():
    vids = [video.vid for video in mini.plan(400, 0)]
    assert set(vids).isdisjoint(v.vid for v in mini.plan(400, 1))
    assert len(set(vids)) == 400 and all(len(vid) == 11 for vid in vids)
    assert sum(vid.startswith("--") for vid in vids) >= 20
    assert sum(vid.startswith("-") and not vid.startswith("--") for vid in vids) >= 20
    assert any(vid.startswith("--") for vid in [v.vid for v in mini.plan(4, 0)])


# Motion


def _windows(action, clips=400):
    """The four steps that join frames t-2..t+2, around every key of many clips: [W, 4]."""
    windows = []
    for seed in range(clips):
        rng = np.random.default_rng(seed)
        frames = int(rng.integers(36, 43))
        keys = tuple(k * (frames // 6) for k in range(1, 6))
        _, steps = mini.programme(action, frames, keys, rng)
        assert steps.shape == (frames,) and steps[0] == 0
        windows += [steps[key - 2 : key + 2] for key in keys]  # into t-1, t, t+1, t+2
    return np.array(windows)


def _is_high(steps):
    """Low steps are 3 px, high ones 8 px, both up to 15 % off."""
    high = np.abs(steps) > 5
    size = np.abs(steps) / np.where(high, 8, 3)
    assert size.min() >= 0.85 and size.max() <= 1.15
    return high


@pytest.mark.parametrize(
    "action, axis, change",
    [
        ("walking", "horizontal", "steady"),
        ("running", "horizontal", "level"),
        ("crawling", "horizontal", "sign"),
        ("climbing", "vertical", "steady"),
        ("flying", "vertical", "level"),
        ("jumping", "vertical", "sign"),
        ("rolling", "rotation", "steady"),
        ("eating", "rotation", "sign"),
    ],
)
def test_programmes_differ_only_in_their_change(action, axis, change):
    rng = np.random.default_rng(0)
    assert mini.programme(action, 36, (6, 12, 18), rng)[0] == axis
    steps = _windows(action)
    high, right = _is_high(steps), steps > 0
    assert np.all((high[:, 1:] != high[:, :-1]) == (change == "level"))
    assert np.all((right[:, 1:] != right[:, :-1]) == (change == "sign"))
    # One step is low or high, left or right, equally often and independently: the same law for all.
    for place in range(4):
        for share in (
            high[:, place].mean(),
            right[:, place].mean(),
            (high ^ right)[:, place].mean(),
        ):
            assert abs(share - 0.5) < 0.08
    assert abs(np.abs(steps[high]).mean() - 8) < 0.1
    assert abs(np.abs(steps[~high]).mean() - 3) < 0.05


def test_no_action_stays_with_the_scene():
    axis, steps = mini.programme("none", 36, (6, 12, 18), np.random.default_rng(0))
    assert axis is None and not steps.any()


@pytest.mark.parametrize("action", ["walking", "flying", "rolling", "jumping"])
@pytest.mark.parametrize("frames", [36, 42])
def test_figures_are_near_their_place_at_every_key(action, frames):
    keys = tuple(k * (frames // 6) for k in range(1, 6))
    for seed in range(50):
        _, steps = mini.programme(action, frames, keys, np.random.default_rng(seed))
        places = np.cumsum(steps)[np.array(keys) - 1]
        assert np.ptp(places) < 30  # of up to 240 px travelled in between


def test_turns_move_small_and_large_figures_as_far_as_steps():
    assert mini.turn_per_step(np.array([3.0, -8.0]), 25.0) == pytest.approx(
        np.degrees([3 / 25, -8 / 25])
    )
    assert mini.turn_per_step(np.array([3.0, -8.0]), 10.0) == pytest.approx([17.188734, -20])
    assert mini.turn_per_step(np.array([3.0, -8.0]), 80.0) == pytest.approx([5, -5.7295780])


# What is drawn


@pytest.mark.parametrize("actor", A2D.actors)
def test_figures_have_their_height_and_keep_it_while_swinging(actor):
    figure = figures.Figure(actor, 100, np.random.default_rng(0))
    for swing in (-1, 0, 1):
        sprite = figure.sprite(swing)
        rows = np.nonzero((sprite[..., 3] >= 128).any(axis=1))[0]
        assert 80 <= rows[-1] - rows[0] <= 115
        border = (sprite[0], sprite[-1], sprite[:, 0], sprite[:, -1])
        assert not any(edge[..., 3].any() for edge in border)  # nothing is cut off
        assert np.all(sprite[..., :3] <= sprite[..., 3:])  # premultiplied


def test_masks_follow_the_pixels():
    """A frame drawn without its actors differs exactly where they are."""
    scenes = [(video, mini.Scene(video)) for video in mini.plan(8, 0)]
    unoccluded = [(v, scene) for v, scene in scenes if len(scene._layers) == len(v.codes)]
    (video, scene), empty = unoccluded[0], mini.Scene(unoccluded[0][0])
    empty._layers = []
    key = video.keys[1] - 1
    changed = np.any(scene.image(key) != empty.image(key), axis=2)
    covered = scene.owners(key) > 0
    assert (covered & ~changed).sum() <= 0.03 * covered.sum()  # chance equality of colours
    halo = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (changed & ~halo).any()


def test_figures_move_by_programme_relative_to_the_scene():
    """Optical flow at the network's scale, inside masks less outside, has the programme's sign."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    videos = [v for v in mini.plan(400, 0) if len(v.codes) == 1]
    seen = {}
    for video in videos:
        action = A2D.name(video.codes[0]).split("-")[1]
        axis = mini.PROGRAMMES[action][0]
        if axis == "rotation" or action in seen:
            continue
        scene, key = mini.Scene(video), video.keys[1] - 1
        grey = [
            cv2.cvtColor(
                cv2.resize(scene.image(t), (160, 128), interpolation=cv2.INTER_AREA),
                cv2.COLOR_BGR2GRAY,
            )
            for t in range(key - 2, key + 2)
        ]
        mask = cv2.resize(scene.owners(key), (160, 128), interpolation=cv2.INTER_NEAREST) == 1
        if mask.sum() < 200:
            continue
        flows = [dis.calc(a, b, None) for a, b in zip(grey, grey[1:])]
        seen[action] = np.array(
            [np.median(f[mask], axis=0) - np.median(f[~mask], axis=0) for f in flows]
        )
    assert {"walking", "running", "crawling", "climbing", "flying", "jumping", "none"} <= set(seen)
    for action, motion in seen.items():
        axis, change = mini.PROGRAMMES[action]
        if axis is None:
            assert np.abs(motion).max() < 0.3
            continue
        along = motion[:, int(axis == "vertical")]
        flips = np.sign(along[1:]) != np.sign(along[:-1])
        assert flips.tolist() == [change == "to-and-fro"] * 2
        before, middle, after = np.abs(along)
        stands_out = middle > 1.5 * max(before, after) or 1.5 * middle < min(before, after)
        assert stands_out == (change == "stop-and-go")


# Tracks


@pytest.fixture(scope="module")
def document(made):
    return json.loads((made / "tracks.json").read_text())


def decoded(segmentation):
    """The mask of an RLE, or None; pycocotools wants bytes."""
    return segmentation and rle_tools.decode(segmentation).astype(bool)


def of_video(document, number):
    return [row for row in document["annotations"] if row["video_id"] == number]


class Drawn:
    """A scene of a frame with two figures, one with the first alone, and an empty one."""

    def __init__(self, video):
        del video

    def instances(self, index):
        first, second = np.zeros((2, 3, 4), bool)
        first[0, 1], second[1:, 2:] = True, True
        return [{0: first, 2: second}, {0: first}, {}][index]


def test_two_figures_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(mini, "Scene", Drawn)
    plans = [
        mini.VideoPlan(0, 0, "--abc", 0, 3, 3, (35, 16, 72), width=4),
        mini.VideoPlan(1, 0, "d", 1, 2, 3, (11, 12, 13), width=4),
    ]
    path = tmp_path / "new" / "tracks.json"
    assert mini.write_tracks(path, plans, 1) == path
    document = json.loads(path.read_text())
    size = {"height": 320, "width": 4}
    names = [f"--abc/{index:05d}.jpg" for index in range(3)]
    assert document["videos"] == [
        {"id": 1, **size, "length": 3, "file_names": names},
        {"id": 2, **size, "length": 2, "file_names": ["d/00000.jpg", "d/00001.jpg"]},
    ]
    assert [category["id"] for category in document["categories"]] == list(A2D.codes)
    assert {"id": 35, "name": "ball-jumping"} in document["categories"]
    first = {"size": [3, 4], "counts": "318"}  # by columns: 3 off, 1 on, 8 off
    second = {"size": [3, 4], "counts": "7210"}  # 7, 2, 1, 2, the last as its difference to 2
    assert [
        (row["id"], row["video_id"], row["category_id"], *(row[name] for name in mini.PER_FRAME))
        for row in document["annotations"]
    ] == [
        (1, 1, 35, [first, first, None], [[1, 0, 1, 1], [1, 0, 1, 1], None], [1, 1, None]),
        (2, 1, 72, [second, None, None], [[2, 1, 2, 2], None, None], [4, None, None]),
        (3, 2, 11, [first, first], [[1, 0, 1, 1], [1, 0, 1, 1]], [1, 1]),
        (4, 2, 13, [second, None], [[2, 1, 2, 2], None], [4, None]),
    ]
    for row in document["annotations"]:
        assert row["track_id"] == row["id"] and row["iscrowd"] == 0


def test_masks_are_those_of_the_release_on_annotated_frames(made, document):
    compared = 0
    for number, plan in enumerate(mini.plan(VIDEOS, SEED), 1):
        rows = of_video(document, number)
        for key in plan.keys:
            path = made / "Release" / "Annotations" / "mat" / plan.vid / f"{key:05d}.mat"
            with h5py.File(path, "r") as file:
                masks, codes = file["reMask"][()].reshape(-1, 400, 320), file["id"][0]
            shown = [row for row in rows if row["segmentations"][key - 1]]
            assert [row["category_id"] for row in shown] == codes.tolist()
            for row, mask in zip(shown, masks):
                np.testing.assert_array_equal(decoded(row["segmentations"][key - 1]), mask.T)
                compared += 1
    assert compared >= 3 * VIDEOS


def test_every_frame_has_every_figure_that_it_shows(monkeypatch):
    """With a threshold that hides figures on some frames."""
    plan = max(mini.plan(VIDEOS, SEED), key=lambda plan: len(plan.codes))
    whole = mini.video_tracks(plan)
    least = int(np.median([row["areas"] for row in whole]))
    monkeypatch.setattr(mini, "MIN_VISIBLE", least)
    rows, scene = mini.video_tracks(plan), mini.Scene(plan)
    assert {len(row[name]) for row in rows for name in mini.PER_FRAME} == {plan.frames}
    of_figure = {row["category_id"]: row for row in rows}
    hidden = 0
    for index in range(plan.frames):
        owners = scene.owners(index)
        for figure, code in enumerate(plan.codes, 1):
            visible = owners == figure
            mask, box, area = (
                of_figure[code][name][index] if code in of_figure else None
                for name in mini.PER_FRAME
            )
            if visible.sum() < least:
                assert mask is box is area is None
                hidden += 1
                continue
            np.testing.assert_array_equal(decoded(mask), visible)
            y, x = np.nonzero(visible)
            assert box == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert area == len(x)
    assert 0 < hidden < plan.frames * len(plan.codes)
