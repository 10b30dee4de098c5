"""The mini A2D: its layout byte by byte, its splits, drawings, motion and tracks."""

import collections
import csv
import filecmp

import cv2
import h5py
import numpy as np
import pytest
from processes import run_a2d, succeeded

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.mini import mini_a2d, programmes
from a2d_tf.data.mini.plan import plan as plan_videos
from a2d_tf.data.mini.scenes import Scene

VIDEOS, SEED = 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a release, made by the command."""
    output = tmp_path_factory.mktemp("mini")
    flags = f"--output={output}", f"--videos={VIDEOS}", f"--seed={SEED}", "--workers=1"
    succeeded(run_a2d("mini", *flags))
    return output


def test_the_layout_is_that_of_a2d(made):
    """Nine columns and no header, whole clips, annotations at sixths of a clip."""
    release, plans = made / "Release", plan_videos(VIDEOS, SEED)
    rows = list(csv.reader((release / "videoset.csv").read_text().splitlines()))
    assert len(rows) == VIDEOS
    for row, video in zip(rows, plans):
        numbers = (320, 400, video.frames, video.annotated, video.usage)
        times = "00:00:00", "00:00:02"
        assert row == [video.vid, str(video.codes[0]), *times, *map(str, numbers)]
        found = list(video_frames.read(release / "clips320H" / f"{video.vid}.mp4"))
        assert len(found) == video.frames and found[0][1].shape == (320, 400, 3)
        for kind, suffix in (("mat", "mat"), ("col", "png")):
            names = sorted(
                p.name for p in (release / "Annotations" / kind / row[0]).iterdir()
            )
            keys = [k * (video.frames // 6) for k in range(1, video.annotated + 1)]
            assert names == [f"{key:05d}.{suffix}" for key in keys]


def test_annotations_read_back_as_drawn(made):
    for video in plan_videos(VIDEOS, SEED):
        scene = Scene(video)
        for key in video.keys:
            instances = scene.instances(key - 1)
            codes, masks = (
                [video.codes[i] for i in instances],
                np.stack([*instances.values()]),
            )
            assert codes[0] == video.codes[0]  # the clip's label is always in sight
            assert masks.sum(axis=0).max() == 1 and masks.sum(axis=(1, 2)).min() >= 40
            folder = made / "Release" / "Annotations"
            with h5py.File(folder / "mat" / video.vid / f"{key:05d}.mat", "r") as file:
                stored = file["reMask"][()]
                assert stored.ndim == (2 if len(codes) == 1 else 3)
                stored = stored.reshape(-1, 400, 320).transpose(0, 2, 1)
                np.testing.assert_array_equal(stored, masks)
                assert file["id"].dtype == np.float64 and file["id"][()].tolist() == [
                    codes
                ]
                label_map = (np.array(codes)[:, None, None] * masks).sum(axis=0)
                np.testing.assert_array_equal(file["reS_id"][()].T, label_map)
                for (x1, y1, x2, y2), mask in zip(
                    file["reBBox"][()].T.astype(int), masks
                ):
                    y, x = np.nonzero(mask)
                    assert (x1, y1, x2, y2) == (
                        x.min() + 1,
                        y.min() + 1,
                        x.max() + 1,
                        y.max() + 1,
                    )
            image = cv2.imread(str(folder / "col" / video.vid / f"{key:05d}.png"))
            np.testing.assert_array_equal(image[..., ::-1], A2D.palette[label_map])


def test_mat_is_matlab_73_with_a_cell_of_names(tmp_path):
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1:3, 2:5] = masks[1, 3, 0] = True
    path = tmp_path / "frame.mat"
    mini_a2d.write_mat(path, [36, 78], masks)
    head = path.read_bytes()[:520]
    assert head.startswith(b"MATLAB 7.3 MAT-file") and head[124:128] == b"\x00\x02IM"
    assert head[128:512] == bytes(384) and head[512:520] == b"\x89HDF\r\n\x1a\n"
    with h5py.File(path, "r") as file:
        assert file["reBBox"][()].tolist() == [[3, 1], [2, 4], [5, 1], [3, 4]]
        assert file["reMask"].shape == (2, 6, 4) and file["reS_id"].shape == (6, 4)
        names = file["class"]
        assert (
            names.shape == (1, 2)
            and h5py.check_ref_dtype(names.dtype) is h5py.Reference
        )
        texts = [file[reference] for reference in names[0]]
        assert all(text.dtype == np.uint16 for text in texts)
        assert ["".join(map(chr, text[:, 0])) for text in texts] == [
            "ball-rolling",
            "dog-walking",
        ]


def test_workers_change_no_byte(made, tmp_path):
    release, other = (
        made / "Release",
        mini_a2d.make_release(tmp_path, VIDEOS, SEED, workers=2),
    )
    files = sorted(p.relative_to(release) for p in release.rglob("*") if p.is_file())
    assert files == sorted(
        p.relative_to(other) for p in other.rglob("*") if p.is_file()
    )
    assert filecmp.cmpfiles(release, other, files, shallow=False)[0] == files
    assert [p.name for p in tmp_path.iterdir()] == ["Release"]
    # It is there already.
    assert mini_a2d.make_release(tmp_path, VIDEOS, SEED, workers=1) == other
    with pytest.raises(InputError, match=f"--videos=3 --seed={SEED}; delete it"):
        mini_a2d.make_release(tmp_path, 3, SEED, workers=1)


def test_splits_pairs_and_names_of_a_plan():
    for videos in (4, 5, 7, 400):
        tests = sum(video.usage for video in plan_videos(videos, 0))
        assert 0.3 * videos <= tests < 0.3 * videos + 1
    plans = plan_videos(400, 0)
    leads = collections.Counter((v.usage, v.codes[0]) for v in plans)
    for usage, videos in ((0, 280), (1, 120)):
        counts = [leads[usage, code] for code in A2D.codes]
        assert (
            sum(counts) == videos
            and max(counts) - min(counts) <= 1
            and min(counts) >= 2
        )
    vids = [video.vid for video in plans]
    assert set(vids).isdisjoint(v.vid for v in plan_videos(400, 1))
    assert len(set(vids)) == 400 and all(len(vid) == 11 for vid in vids)
    assert sum(vid.startswith("--") for vid in vids) >= 20  # as command-line options do
    assert sum(vid.startswith("-") and not vid.startswith("--") for vid in vids) >= 20


def test_masks_follow_the_pixels():
    """A frame drawn without its actors differs exactly where they are."""
    scenes = [(video, Scene(video)) for video in plan_videos(8, 0)]
    video, scene = next(
        (v, scene) for v, scene in scenes if len(scene._layers) == len(v.codes)
    )
    empty, key = Scene(video), video.keys[1] - 1
    empty._layers = []
    changed = np.any(scene.image(key) != empty.image(key), axis=2)
    covered = scene.owners(key) > 0
    # chance equality of colours
    assert (covered & ~changed).sum() <= 0.03 * covered.sum()
    halo = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (changed & ~halo).any()


def relative_motion(video):
    """Flow inside the mask of a figure less flow outside, pixels a frame.

    It is that of three steps about the second key frame, [3, 2], at 160x128; None where
    the figure is too small there.
    """
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    scene = Scene(video)
    key = video.keys[1] - 1
    size = (160, 128)
    owners = cv2.resize(scene.owners(key), size, interpolation=cv2.INTER_NEAREST)
    mask = owners == 1
    if mask.sum() < 200:
        return None
    greys = []
    for index in range(key - 2, key + 2):
        grey = cv2.cvtColor(scene.image(index), cv2.COLOR_BGR2GRAY)
        greys.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    motion = []
    for previous, current in zip(greys, greys[1:]):
        flow = dis.calc(previous, current, None)
        motion.append(np.median(flow[mask], axis=0) - np.median(flow[~mask], axis=0))
    return np.array(motion)


def first_motion(action):
    """Motion in the first clip in which a figure does it alone."""
    for video in plan_videos(400, 0):
        if len(video.codes) == 1 and A2D.name(video.codes[0]).endswith(f"-{action}"):
            motion = relative_motion(video)
            if motion is not None:
                return motion
    raise AssertionError(f"no clip of {action}")


MOVES = [
    action
    for action, programme in programmes.PROGRAMMES.items()
    if programme.axis in ("horizontal", "vertical")
]


@pytest.mark.parametrize("action", MOVES)
def test_figures_move_by_programme_relative_to_the_scene(action):
    axis, rule = programmes.PROGRAMMES[action]
    along = first_motion(action)[:, int(axis == "vertical")]
    flips = np.sign(along[1:]) != np.sign(along[:-1])
    assert flips.tolist() == [rule == "to-and-fro"] * 2
    before, middle, after = np.abs(along)
    is_faster = middle > 1.5 * max(before, after)
    is_slower = 1.5 * middle < min(before, after)
    assert (is_faster or is_slower) == (rule == "stop-and-go")


def test_figures_that_do_nothing_stand_still_in_the_scene():
    assert np.abs(first_motion("none")).max() < 0.3
