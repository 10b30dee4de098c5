"""Records with motion maps: what is in them, and that the rest is as without."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from a2d_files import (
    mask,
    moving_frames,
    row,
    write_mat,
    write_release,
    write_video,
)
from processes import complaint, run_a2d, succeeded
from test_library import contents
from test_on_beam import PROCESSES, on_beam

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, ModelConfig, TrainingConfig
from a2d_tf.data import clip_records
from a2d_tf.data.batches import pipeline
from a2d_tf.data.conversion import convert
from a2d_tf.data.conversion.shard_building import Conversion, MotionSettings
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.release import Release

SETTINGS = convert.ConversionSettings(image_height=48, image_width=48, shard_videos=1)
KEYS = {"long": (3, 50, 200), "short": (1, 12), "c": (2,)}
SIZES = {"long": (64, 96), "short": (96, 64), "c": (64, 64)}
LENGTHS = {"long": 200, "short": 12, "c": 2}
NAMES = ("mixed_4f", "mixed_5c", "flow_histograms")


@dataclasses.dataclass(frozen=True)
class Grey:
    """A block function: grey levels of cells, weighted by channel."""

    factor: float = 1.0

    def __call__(self, frames):
        assert frames.shape[0] == 32 and frames.dtype == np.uint8
        grey = frames.mean(axis=3, dtype=np.float32) * self.factor
        maps = {}
        for name, step, stride, count in (
            ("mixed_4f", 4, 16, 832),
            ("mixed_5c", 8, 32, 1024),
        ):
            rows = frames.shape[1] // stride
            shape = (32 // step, step, rows, stride, -1, stride)
            cells = grey.reshape(shape).mean(axis=(1, 3, 5))
            maps[name] = cells[..., None] * np.arange(count, dtype=np.float32)
        return maps


BOTH = MotionSettings(MotionFacts("i3d", "1a", True), Grey())
FLOW = MotionSettings(MotionFacts("", "", True))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Two videos to train on, with few key frames, and one of two frames to test on."""
    root = tmp_path_factory.mktemp("release")
    rows = []
    for seed, (vid, size) in enumerate(SIZES.items()):
        length = LENGTHS[vid]
        frames = moving_frames(length, *size, step=1, seed=seed)
        write_video(root / "clips320H" / f"{vid}.mp4", frames)
        rows.append(row(vid, *size, length, len(KEYS[vid]), int(vid == "c")))
        inside = mask(*size, 8, 16, 40, 48)
        for key in KEYS[vid]:
            path = root / "Annotations/mat" / vid / f"{key:05d}.mat"
            labels = np.where(inside, 16, 0)
            write_mat(path, labels, [inside], [16], [[17, 9, 48, 40]])
    return write_release(root, rows)


def build(release, output, motion, **options):
    options = {"workers": 1, **options}
    manifest, _ = convert.convert(
        Release(release), output, SETTINGS, motion=motion, **options
    )
    return manifest


@pytest.fixture(scope="module")
def records(release, tmp_path_factory):
    """The folders of records without maps, and with both kinds."""
    folder = tmp_path_factory.mktemp("records")
    build(release, folder / "without", None)
    build(release, folder / "both", BOTH)
    return folder


def serialized_records(folder):
    """{(video, key frame): record}, in the order of the shards."""
    manifest = Manifest.load(folder)
    found = {}
    for shard in manifest.files:
        for record in clip_records.read_shard(folder / shard["name"]):
            truth = clip_records.read_truth(record)
            found[truth.video, truth.frame] = record
    return found


def maps_of_whole_film(release, vid, key):
    """The maps of a stream to which all frames are given."""
    stream = MotionStream(Grey(), flow_histograms=True)
    for number, frame in video_frames.read(Release(release).frames_path(vid)):
        stream.add(number - 1, frame)
    stream.end()
    return stream.maps(key - 1)


def test_each_record_has_the_maps_of_its_key_frame(release, records):
    found = serialized_records(records / "both")
    assert [*found] == [(vid, key) for vid, keys in KEYS.items() for key in keys]
    for (vid, key), record in found.items():
        clip = clip_records.parse_motion_maps(record, NAMES)
        sides = {"long": [160, 256], "short": [256, 160], "c": [160, 160]}
        assert clip["motion_size"].numpy().tolist() == sides[vid]
        for name, expected in maps_of_whole_film(release, vid, key).items():
            steps = expected.max(axis=(0, 1)) / 255
            error = np.abs(clip[name].numpy() - expected)
            assert (error <= 0.501 * steps).all(), (vid, key, name)
            # Channel 0 of the fake features is zero.
            assert expected[..., 1:].any()


def test_only_blocks_of_key_frames_are_decoded(release, tmp_path, monkeypatch):
    decoded = {}

    def read(path, numbers, remedy):
        decoded[path.stem] = set(numbers)
        return whole_read(path, numbers, remedy)

    whole_read = video_frames.read
    monkeypatch.setattr(video_frames, "read", read)
    build(release, tmp_path / "out", BOTH)
    # Frames from 1: blocks 0 and 1 hold 64 frames, the blocks of frame 200 from 161.
    # Frame 50 needs no block 2, whose first map has its middle 16.5 frames away.
    assert decoded["long"] == {*range(1, 65), *range(161, 201)}
    build(release, tmp_path / "flow", FLOW)
    assert decoded["long"] == {*range(1, 9), *range(45, 57), *range(195, 201)}


def without_maps(record):
    """Return a record without the features of motion maps."""
    example = tf.train.Example.FromString(record)
    for name in NAMES:
        for feature in (name, f"{name}_scale"):
            assert feature in example.features.feature
            del example.features.feature[feature]
    return example.SerializeToString(deterministic=True)


def test_the_rest_of_records_is_equal_byte_by_byte(records):
    plain = serialized_records(records / "without")
    both = serialized_records(records / "both")
    assert plain.keys() == both.keys()
    for key, record in both.items():
        assert without_maps(record) == plain[key]
    assert Manifest.load(records / "without").motion is None
    assert Manifest.load(records / "both").motion == BOTH.facts
    sources = {Manifest.load(path).source for path in records.iterdir()}
    assert len(sources) == 2


def test_workers_make_the_same_records(release, records, tmp_path):
    build(release, tmp_path / "out", BOTH, workers=2)
    assert contents(tmp_path / "out") == contents(records / "both")


def test_a_finished_shard_of_other_maps_is_built_anew(release, records, tmp_path):
    output = tmp_path / "out"
    (output / ".partial").mkdir(parents=True)
    other = MotionSettings(MotionFacts("i3d", "1b", True), Grey(2.0))
    for motion in (None, FLOW, other):
        conversion = Conversion(Release(release), output, SETTINGS, motion=motion)
        conversion.build(conversion.shards()[1])
    build(release, output, BOTH)
    assert contents(output) == contents(records / "both")


@pytest.mark.parametrize(
    "facts, named",
    [
        (None, "--action_backbone --flow_histograms"),
        (MotionFacts("i3d", "1a", False), "--flow_histograms"),
        (MotionFacts("", "", True), "--action_backbone"),
        (MotionFacts("i3d", "1b", True), "file of weights of the --action_backbone"),
    ],
)
def test_complete_records_of_other_maps_are_refused(release, records, facts, named):
    motion = facts and MotionSettings(facts, Grey())
    output = records / "both"
    before = contents(output)
    with pytest.raises(InputError, match=f"records of another {named}; use another"):
        build(release, output, motion)
    build(release, output, BOTH)
    assert contents(output) == before


def test_key_frames_before_an_error_keep_their_records(release, tmp_path):
    """The maps of frame 3 are whole before the film breaks off, those of 50 are not."""
    broken = shutil.copytree(release, tmp_path / "Release")
    frames = moving_frames(60, *SIZES["long"], step=1)
    write_video(broken / "clips320H/long.mp4", frames)
    with pytest.raises(InputError, match=r"long.mp4: decoding ends after 60 frames"):
        build(broken, tmp_path / "failed", BOTH)
    manifest = build(broken, tmp_path / "out", BOTH, on_error="skip")
    assert [item["item"] for item in manifest.skipped] == ["clips320H/long.mp4"]
    found = serialized_records(tmp_path / "out")
    assert [*found] == [("long", 3), ("short", 1), ("short", 12), ("c", 2)]


def config():
    return Config(
        model=ModelConfig(image_height=48, image_width=48, temporal_layers=1),
        training=TrainingConfig(max_instances=2, val_fraction=0.0),
    )


def test_batches_are_padded_to_their_largest_maps(records):
    manifest = Manifest.load(records / "both")
    fields = (*pipeline.CLIP, *pipeline.MOTION)
    batches = list(pipeline.evaluation(manifest, "train", config(), 4, fields=fields))
    assert [len(batch["video"]) for batch in batches] == [4, 1]
    batch = batches[0]
    sizes = [[160, 256], [160, 256], [160, 256], [256, 160]]
    assert batch["motion_size"].numpy().tolist() == sizes
    # With a film on its side in the batch.
    assert batch["mixed_4f"].shape == (4, 16, 16, 832)
    assert batch["mixed_5c"].shape == (4, 8, 8, 1024)
    assert batch["flow_histograms"].shape == (4, 32, 32, 27)
    found = serialized_records(records / "both")
    for name, stride in (("mixed_4f", 16), ("mixed_5c", 32), ("flow_histograms", 8)):
        for i, record in enumerate([*found.values()][:4]):
            rows, columns = np.array(sizes[i]) // stride
            padded = batch[name][i].numpy()
            expected = clip_records.parse_motion_maps(record, [name])[name]
            np.testing.assert_array_equal(padded[:rows, :columns], expected)
            assert not padded[rows:].any() and not padded[:, columns:].any()
    specification = pipeline.evaluation(
        manifest, "train", config(), 4, fields=["flow_histograms"]
    ).element_spec["flow_histograms"]
    assert specification.shape.as_list() == [None, None, None, 27]


def test_the_other_fields_of_batches_are_as_without_maps(records):
    batches = []
    for name, fields in (
        ("without", pipeline.CLIP),
        ("both", pipeline.CLIP),
        ("both", (*pipeline.CLIP, "mixed_5c")),
    ):
        manifest = Manifest.load(records / name)
        dataset = pipeline.evaluation(manifest, "train", config(), 5, fields=fields)
        batches.append(next(iter(dataset)))
    assert batches[1].keys() == batches[0].keys() == {*pipeline.CLIP}
    for name in pipeline.CLIP:
        for batch in batches[1:]:
            np.testing.assert_array_equal(batch[name], batches[0][name])


# The command, with I3D of random weights.

SIZE_FLAGS = ("--image_height=48", "--image_width=48", "--shard_videos=1")
MAP_FLAGS = ("--action_backbone=i3d", "--flow_histograms")


@pytest.fixture(scope="module")
def said_and_records(release, random_i3d, tmp_path_factory):
    """What the command says, and the folder of its records."""
    output = tmp_path_factory.mktemp("command") / "out"
    words = (f"--release={release}", f"--output={output}", *SIZE_FLAGS, "--workers=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2D_TF_CACHE", str(random_i3d))
        said = succeeded(run_a2d("records", *words, *MAP_FLAGS))
    return said, output


@pytest.mark.slow
def test_the_command_stores_maps_and_says_their_size(
    release, records, said_and_records
):
    said, output = said_and_records
    manifest = Manifest.load(output)
    assert manifest.motion == MotionFacts("i3d", "5eed", True)
    size = sum((output / shard["name"]).stat().st_size for shard in manifest.files)
    ending = f"complete, 0 items skipped, {size / 6000:.0f} kB a clip with motion maps"
    assert said.splitlines()[-2] == f"{output}: {ending}"
    assert said.splitlines()[-1].startswith("flow beside RGB: r = ")
    words = (f"--release={release}", f"--output={output}", *SIZE_FLAGS)
    line = complaint(run_a2d("records", *words))
    assert "another --action_backbone --flow_histograms; use" in line
    plain = serialized_records(records / "without")
    for key, record in serialized_records(output).items():
        assert without_maps(record) == plain[key]
        clip = clip_records.parse_motion_maps(record, NAMES)
        for name in NAMES[:2]:
            assert np.ptp(clip[name].numpy()) > 0


@pytest.mark.slow
def test_beam_makes_the_same_records(release, random_i3d, said_and_records, tmp_path):
    output = tmp_path / "beam"
    words = (f"--release={release}", f"--output={output}", *SIZE_FLAGS, *MAP_FLAGS)
    done = on_beam(
        "records",
        *words,
        runner=(*PROCESSES, "--direct_num_workers=1"),
        A2D_TF_CACHE=str(random_i3d),
    )
    assert "kB a clip with motion maps" in succeeded(done)
    assert contents(output) == contents(said_and_records[1])
