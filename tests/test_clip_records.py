"""The record format: what is written is what is read, on and off the graph."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import tensorflow as tf
from a2d_files import mask, moving_frames
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data import clip_records
from a2d_tf.data.clip_record import ClipRecord
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.annotation import Annotation

NATIVE, STORED = (40, 60), (20, 30)


def clip(
    masks=None,
    codes=(11, 57),
    boxes=((2, 4, 12, 24), (10, 20, 40, 60)),
    frames=3,
    flow=None,
):
    """A record of `frames` frames; by default with two overlapping instances."""
    if masks is None:
        masks = [mask(*NATIVE, 2, 4, 12, 24), mask(*NATIVE, 10, 20, 40, 60)]
    masks = np.array(masks, bool).reshape(-1, *NATIVE)
    label_map = np.zeros(NATIVE, np.uint8)
    for code, inside in zip(codes, masks):
        label_map[inside] = code
    if flow is None:
        flow = (
            np.random.default_rng(0)
            .normal(0, 3, (frames, *STORED, 2))
            .astype(np.float32)
        )
        flow[:, :4] = 0
    return ClipRecord(
        video="--x",
        frame=7,
        split="train",
        clip_frames=tuple(range(7 - frames // 2, 8 + frames // 2)),
        rgb=np.array(moving_frames(frames, *STORED, step=2)),
        flow=flow,
        annotation=Annotation(
            label_map,
            masks,
            np.array(codes, np.int32),
            np.array(boxes, np.float32).reshape(-1, 4),
        ),
    )


def test_truth_comes_back_exactly():
    record = clip()
    truth = clip_records.read_truth(clip_records.encode(record))
    assert (truth.video, truth.frame, truth.split) == ("--x", 7, "train")
    assert truth.native_size == NATIVE and truth.size == STORED
    assert truth.clip_frames.tolist() == [6, 7, 8]
    assert truth.codes.tolist() == [11, 57] and truth.codes.dtype == np.int32
    np.testing.assert_array_equal(truth.boxes, record.annotation.boxes)
    np.testing.assert_array_equal(truth.label_map, record.annotation.label_map)
    assert truth.label_map.dtype == np.uint8
    for rle, inside in zip(truth.rles, record.annotation.masks):
        np.testing.assert_array_equal(rle_tools.decode(rle), inside)


def tracked(tracks, **fields):
    """The record of `clip`, with identities."""
    record = clip(**fields)
    annotation = dataclasses.replace(
        record.annotation, tracks=np.array(tracks, np.int64)
    )
    return dataclasses.replace(record, annotation=annotation)


def test_identities_come_back_and_are_left_out_where_there_are_none():
    without = clip_records.encode(clip())
    serialized = clip_records.encode(tracked([2**40, -1]))
    tracks = clip_records.read_truth(serialized).tracks
    assert tracks.tolist() == [2**40, -1] and tracks.dtype == np.int64
    assert clip_records.read_truth(without).tracks is None
    example = tf.train.Example.FromString(serialized)
    assert example.features.feature.pop("track").int64_list.value == [2**40, -1]
    assert example.SerializeToString(deterministic=True) == without
    np.testing.assert_array_equal(
        clip_records.parse(serialized)["masks"], clip_records.parse(without)["masks"]
    )
    empty = clip_records.read_truth(
        clip_records.encode(tracked([], masks=[], codes=(), boxes=()))
    )
    assert empty.tracks.shape == (0,) and empty.tracks.dtype == np.int64


def parsed(*records):
    """The records as the input pipeline parses them, in one dataset."""
    serialized = [clip_records.encode(record) for record in records]
    return tf.data.Dataset.from_tensor_slices(serialized).map(clip_records.parse)


def without_instances(frames):
    return clip(masks=[], codes=(), boxes=(), frames=frames)


def test_a_parsed_dataset_has_clips_of_any_length():
    data = parsed(clip(frames=3), without_instances(frames=5))
    assert data.element_spec["rgb"].shape.as_list() == [None, None, None, 3]
    assert data.element_spec["boxes"].shape.as_list() == [None, 4]
    lengths = [fields["rgb"].shape[0] for fields in data.as_numpy_iterator()]
    assert lengths == [3, 5]


def test_a_parsed_clip_is_at_the_stored_size():
    record = clip()
    (fields,) = parsed(record).as_numpy_iterator()
    assert fields["rgb"].shape == (3, *STORED, 3) and fields["rgb"].dtype == np.uint8
    difference = np.abs(fields["rgb"].astype(int) - record.rgb)
    assert difference.mean() < 2.5 and difference.max() < 16  # JPEG of quality 95
    # Boxes move with the frame: half the height, half the width.
    assert fields["boxes"].tolist() == [[1, 2, 6, 12], [5, 10, 20, 30]]
    assert fields["codes"].tolist() == [11, 57] and fields["codes"].dtype == np.int32
    expected = [mask(*STORED, 1, 2, 6, 12), mask(*STORED, 5, 10, 20, 30)]
    np.testing.assert_array_equal(fields["masks"], expected)
    assert fields["masks"].dtype == np.uint8
    assert fields["video"] == b"--x" and fields["frame"] == 7
    assert fields["native_size"].tolist() == [40, 60]


def test_a_clip_may_have_no_instance():
    record = without_instances(frames=5)
    (fields,) = parsed(record).as_numpy_iterator()
    assert fields["masks"].shape == (0, *STORED) and fields["boxes"].shape == (0, 4)
    assert fields["codes"].shape == (0,)
    truth = clip_records.read_truth(clip_records.encode(record))
    assert truth.rles == [] and truth.boxes.shape == (0, 4)
    assert not truth.label_map.any()


def test_flow_components_do_not_mix_and_fast_ones_are_cut():
    flow = np.zeros((3, *STORED, 2), np.float32)
    flow[1] = 5.0, -2.5
    flow[2, 3, 4] = 640.0, -0.1
    got = clip_records.parse(clip_records.encode(clip(flow=flow)))["flow"].numpy()
    assert not got[0].any()
    np.testing.assert_allclose(
        got[1], np.broadcast_to([5.0, -2.5], (*STORED, 2)), atol=0.06
    )
    np.testing.assert_allclose(got[2, 3, 4], [64.0, 0.0], atol=0.6)
    still = np.ones(STORED, bool)
    still[:8, :8] = False  # the block of the fast pixel
    assert not got[2, ..., 0][still].any() and not got[2, ..., 1].any()


def test_a_mask_is_where_half_a_pixel_is_covered_and_never_vanishes():
    half = np.zeros((4, 8), bool)
    # covers half of column 0, all of 1, half of 2 at half the width
    half[:, 1:5] = True
    assert (
        clip_records.resize_mask(half, 2, 4).tolist() == [[True, True, True, False]] * 2
    )
    speck = np.zeros((8, 8), bool)
    speck[5, 6] = True
    assert np.argwhere(clip_records.resize_mask(speck, 2, 2)).tolist() == [[1, 1]]
    assert not clip_records.resize_mask(np.zeros((8, 8), bool), 2, 2).any()


def manifest_of(folder, **changes):
    """Save and load a manifest of one train shard, of one empty record."""
    folder.mkdir(exist_ok=True)
    (folder / "t.tfrecord").write_bytes(bytes(16))
    empty = {"videos": 0, "records": 0, "instances": 0, "pairs": {}}
    shard = {
        "name": "t.tfrecord",
        "split": "train",
        "records": 1,
        "bytes": 16,
        "sha256": "",
    }
    fields = dict(flow_method="dis", image_height=256, image_width=256)
    fields |= dict(
        clip_frames=5, clip_stride=1, sizes={}, native_sizes={}, files=[shard]
    )
    fields |= dict(counts={"train": {**empty, "records": 1}, "test": empty}, skipped=[])
    fields |= dict(repaired=[], labels=json.loads(A2D.to_json()), source="")
    Manifest(**{**fields, **changes}).save(folder)
    manifest = Manifest.load(folder)
    assert manifest.label_space == A2D and manifest.splits == ("train",)
    return manifest


def test_unusable_folders_of_records(tmp_path):
    def refused(words):
        with pytest.raises(InputError, match=words):
            Manifest.load(tmp_path)

    refused("manifest.json: No such file.*a2d records")
    for field, value in (
        ("counts", []),
        ("clip_stride", 0),
        (
            "files",
            [{"name": "../t.tfrecord", "split": "train", "records": 1, "bytes": 16}],
        ),
    ):
        with pytest.raises(InputError, match=f"manifest.json: {field}"):
            manifest_of(tmp_path, **{field: value})
    manifest_of(tmp_path)
    for data, problem in (
        (b"ab", "2 bytes instead of 16"),
        (bytes(32), "32 bytes instead of 16"),
    ):
        (tmp_path / "t.tfrecord").write_bytes(data)
        refused(f"t.tfrecord: .*{problem}")
    (tmp_path / "t.tfrecord").unlink()
    refused("t.tfrecord: missing, 0 bytes instead of 16")
    (tmp_path / "manifest.json").write_text("{")
    refused("manifest.json: ")


# Motion maps.

GRIDS = {"mixed_4f": (10, 14, 832), "mixed_5c": (5, 7, 1024)}
GRIDS["flow_histograms"] = (20, 28, 27)


def motion_maps(seed=0):
    """Random maps as records have them: whole multiples of range / 255, some zero."""
    rng = np.random.default_rng(seed)
    maps = {}
    for name, shape in GRIDS.items():
        pixels = rng.integers(0, 256, shape).astype(np.float32)
        pixels[0, 0] = 255  # the largest of each channel
        pixels[..., 3] = 0
        maps[name] = pixels * rng.uniform(0.01, 9, shape[2]).astype(np.float32) / 255
    return maps


def test_quantised_motion_maps_come_back_exactly():
    maps = motion_maps()
    record = dataclasses.replace(clip(), motion=maps)
    serialized = clip_records.encode(record)
    clip_of_maps = clip_records.parse_motion_maps(serialized, maps)
    assert clip_of_maps["motion_size"].numpy().tolist() == [160, 224]
    for name, motion_map in maps.items():
        found = clip_of_maps[name].numpy()
        assert found.dtype == np.float32 and not found[..., 3].any()
        np.testing.assert_allclose(found, motion_map, 3e-7)


def test_the_error_of_a_motion_map_is_half_a_step_of_its_channel():
    rng = np.random.default_rng(1)
    motion_map = rng.exponential(1, GRIDS["mixed_5c"]).astype(np.float32)
    motion_map[..., 0] *= 1e6
    motion_map[..., 1] *= 1e-36
    motion_map[..., 2] = 0
    record = dataclasses.replace(clip(), motion={"mixed_5c": motion_map})
    serialized = clip_records.encode(record)
    found = clip_records.parse_motion_maps(serialized, ["mixed_5c"])["mixed_5c"].numpy()
    steps = motion_map.max((0, 1)) / 255
    steps[1] *= 2 * 255  # too small to be told from zero
    assert (np.abs(found - motion_map) <= 0.5001 * steps).all()
    features = tf.train.Example.FromString(serialized).features.feature
    scales = features["mixed_5c_scale"].float_list.value
    np.testing.assert_array_equal(scales, motion_map.max((0, 1)))
    png = np.frombuffer(features["mixed_5c"].bytes_list.value[0], np.uint8)
    pixels = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (5, 7 * 1024) and pixels.dtype == np.uint8
    assert pixels[2, 3 * 1024 + 7] == round(
        255 * motion_map[2, 3, 7] / motion_map[..., 7].max()
    )


def test_motion_maps_are_decoded_only_where_they_are_asked_for():
    plain = clip_records.encode(clip())
    serialized = clip_records.encode(
        dataclasses.replace(clip(), motion={"flow_histograms": np.ones((20, 28, 27))})
    )
    expected = clip_records.parse(plain)
    found = clip_records.parse(serialized)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_manifest_says_which_motion_maps_there_are(tmp_path):
    without = manifest_of(tmp_path / "without")
    assert without.motion is None
    assert "motion" not in (tmp_path / "without/manifest.json").read_text()
    without.check_motion("", False)
    with pytest.raises(InputError, match="without: records .* a2d records") as error:
        without.check_motion("i3d", True)
    assert "--action_backbone=i3d --flow_histograms in" in str(error.value)

    both = MotionFacts("i3d", "12ab", True)
    assert manifest_of(tmp_path / "both", motion=both).motion == both
    fields = json.loads((tmp_path / "both/manifest.json").read_text())
    assert fields["motion"] == {
        "action_backbone": "i3d",
        "sha256": "12ab",
        "flow_histograms": True,
    }
    fields["motion"]["stride"] = 8  # as a later version may write
    (tmp_path / "both/manifest.json").write_text(json.dumps(fields))
    assert Manifest.load(tmp_path / "both").motion == both
    for backbone in ("", "i3d"):
        manifest_of(tmp_path / "both", motion=both).check_motion(backbone, True)
    flow = manifest_of(tmp_path / "flow", motion=MotionFacts("", "", True))
    flow.check_motion("", True)
    with pytest.raises(InputError, match="records --action_backbone=i3d in"):
        flow.check_motion("i3d", True)
    with pytest.raises(InputError, match="motion.action_backbone"):
        manifest_of(tmp_path / "wrong", motion=MotionFacts("../i3d", "", True))
