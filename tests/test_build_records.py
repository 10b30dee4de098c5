"""From a release to records and their report: contents, interruption, messages."""

import dataclasses
import errno
import json
import os
import random
import shutil

import numpy as np
import pytest
from a2d_files import (
    add_rows,
    mask,
    moving_frames,
    row,
    write_mat,
    write_release,
    write_video,
)
from processes import complaint, run_a2d, succeeded
from pycocotools import mask as rle_tools
from test_library import contents

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest
from a2d_tf.core.labels import A2D
from a2d_tf.core.machine.tasks import Task
from a2d_tf.data import clip_records
from a2d_tf.data.clip_records.quantisation import MAX_FLOW
from a2d_tf.data.conversion import convert
from a2d_tf.data.conversion.clips import clip_frames
from a2d_tf.data.conversion.sidecar import Sidecar
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.preparation.flow import Flow, grey
from a2d_tf.data.preparation.resizing import resize_frame
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.sources.release import Release

SETTINGS = convert.ConversionSettings(image_height=48, image_width=48, shard_videos=1)


def build(release, output, settings=SETTINGS, **options):
    source = release if isinstance(release, Release) else Release(release)
    return convert.convert(source, output, settings, **{"workers": 1, **options})


def clips(output):
    """{(video, key frame): (parsed arrays, Truth)} of all records."""
    manifest, found = Manifest.load(output), {}
    for split, shard in (
        (s, shard) for s in manifest.splits for shard in manifest.shards(s)
    ):
        for serialized in clip_records.read_shard(shard):
            truth = clip_records.read_truth(serialized)
            assert truth.split == split
            fields = {k: v.numpy() for k, v in clip_records.parse(serialized).items()}
            found[truth.video, truth.frame] = fields, truth
    return found


def test_clips_are_centred_and_clamped():
    def frames(key, count, stride, length):
        return [tuple(frame) for frame in clip_frames(key, count, stride, length)]

    inside = [(2, False), (3, False), (4, False), (5, False), (6, False)]
    assert frames(key=4, count=5, stride=1, length=9) == inside
    at_the_start = [(1, True), (1, True), (1, False), (2, False), (3, False)]
    assert frames(key=1, count=5, stride=1, length=9) == at_the_start
    at_the_end = [(5, False), (7, False), (9, False), (10, True), (10, True)]
    assert frames(key=9, count=5, stride=2, length=10) == at_the_end
    of_one_frame = [(1, True), (1, False), (1, True)]
    assert frames(key=1, count=3, stride=4, length=1) == of_one_frame


def test_the_manifest_counts_and_checks(small_records):
    manifest = Manifest.load(small_records)
    assert manifest.counts == {
        "train": {
            "videos": 2,
            "records": 3,
            "instances": 3,
            "pairs": {"16": 2, "34": 1},
        },
        "test": {"videos": 1, "records": 1, "instances": 1, "pairs": {"34": 1}},
    }
    assert manifest.sizes == {"32x48": 4} and manifest.native_sizes == {"64x96": 3}
    assert manifest.skipped == [] and manifest.repaired == []

    names = [shard["name"].partition(".")[0] for shard in manifest.files]
    assert names == [
        "train-00000-of-00002",
        "train-00001-of-00002",
        "test-00000-of-00001",
    ]
    for shard in manifest.files:
        assert file_digest(small_records / shard["name"]) == shard["sha256"]
    assert len([*small_records.iterdir()]) == 5  # and the manifest and the lock


def build_one(release, output, number, settings=SETTINGS):
    """Build a shard in `output/.partial`, as an interrupted run leaves it; its path."""
    (output / ".partial").mkdir(parents=True, exist_ok=True)
    conversion = convert.Conversion(Release(release), output, settings)
    shard = conversion.shards()[number]
    conversion.build(shard)
    return output / ".partial" / shard.name


def test_a_sidecar_may_have_further_fields(small_source, tmp_path):
    """As a later version may write."""
    path = build_one(small_source, tmp_path / "out", 0)
    sidecar_path = path.with_name(f"{path.name}.json")
    sidecar = Sidecar.load(sidecar_path)
    assert sidecar.clips
    fields = sidecar.to_fields()
    fields["clips"][0]["seconds"] = 1.5
    sidecar_path.write_text(json.dumps(fields))
    assert Sidecar.load(sidecar_path) == sidecar


@pytest.fixture
def finish(small_source, small_records, tmp_path):
    """Builds what is missing in tmp_path/out; the records are then `small_records`."""

    def build_rest(**options):
        build(small_source, tmp_path / "out", **options)
        assert contents(tmp_path / "out") == contents(small_records)

    return build_rest


@pytest.mark.parametrize("published", [False, True])
def test_an_interrupted_run_goes_on_from_its_finished_shards(
    small_source, finish, tmp_path, published
):
    """Interrupted while it built, or while it published."""
    output, finished = tmp_path / "out", build_one(small_source, tmp_path / "out", 1)
    inode = finished.stat().st_ino
    (finished.parent / "train-00000-of-00002.tfrecord.99.tmp").write_bytes(
        b"half a sha"
    )
    (finished.parent / "train-00000-of-00002.tfrecord").write_bytes(b"no sidecar yet")
    if published:
        finished.rename(output / finished.name)
    finish()
    assert (output / finished.name).stat().st_ino == inode  # moved, not built again


@pytest.mark.parametrize("task, sidecar", [("1/1", "[]"), ("3/3", '{"fingerprint": "')])
def test_damaged_or_different_leftovers_are_built_anew(
    small_source, finish, tmp_path, task, sidecar
):
    output = tmp_path / "out"
    build_one(small_source, output, 0, dataclasses.replace(SETTINGS, image_height=24))
    finished = build_one(small_source, output, 1)
    finished.write_bytes(finished.read_bytes()[:-1])
    finished = build_one(small_source, output, 2)
    finished.with_name(f"{finished.name}.json").write_text(sidecar)
    whole, _ = build_task(small_source, output, task)
    assert (whole is None) == (task == "3/3") and (
        output / "manifest.json"
    ).exists() == bool(whole)
    finish()


def test_another_process_publishes_first(small_source, small_records, tmp_path):
    def late(*_):
        shutil.copytree(small_records, tmp_path / "out", dirs_exist_ok=True)
        raise FileNotFoundError(2, "the shard's folder is gone")

    manifest, new = build(small_source, tmp_path / "out", builder=late)
    assert manifest == Manifest.load(tmp_path / "out") and not new


def test_sizes_that_a_manifest_may_not_have_are_refused_first(small_source, tmp_path):
    with pytest.raises(
        InputError, match="--clip_stride: 1001 is not an integer from 1 to 1000"
    ):
        build(
            small_source,
            tmp_path / "out",
            dataclasses.replace(SETTINGS, clip_stride=1001),
        )
    assert not (tmp_path / "out").exists()


def test_complete_records_are_left_alone(small_source, small_records, tmp_path):
    output = shutil.copytree(small_records, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    _, new = build(small_source, output)
    assert (
        not new
        and {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    )
    for changed in {"clip_stride": 2}, {"clip_frames": 3}, {"shard_videos": 2}:
        with pytest.raises(InputError, match="--" + next(iter(changed))):
            build(small_source, output, dataclasses.replace(SETTINGS, **changed))
    changed = shutil.copytree(small_source, tmp_path / "Release")
    one = mask(64, 96, 8, 16, 40, 48)
    path = changed / "Annotations/mat/c/00004.mat"
    write_mat(path, np.zeros((64, 96)), [one], [34], [[17, 9, 48, 40]])
    with pytest.raises(InputError, match="another source"):
        build(changed, output)


def test_broken_items_are_skipped_and_reported(small_copy, tmp_path):
    """A broken annotation, a truncated video and a misnamed annotation."""
    (small_copy / "Annotations/mat/-b/00008.mat").write_bytes(b"text")
    write_video(small_copy / "clips320H/--a.mp4", moving_frames(3, 64, 96, step=2))
    shutil.copy(small_copy / "clips320H/c.mp4", small_copy / "clips320H/d.mp4")
    (small_copy / "Annotations/mat/d").mkdir()
    (small_copy / "Annotations/mat/d/4.mat").write_bytes(b"")
    add_rows(small_copy, row("d", 64, 96, 6, 1, 0))
    output = tmp_path / "out"
    words = [f"--release={small_copy}", f"--output={output}", "--workers=1"]
    said = succeeded(run_a2d("records", *words, "--on_error=skip"))
    manifest = Manifest.load(output)
    found = [item["item"] for item in manifest.skipped]
    assert found == [
        "Annotations/mat/-b/00008.mat",
        "clips320H/--a.mp4",
        "Annotations/mat/d",
    ]
    causes = "HDF5", "ends after 3 frames", "such as 00001.mat"
    for item, words in zip(manifest.skipped, causes):
        assert words in item["reason"] and item["item"] in said
    assert set(clips(output)) == {("-b", 1), ("c", 4)}


def test_missing_files_are_told_before_any_work(small_copy, tmp_path):
    """No record disappears without a word; a video's other annotations are used."""
    root, output = small_copy, tmp_path / "out"
    (root / "clips320H" / "--a.mp4").unlink()
    (root / "Annotations/mat/-b/00001.mat").unlink()
    shutil.rmtree(root / "Annotations/mat/c")
    with pytest.raises(InputError, match="1 of 3 .*--a.mp4; restore"):
        build(root, output)
    assert not output.exists()
    manifest, _ = build(root, output, on_error="skip")
    items = [item["item"] for item in manifest.skipped]
    assert items == ["Annotations/mat/-b", "clips320H/--a.mp4", "Annotations/mat/c"]
    assert set(clips(output)) == {("-b", 8)}
    assert manifest.native_sizes == {"64x96": 1}


def random_release(root, rng):
    """Write random videos and annotations; return {(vid, frame): truth}."""
    rows, truths = [], {}
    for vid in ("-1", "--2", "x3"):
        height, width = (int(2 * n) for n in rng.integers(16, 41, 2))
        count = int(rng.integers(3, 9))
        frames = moving_frames(
            count, height, width, step=int(rng.integers(1, 4)), seed=len(rows)
        )
        write_video(root / "clips320H" / f"{vid}.mp4", frames)
        keys = rng.choice(count, int(rng.integers(1, 4)), replace=False) + 1
        rows.append(row(vid, height, width, count, len(keys), int(vid == "x3")))
        for key in map(int, keys):
            instances = int(rng.integers(5))
            masks = rng.random((instances, height, width)) < rng.uniform(0.01, 0.6)
            masks[:, 0, 0] = True  # none is empty, and they overlap
            codes = rng.choice(A2D.codes, instances)
            label_map = rng.choice([0, *A2D.codes], (height, width))
            boxes = np.empty((instances, 4), int)
            for first, last, limit in ((0, 2, width), (1, 3, height)):
                ends = np.sort(rng.integers(1, limit + 1, (instances, 2)), axis=1)
                boxes[:, [first, last]] = np.where(
                    rng.random((instances, 1)) < 0.3, [1, limit], ends
                )
            path = root / "Annotations/mat" / vid / f"{key:05d}.mat"
            write_mat(path, label_map, masks, codes, boxes)
            truths[vid, key] = codes, boxes, masks, label_map
    return write_release(root, rows), truths


@pytest.mark.parametrize("seed", range(2))
def test_what_goes_in_comes_out(seed, tmp_path):
    rng = np.random.default_rng(seed)
    root, truths = random_release(tmp_path / "Release", rng)
    clip = {
        "clip_frames": int(rng.choice([1, 3, 5])),
        "clip_stride": int(rng.integers(1, 3)),
    }
    settings = convert.ConversionSettings(image_height=48, image_width=64, **clip)
    source = Release(root)
    build(source, tmp_path / "out", settings)
    found = clips(tmp_path / "out")
    assert set(found) == set(truths)
    for (vid, key), (codes, boxes, masks, label_map) in truths.items():
        fields, truth = found[vid, key]
        np.testing.assert_array_equal(truth.codes, codes)
        np.testing.assert_array_equal(fields["codes"], codes)
        np.testing.assert_array_equal(
            truth.boxes, boxes[:, [1, 0, 3, 2]] - [1, 1, 0, 0]
        )
        np.testing.assert_array_equal(truth.label_map, label_map)
        decoded = np.reshape([*map(rle_tools.decode, truth.rles)], masks.shape)
        np.testing.assert_array_equal(decoded, masks)
        (height, width), (small_height, small_width) = label_map.shape, truth.size
        scale = np.array([small_height / height, small_width / width] * 2)
        np.testing.assert_allclose(fields["boxes"], truth.boxes * scale, rtol=1e-5)
        assert fields["masks"].shape == (len(codes), *truth.size)
        assert fields["masks"].any(axis=(1, 2)).all()
        native = dict(video_frames.read(source.frames_path(vid)))
        decoded = {
            number: resize_frame(frame, *truth.size) for number, frame in native.items()
        }
        middle = settings.clip_frames // 2
        sources = clip_frames(
            key, settings.clip_frames, settings.clip_stride, len(decoded)
        )
        assert truth.clip_frames.tolist() == [source.number for source in sources]
        for i, number in enumerate(truth.clip_frames):
            wanted = np.zeros((*truth.size, 2))
            if number > 1 and number == key + (i - middle) * settings.clip_stride:
                pair = (grey(native[n], truth.size) for n in (number - 1, number))
                wanted = Flow(settings.flow_method)(*pair, truth.size)
            most = min(np.abs(wanted).max(), MAX_FLOW)
            error = np.abs(fields["flow"][i] - np.clip(wanted, -most, most)).max()
            assert error <= most / 127 * 2.5001 + 1e-6
            assert np.abs(fields["rgb"][i].astype(int) - decoded[number]).mean() < 2.5


def test_wrong_flags_end_with_one_clear_line(small_source):
    done = run_a2d("records", "--release", small_source, "--output=/dev/null/x")
    assert "/dev/null/x: cannot be written" in complaint(done)
    words = ("--release", small_source, "--bouts=e.csv", "--output=/dev/null/x")
    assert "--bouts gives actions to --annotations" in complaint(
        run_a2d("records", *words)
    )
    with pytest.raises(InputError, match="--clip_frames must be odd"):
        convert.ConversionSettings(clip_frames=4)


def test_an_input_that_cannot_be_read_is_no_output_that_cannot_be_written(
    small_source, tmp_path
):
    errors = {
        "^/videos/a.mp4: Input/output error": ("/videos/a.mp4", errno.EIO),
        "out: cannot be written .*Permission": (str(tmp_path / "out/x"), errno.EACCES),
    }
    for message, (path, number) in errors.items():

        def fail(*_, path=path, number=number):
            raise OSError(number, os.strerror(number), path)

        with pytest.raises(InputError, match=message):
            build(small_source, tmp_path / "out", builder=fail)


def build_task(release, output, task):
    return build(release, output, task=Task.parse(task))


def test_tasks_in_any_order_make_the_records_of_one_process(
    small_source, small_records, tmp_path
):
    count = 5
    tasks = [f"{number}/{count}" for number in range(1, count + 1)]
    shards = [set(Task.parse(task).share(range(3))) for task in tasks]
    random.shuffle(tasks)
    done: set = set()
    for task in tasks:
        done |= shards[Task.parse(task).number - 1]
        manifest, new = build_task(small_source, tmp_path / "out", task)
        assert (manifest is not None) == (len(done) == 3)
    assert contents(tmp_path / "out") == contents(small_records)
    found = build_task(small_source, tmp_path / "out", tasks[0])
    assert found == (Manifest.load(tmp_path / "out"), False)
