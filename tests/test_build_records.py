"""From a release to records and their report: contents, interruption, and what users see."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from a2d_files import mask, moving_frames, real, row, small_release, write_mat, write_video
from pycocotools import mask as rle_tools

from a2d_tf.data import convert, records
from a2d_tf.data.flow import Flow
from a2d_tf.data.manifest import Manifest, file_digest
from a2d_tf.data.release import Release
from a2d_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[1]
SETTINGS = convert.Settings(image_height=48, image_width=48, shard_videos=1)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return small_release(tmp_path_factory.mktemp("a2d") / "Release")


@pytest.fixture(scope="module")
def built(release, tmp_path_factory):
    """The records of the small release, built undisturbed."""
    output = tmp_path_factory.mktemp("records") / "out"
    convert.convert(release, output, SETTINGS, workers=1)
    return output


def contents(folder):
    """{path within the folder: bytes} of every file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def clips(output):
    """{(video, key frame): (parsed arrays, Truth)} of all records."""
    manifest, found = Manifest.load(output), {}
    for split in manifest.splits:
        for shard in manifest.shards(split):
            for serialized in records.read_shard(shard):
                truth = records.read_truth(serialized)
                fields = {k: v.numpy() for k, v in records.parse(serialized).items()}
                assert truth.split == split
                found[truth.video, truth.frame] = fields, truth
    return found


def run(*arguments, tool="build_records", **kwargs):
    command = [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **kwargs)


@pytest.mark.parametrize("key, count, stride, length, sources, clamped", [
    (4, 5, 1, 9, (2, 3, 4, 5, 6), (0, 0, 0, 0, 0)),
    (1, 5, 1, 9, (1, 1, 1, 2, 3), (1, 1, 0, 0, 0)),
    (9, 5, 2, 10, (5, 7, 9, 10, 10), (0, 0, 0, 1, 1)),
    (1, 3, 4, 1, (1, 1, 1), (1, 0, 1)),
    (5, 1, 1, 9, (5,), (0,)),
])  # fmt: skip
def test_clips_are_centred_and_clamped(key, count, stride, length, sources, clamped):
    assert convert.clip_sources(key, count, stride, length) == (sources, tuple(map(bool, clamped)))


def test_the_records_hold_the_release(release, built):
    source, found = Release(release), clips(built)
    assert set(found) == {("-b", 1), ("-b", 8), ("--a", 3), ("c", 4)}
    for (vid, frame), (fields, truth) in found.items():
        annotation = source.read_annotation(vid, frame)
        np.testing.assert_array_equal(truth.codes, annotation.codes)
        np.testing.assert_array_equal(truth.boxes, annotation.boxes)
        np.testing.assert_array_equal(truth.label_map, annotation.label_map)
        for rle, inside in zip(truth.rles, annotation.masks):
            np.testing.assert_array_equal(rle_tools.decode(rle), inside)
        assert fields["rgb"].shape == (5, 32, 48, 3) and truth.size == (32, 48)
        np.testing.assert_allclose(fields["boxes"], annotation.boxes / 2)
        key = dict(source.read_frames(vid, [frame]))[frame]
        small = cv2.resize(key, (48, 32), interpolation=cv2.INTER_AREA)
        assert np.abs(fields["rgb"][2].astype(int) - small).mean() < 2


def test_flow_spans_one_source_frame_and_missing_neighbours_have_none(release, built):
    source, found = Release(release), clips(built)
    for key, sources, still in ((1, [1, 1, 1, 2, 3], [0, 1, 2]), (8, [6, 7, 8, 8, 8], [3, 4])):
        fields, truth = found["-b", key]
        assert truth.clip_frames.tolist() == sources
        frames = {
            number: cv2.resize(frame, (48, 32), interpolation=cv2.INTER_AREA)
            for number, frame in source.read_frames("-b", range(1, 9))
        }
        for i, number in enumerate(sources):
            if i in still:
                assert not fields["flow"][i].any()
                continue
            wanted = Flow("dis")(frames[number - 1], frames[number])
            assert np.abs(fields["flow"][i] - wanted).max() <= np.abs(wanted).max() / 254 * 1.0001
            # The texture moves 4 native pixels a frame to the right, 2 stored ones.
            assert abs(np.median(fields["flow"][i][..., 0]) - 2) < 0.2
        for i in still:
            np.testing.assert_array_equal(fields["rgb"][i], fields["rgb"][2])


def test_a_stride_spreads_the_clip_but_not_its_flow(release, tmp_path):
    settings = convert.Settings(
        image_height=48, image_width=48, clip_frames=3, clip_stride=3, flow_method="farneback"
    )
    convert.convert(release, tmp_path / "out", settings, workers=1)
    fields, truth = clips(tmp_path / "out")["c", 4]
    assert truth.clip_frames.tolist() == [1, 4, 6] and fields["rgb"].shape[0] == 3
    assert not fields["flow"][0].any() and not fields["flow"][2].any()
    assert abs(np.median(fields["flow"][1][..., 0]) - 2) < 0.2


def test_the_manifest_counts_and_checks(built):
    manifest = Manifest.load(built)
    assert manifest.counts == {
        "train": {"videos": 2, "records": 3, "instances": 3, "pairs": {"16": 2, "34": 1}},
        "test": {"videos": 1, "records": 1, "instances": 1, "pairs": {"34": 1}},
    }
    assert manifest.sizes == {"32x48": 4} and manifest.skipped == []
    assert [shard["name"] for shard in manifest.files] == [
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
        "test-00000-of-00001.tfrecord",
    ]
    for shard in manifest.files:
        assert file_digest(built / shard["name"]) == shard["sha256"]
    assert {path.name for path in built.iterdir()} == {
        "manifest.json",
        *(shard["name"] for shard in manifest.files),
    }


def test_the_number_of_workers_does_not_matter(release, built, tmp_path):
    convert.convert(release, tmp_path / "out", SETTINGS, workers=2)
    assert contents(tmp_path / "out") == contents(built)


def build_one(release, output, number, settings=SETTINGS):
    """Build shard `number` in `output/.partial`, as an interrupted run leaves it; its path."""
    (output / ".partial").mkdir(parents=True, exist_ok=True)
    source = Release(release)
    shard = convert.plan(source, settings)[number]
    convert.build_shard(source, output, settings, shard, "fail", lambda: None)
    return output / ".partial" / shard.name


def test_an_interrupted_run_goes_on_from_its_finished_shards(release, built, tmp_path):
    finished = build_one(release, tmp_path / "out", 1)
    inode = finished.stat().st_ino
    (finished.parent / "train-00000-of-00002.tfrecord.99.tmp").write_bytes(b"half a sha")
    (finished.parent / "train-00000-of-00002.tfrecord").write_bytes(b"no sidecar yet")
    _, new = convert.convert(release, tmp_path / "out", SETTINGS, workers=1)
    assert new and contents(tmp_path / "out") == contents(built)
    assert (tmp_path / "out" / finished.name).stat().st_ino == inode  # moved, not built again


def test_a_run_interrupted_while_it_published(release, built, tmp_path):
    finished = build_one(release, tmp_path / "out", 0)
    inode = finished.stat().st_ino
    finished.rename(tmp_path / "out" / finished.name)
    convert.convert(release, tmp_path / "out", SETTINGS, workers=1)
    assert contents(tmp_path / "out") == contents(built)
    assert (tmp_path / "out" / finished.name).stat().st_ino == inode


def test_damaged_or_different_leftovers_are_built_anew(release, built, tmp_path):
    output = tmp_path / "out"
    other = convert.Settings(image_height=24, image_width=24, shard_videos=1)
    build_one(release, output, 0, other)
    finished = build_one(release, output, 1)
    finished.write_bytes(finished.read_bytes()[:-1])
    coarse = convert.Settings(image_height=24, image_width=24, shard_videos=2)
    build_one(release, output, 0, coarse).rename(output / "train-00000-of-00001.tfrecord")
    convert.convert(release, output, SETTINGS, workers=1)
    assert contents(output) == contents(built)


def test_killed_and_run_again(release, built, tmp_path):
    """A real SIGKILL, after the first shard is finished."""
    output = tmp_path / "out"
    arguments = ["--release", release, "--output", output, "--image_height=48", "--image_width=48",
                 "--shard_videos=1", "--workers=2"]  # fmt: skip
    command = [sys.executable, str(ROOT / "tools" / "build_records.py"), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list((output / ".partial").glob("*.json")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert contents(output) == contents(built)


def test_complete_records_are_left_alone(release, built, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(built, output)
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    _, new = convert.convert(release, output, SETTINGS, workers=1)
    assert not new and {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    for changed, words in (
        ({"flow_method": "farneback"}, "--flow_method dis, not farneback; choose another"),
        ({"clip_frames": 3}, "--clip_frames 5, not 3"),
        ({"shard_videos": 2}, "another release, --labels or --shard_videos"),
    ):
        fields = {**vars(SETTINGS), **changed}
        with pytest.raises(InputError, match=words):
            convert.convert(release, output, convert.Settings(**fields), workers=1)
    changed = tmp_path / "Release"
    shutil.copytree(release, changed)
    write_mat(
        changed / "Annotations/mat/c/00004.mat",
        np.zeros((64, 96)), [mask(64, 96, 8, 16, 40, 48)], [34], [[17, 9, 48, 40]],
    )  # fmt: skip
    with pytest.raises(InputError, match="another release"):
        convert.convert(changed, output, SETTINGS, workers=1)


@pytest.fixture
def broken(release, tmp_path):
    """The small release with a broken annotation, a truncated video and a lost folder."""
    root = tmp_path / "Broken"
    shutil.copytree(release, root)
    (root / "Annotations/mat/-b/00008.mat").write_bytes(b"text")
    write_video(root / "clips320H/--a.mp4", moving_frames(3, 64, 96, step=2))
    with open(root / "videoset.csv", "a") as file:
        file.write(",".join(map(str, row("d", 64, 96, 6, 1, 0))) + "\n")
    return root


def test_broken_items_are_skipped_and_reported(broken, tmp_path):
    output = tmp_path / "out"
    done = run("--release", broken, "--output", output, "--on_error=skip", "--workers=1")
    assert done.returncode == 0, done.stderr
    manifest = Manifest.load(output)
    assert [item["item"] for item in manifest.skipped] == [
        "Annotations/mat/-b/00008.mat",
        "clips320H/--a.mp4",
        "Annotations/mat/d",
    ]
    for item, words in zip(manifest.skipped, ("HDF5", "ends after 3 frames", "no annotation")):
        assert words in item["reason"] and item["item"] in done.stdout
    assert set(clips(output)) == {("-b", 1), ("c", 4)}
    with pytest.raises(InputError, match="3 broken items that were skipped.*--on_error skip"):
        convert.convert(broken, output, convert.Settings(), workers=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_item_ends_it_with_nothing_published(release, broken, tmp_path, workers):
    mended = "Annotations/mat/-b/00008.mat"
    shutil.copy(release / mended, broken / mended)
    done = run("--release", broken, "--output", tmp_path / "out", f"--workers={workers}")
    assert done.returncode == 1
    assert "error: " in done.stderr and "Traceback" not in done.stderr
    assert "--a.mp4: decoding ends after 3 frames" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".partial"]


def test_a_mended_release_goes_on(release, broken, built, tmp_path):
    """What `fail` stopped at is mended; the result is that of a release that was always whole."""
    output = tmp_path / "out"
    with pytest.raises(InputError, match="00008.mat"):
        convert.convert(broken, output, SETTINGS, workers=1)
    shutil.rmtree(broken)
    shutil.copytree(release, broken)
    convert.convert(broken, output, SETTINGS, workers=1)
    assert contents(output) == contents(built)


@pytest.mark.parametrize("arguments, words", [
    (["--release", "absent"], "absent/videoset.csv: no such file; --release"),
    (["--clip_frames=4"], "--clip_frames must be odd"),
    (["--image_width=0"], "--image_width must be at least 1"),
    (["--workers=0"], "--workers must be at least 1"),
    (["--labels=absent.json"], "absent.json: not a readable label space"),
    (["--flow_method=lucas"], "flow_method"),
    (["--output=/dev/null/x"], "/dev/null/x: cannot be written"),
])  # fmt: skip
def test_wrong_flags_end_with_one_clear_line(release, tmp_path, arguments, words):
    done = run("--release", release, "--output", tmp_path / "out", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_own_label_spaces_go_into_the_records(release, tmp_path):
    labels = tmp_path / "labels.json"
    names = [f"a{i}" for i in range(9)]
    labels.write_text(json.dumps({"actors": ["x", "y", "z"], "actions": names}))
    space = convert.LabelSpace.from_json(labels)
    convert.convert(release, tmp_path / "out", convert.Settings(label_space=space), workers=1)
    assert Manifest.load(tmp_path / "out").label_space == space


def test_inspection_lists_every_instance(built, tmp_path):
    done = run("--records", built, "--json", tmp_path / "list.json", "--draw", tmp_path / "draw",
               tool="inspect_records")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {(r["video"], r["frame"]): r for r in json.loads((tmp_path / "list.json").read_text())}
    assert set(rows) == {("-b", 1), ("-b", 8), ("--a", 3), ("c", 4)}
    assert rows["--a", 3]["instances"] == []
    first = rows["-b", 1]
    assert (first["split"], first["height"], first["width"]) == ("train", 32, 48)
    assert first["clip_frames"] == [1, 1, 1, 2, 3]
    adult, ball = first["instances"]
    assert (adult["actor"], adult["action"], adult["code"]) == ("adult", "rolling", 16)
    assert adult["box"] == [8, 4, 24, 20] and adult["area"] == 16 * 16
    assert adult["flow_mean"] == [0, 0]  # the first frame of a video
    assert ball["code"] == 34 and ball["box"] == [20, 15, 40.5, 25.5]
    (moved,) = rows["c", 4]["instances"]
    np.testing.assert_allclose(moved["flow_mean"], [2, 0], atol=0.2)
    drawn = sorted(os.listdir(tmp_path / "draw"))
    assert drawn == ["--a_00003.png", "-b_00001.png", "-b_00008.png", "c_00004.png"]
    assert cv2.imread(str(tmp_path / "draw" / "c_00004.png")).shape == (320, 3 * 480, 3)


def test_inspection_of_one_split_up_to_a_limit(built, tmp_path):
    out = tmp_path / "new" / "list.json"
    done = run("--records", built, "--json", out, "--split=train", "--limit=2",
               tool="inspect_records")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())
    assert [(r["video"], r["frame"]) for r in rows] == [("-b", 1), ("-b", 8)]


def test_inspection_names_a_damaged_shard(built, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(built, output)
    shard = output / "train-00001-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    out = tmp_path / "list.json"
    done = run("--records", output, "--json", out, tool="inspect_records")
    assert done.returncode == 1 and f"error: {shard}: damaged records" in done.stderr
    assert "Traceback" not in done.stderr and not out.exists()


def test_real_clips(tmp_path):
    settings = convert.Settings(clip_frames=3)
    manifest, _ = convert.convert(real("real_clips/Release"), tmp_path, settings, workers=1)
    assert manifest.sizes == {"144x256": 50}
    assert [manifest.counts[s]["records"] for s in ("train", "test")] == [30, 20]
    for fields, truth in clips(tmp_path).values():
        (box,), (inside,) = fields["boxes"], fields["masks"]
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        edges = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
        np.testing.assert_allclose(box, edges, atol=3)
        native = rle_tools.decode(truth.rles[0]).sum() * (256 / 568) ** 2
        assert abs(inside.sum() / native - 1) < 0.1
