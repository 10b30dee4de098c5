"""The pipeline: one map for all parts of a clip, padding, splits, order, resuming."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.config import Config, ModelConfig, TrainingConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data import clip_records, pipeline


def config(frames=3, height=64, width=96, **training):
    """A run's settings, on the canvas of `mini_records` and without held-out videos."""
    model = ModelConfig(
        image_height=height, image_width=width, temporal_layers=frames // 2
    )
    settings = dict(max_instances=4, val_fraction=0.0, shuffle_buffer=100, batch_size=4)
    return Config(model=model, training=TrainingConfig(**{**settings, **training}))


def scene():
    """Make a black clip of 3 frames with a white rectangle at [8, 12, 20, 30].

    Its flow is (2, -1).
    """
    rgb = np.zeros((3, 32, 48, 3), np.uint8)
    flow = np.zeros((3, 32, 48, 2), np.float32)
    masks = np.zeros((1, 32, 48), np.uint8)
    rgb[:, 8:20, 12:30] = 255
    flow[:, 8:20, 12:30] = [2, -1]
    masks[:, 8:20, 12:30] = 1
    return rgb, flow, np.float32([[8, 12, 20, 30]]), masks


def example(**override):
    rgb, flow, boxes, masks = scene()
    fields = dict(rgb=rgb, flow=flow, boxes=boxes, masks=masks, codes=np.int32([43]))
    fields |= dict(video="v", frame=7, native_size=np.int32([320, 480]), **override)
    fields.setdefault("has_mask", np.ones(len(fields["codes"]), bool))
    return {name: tf.constant(value) for name, value in fields.items()}


def warp(parts, window, flip):
    made = pipeline.warp(
        *map(tf.constant, parts), window=tf.constant(window, tf.float32), flip=flip
    )
    return [part.numpy() for part in made]


def augmented(given, seed, **changes):
    off = dict(flip=False, scale_jitter=0.0, colour_jitter=0.0)
    training = TrainingConfig(**{**off, **changes})
    return pipeline.augment(given, tf.constant(seed, tf.int64), training)


def extent(image):
    rows, columns = np.nonzero(image)
    return [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]


# One map for all parts.


def test_the_whole_frame_is_the_identity_or_its_mirror():
    rng = np.random.default_rng(0)
    rgb, flow, boxes, masks = parts = (
        rng.integers(0, 256, (3, 20, 31, 3), np.uint8),
        rng.normal(0, 5, (3, 20, 31, 2)).astype(np.float32),
        np.float32([[1, 2, 7.5, 9]]),
        rng.integers(0, 2, (1, 20, 31), np.uint8),
    )
    mirrored = (
        rgb[:, :, ::-1],
        flow[:, :, ::-1] * np.float32([-1, 1]),
        np.float32([[1, 22, 7.5, 29]]),
        masks[:, :, ::-1],
    )
    for flip, expected in ((False, parts), (True, mirrored)):
        for made, part in zip(warp(parts, [0, 0, 20, 31], flip), expected):
            np.testing.assert_allclose(made, part, atol=2e-5)
            assert made.dtype == part.dtype


@pytest.mark.parametrize(
    "window, flip, box, vector",
    [
        ([4, 8, 16, 24], False, [8, 8, 32, 44], [4, -2]),
        ([4, 8, 16, 24], True, [8, 4, 32, 40], [-4, -2]),
        # 4 times taller, twice as wide
        ([8, 12, 8, 24], False, [0, 0, 48, 36], [4, -4]),
    ],
)
def test_a_window_enlarges_all_parts(window, flip, box, vector):
    rgb, flow, boxes, masks = warp(scene(), window, flip)
    np.testing.assert_allclose(boxes, [box], atol=1e-4)
    assert (
        extent(masks[0])
        == extent(rgb[1, ..., 0] > 127)
        == [*box[:2], min(box[2], 32), box[3]]
    )
    np.testing.assert_allclose(flow[1, 20, 24], vector, atol=1e-4)


def test_augmentation_mirrors_half_of_the_clips():
    given = example()
    draws = [
        float(augmented(given, [1, i], flip=True)["boxes"][0, 1]) for i in range(30)
    ]
    assert set(draws) == {12.0, 18.0}
    assert 8 <= draws.count(12.0) <= 22


def test_instances_cut_away_are_dropped_with_all_their_parts(monkeypatch):
    window = tf.constant([0.0, 0, 16, 24])
    monkeypatch.setattr(pipeline, "_random_window", lambda *_: window)
    boxes = np.float32(
        [
            [2, 2, 10, 10],  # whole
            [20, 30, 30, 40],  # outside
            [15, 4, 31, 20],  # one sixteenth is left, too little
            [12, 4, 32, 20],  # a fifth is left
            [4, 23.5, 8, 24.5],  # half is left, but one pixel wide after the zoom
        ]
    )
    masks = np.zeros((5, 32, 48), np.uint8)
    for mask, (y1, x1, y2, x2) in zip(masks, np.round(boxes).astype(int)):
        mask[y1:y2, x1:x2] = 1
    given = example(boxes=boxes, masks=masks, codes=np.int32([11, 21, 34, 43, 54]))
    made = augmented(given, [0, 0], scale_jitter=0.5)
    assert made["codes"].numpy().tolist() == [11, 43]
    np.testing.assert_allclose(
        made["boxes"], [[4, 4, 20, 20], [24, 8, 32, 40]], atol=1e-4
    )
    assert [extent(mask) for mask in made["masks"].numpy()] == [
        [4, 4, 20, 20],
        [24, 8, 32, 40],
    ]


def test_colour_jitter_leaves_what_lies_outside_the_frame(monkeypatch):
    window = tf.constant([-16.0, -24, 64, 96])
    monkeypatch.setattr(pipeline, "_random_window", lambda *_: window)
    given = example(rgb=np.full((3, 32, 48, 3), 100, np.uint8))
    inside = np.zeros((32, 48), bool)
    inside[8:24, 12:36] = True
    tints = set()
    for i in range(6):
        made = augmented(given, [0, i], scale_jitter=0.5, colour_jitter=0.2)
        rgb = made["rgb"].numpy()
        assert not rgb[:, ~inside].any()
        tints.add(int(rgb[0, 16, 24, 0]))
        assert (rgb[:, inside] == rgb[0, 16, 24, 0]).all()
    assert len(tints) > 4


# Fitting and padding.


def test_resizing_scales_all_parts_to_the_canvas():
    made = pipeline._resize_to_canvas(example(), (16, 40))
    assert made["rgb"].shape == (3, 16, 24, 3)
    assert made["boxes"].numpy().tolist() == [[4, 6, 10, 15]]
    assert extent(made["masks"][0].numpy()) == [4, 6, 10, 15]
    np.testing.assert_allclose(made["flow"][0, 7, 10], [1, -0.5], atol=1e-5)
    assert extent(made["rgb"][0, ..., 0].numpy() > 127) == [4, 6, 10, 15]


def test_pad_keeps_the_largest_first():
    boxes = np.float32([[0, 0, 4, 4], [0, 0, 10, 10], [0, 0, 6, 6]])
    masks = np.stack([np.full((32, 48), i, np.uint8) for i in (1, 2, 3)])
    given = example(boxes=boxes, masks=masks, codes=np.int32([11, 43, 79]))
    made = pipeline._pad(given, canvas=(40, 50), frames=3, max_instances=2, base=10)
    assert made["boxes"].numpy().tolist() == [[0, 0, 10, 10], [0, 0, 6, 6]]
    assert made["actors"].numpy().tolist() == [3, 6]
    assert made["actions"].numpy().tolist() == [2, 8]
    assert made["masks"][:, 0, 0].numpy().tolist() == [2, 3]
    assert made["present"].numpy().tolist() == [True, True]
    assert made["rgb"].shape == (3, 40, 50, 3) and made["flow"].shape == (3, 40, 50, 2)
    assert made["size"].numpy().tolist() == [32, 48]
    assert made["native_size"].numpy().tolist() == [320, 480]


NOTHING = dict(
    boxes=np.zeros((0, 4), "f"),
    masks=np.zeros((0, 32, 48), "u1"),
    codes=np.zeros(0, np.int32),
)


@pytest.mark.parametrize(
    "given, changed, annotated",
    [
        ({}, {}, True),
        (NOTHING, NOTHING, True),  # background alone, as the record says
        ({}, NOTHING, False),  # zoomed out of sight: a part of it may be seen
    ],
)
def test_absent_rows_fill_up_and_background_is_known_where_all_instances_are(
    given, changed, annotated, mini_records, monkeypatch
):
    monkeypatch.setattr(clip_records, "parse", lambda *_: example(**given))
    settings = config(height=32, width=48, max_instances=3)
    load = pipeline._loader(mini_records, settings, 4, lambda *_: example(**changed))
    made = load(tf.constant(5, tf.int64), tf.constant(b""))
    assert made["annotated"].numpy() == annotated and made["row"].numpy() == 1
    count = len(changed.get("codes", [43]))
    assert made["present"].numpy().tolist() == [i < count for i in range(3)]
    assert made["boxes"].numpy().tolist() == [[8, 12, 20, 30]] * count + [[0] * 4] * (
        3 - count
    )
    assert (
        made["masks"].shape == (3, 32, 48) and not made["masks"][count:].numpy().any()
    )


# Splits.


@pytest.mark.parametrize(
    "video, bucket",
    [
        ("KVOXdI4vSDE", 367),
        ("5kMTHwjy6Z8", 39),
        ("EadxBPmQvtg", 162),
        ("I0MlLHTWCro", 621),
    ],
)
def test_the_hash_of_a_video_never_changes(video, bucket):
    assert not pipeline.is_validation(video, bucket / 1000)
    assert pipeline.is_validation(video, (bucket + 1) / 1000)


def stored(manifest, split):
    """(video, frame) of every record, in order."""
    return [
        (truth.video, truth.frame)
        for path in manifest.shards(split)
        for truth in map(clip_records.read_truth, clip_records.read_shard(path))
    ]


def keys(batch):
    return [
        (v.decode(), int(f))
        for v, f in zip(batch["video"].numpy(), batch["frame"].numpy())
    ]


def evaluation(manifest, split, batch_size=5, fraction=0.0, frames=3):
    return pipeline.evaluation(
        manifest, split, config(frames, val_fraction=fraction), batch_size
    )


def evaluated(manifest, split, fraction):
    return [
        key for batch in evaluation(manifest, split, 5, fraction) for key in keys(batch)
    ]


def test_validation_takes_whole_videos_out_of_training_in_the_order_of_the_records(
    mini_records,
):
    assert evaluated(mini_records, "test", 0.7) == stored(mini_records, "test")
    val, train = (evaluated(mini_records, split, 0.7) for split in ("val", "train"))
    held, rest = ({video for video, _ in part} for part in (val, train))
    assert len(held) == 2 and len(rest) == 2 and not held & rest
    order = stored(mini_records, "train")
    assert train == [key for key in order if key[0] in rest]
    assert val == [key for key in order if key[0] in held]
    batches = training(mini_records, 3, val_fraction=0.7)
    assert {key for batch in batches for key in keys(batch)} == set(train)


# Training batches.


def training(manifest, batches=None, frames=3, start_step=0, replicas=1, **training):
    """The dataset, or a list of its first batches."""
    settings = config(frames, **training)
    dataset = pipeline.training(
        manifest, settings, start_step=start_step, replicas=replicas
    )
    return dataset if batches is None else list(dataset.take(batches))


@pytest.fixture(scope="module")
def stream(mini_records):
    """Three epochs of seed 0 in batches of 4."""
    return training(mini_records, 9)


def equal(a, b):
    return all((a[name].numpy() == b[name].numpy()).all() for name in a)


def test_batches_have_the_promised_form(stream):
    batch = stream[0]
    found = {
        name: (value.dtype.name, value.shape.as_list()) for name, value in batch.items()
    }
    clip = {"rgb": ("uint8", [3, 64, 96, 3]), "flow": ("float32", [3, 64, 96, 2])}
    clip |= {
        "size": ("int32", [2]),
        "native_size": ("int32", [2]),
        "annotated": ("bool", []),
    }
    clip |= {"video": ("string", []), "frame": ("int32", []), "row": ("int32", [])}
    clip |= {"boxes": ("float32", [4, 4]), "masks": ("uint8", [4, 64, 96])}
    clip |= dict.fromkeys(("actors", "actions"), ("int32", [4]))
    clip |= dict.fromkeys(("present", "has_mask"), ("bool", [4]))
    assert found == {
        name: (dtype, [4, *shape]) for name, (dtype, shape) in clip.items()
    }
    assert batch["row"].numpy().tolist() == [0, 1, 2, 3]
    assert batch["size"].numpy().tolist() == [[64, 80]] * 4
    assert batch["native_size"].numpy().tolist() == [[320, 400]] * 4
    assert not batch["rgb"][:, :, :, 80:].numpy().any()
    assert not batch["flow"][:, :, :, 80:].numpy().any()
    assert batch["rgb"][:, :, :, :80].numpy().any()


def test_elements_are_the_records_own(mini_records):
    batch = next(iter(evaluation(mini_records, "train", 12)))
    shards = mini_records.shards("train")
    serialized = [record for path in shards for record in clip_records.read_shard(path)]
    for row, record in enumerate(serialized):
        whole = clip_records.parse(record)
        count = len(whole["codes"])
        assert whole["rgb"].shape[0] == 5
        # Three of the five frames, about the same key frame.
        assert (batch["rgb"][row, :, :, :80] == whole["rgb"][1:4]).numpy().all()
        assert (batch["flow"][row, :, :, :80] == whole["flow"][1:4]).numpy().all()
        codes = 10 * (batch["actors"][row] + 1) + batch["actions"][row] + 1
        assert sorted(codes[:count].numpy()) == sorted(whole["codes"].numpy())
        assert (codes[count:].numpy() == 0).all()
        for code, box in zip(codes[:count], batch["boxes"][row]):
            own = whole["boxes"][whole["codes"] == code]
            assert (own == box).numpy().all(axis=1).any()


def test_a_resumed_stream_is_the_undisturbed_one(mini_records, tmp_path):
    serialized = [
        r
        for path in mini_records.shards("train")
        for r in clip_records.read_shard(path)
    ]
    names = [f"{i}.tfrecord" for i in range(5)]
    for i, name in enumerate(names):
        clip_records.write_shard(tmp_path / name, serialized[i::5])
    files = [{"name": name, "split": "train", "records": 1} for name in names]
    manifest = dataclasses.replace(mini_records, directory=str(tmp_path), files=files)
    # Batches of 5 from 12 records: epochs end within batches; blocks of 4: so do
    # blocks.
    whole = training(manifest, 9, batch_size=5, shuffle_buffer=4)
    epoch = [key for batch in whole[:3] for key in keys(batch)][:12]
    assert sorted(epoch) == sorted(stored(mini_records, "train"))
    for step in (1, 7):
        resumed = training(manifest, 2, batch_size=5, shuffle_buffer=4, start_step=step)
        assert all(map(equal, whole[step:], resumed))
    other = training(manifest, 1, batch_size=5, shuffle_buffer=4, seed=4)
    assert not equal(whole[0], other[0])
    data = bytearray((tmp_path / "3.tfrecord").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "3.tfrecord").write_bytes(data)
    with pytest.raises(InputError, match=f"{tmp_path}/3.tfrecord: corrupt"):
        training(manifest, 1)


def test_a_shard_emptied_meanwhile_ends_the_stream(mini_records, tmp_path):
    """Each epoch opens the shards again; with none it would look for a clip forever."""
    shutil.copytree(mini_records.directory, tmp_path, dirs_exist_ok=True)
    manifest = dataclasses.replace(mini_records, directory=str(tmp_path))
    batches = iter(pipeline.training(manifest, config()))
    next(batches)
    next(tmp_path.glob("train-*")).write_bytes(b"")
    with pytest.raises(tf.errors.FailedPreconditionError):
        for _ in range(20):
            next(batches)


def test_each_epoch_has_every_record_once_in_an_order_and_a_view_of_its_own(
    mini_records, stream
):
    order = [key for batch in stream for key in keys(batch)]
    epochs, in_order = (
        [order[i : i + 12] for i in (0, 12, 24)],
        stored(mini_records, "train"),
    )
    for epoch in epochs:
        assert sorted(epoch) == sorted(in_order)
    assert len({tuple(epoch) for epoch in [*epochs, in_order]}) == 4
    threes = [
        key for batch in training(mini_records, 4, batch_size=3) for key in keys(batch)
    ]
    assert threes == order[:12]  # whatever the batches
    views = {}
    for key, rgb in zip(
        order, (rgb for batch in stream for rgb in batch["rgb"].numpy())
    ):
        views.setdefault(key, []).append(rgb)
    assert all((first != second).any() for first, second, _ in views.values())


def test_settings_that_do_not_fit_are_refused(mini_records):
    for make, named in (
        (lambda: training(mini_records, 1, frames=7), "--clip_frames=7"),
        (lambda: evaluation(mini_records, "test", frames=7), "--clip_frames=7"),
        (lambda: training(mini_records, 1, val_fraction=1.0), "--val_fraction=1.0"),
        (lambda: training(mini_records, batch_size=5, replicas=2), "--batch_size"),
        (lambda: evaluation(mini_records, "validation"), "split 'validation'"),
    ):
        with pytest.raises(InputError, match=named):
            make()


def test_replicas_see_together_what_one_sees_alone(mini_records):
    # Steps 1 and 2 of batches of 6 from 12 records: an epoch ends among them.
    options = dict(batch_size=6, start_step=1)
    alone = training(mini_records, 2, **options)
    halves = training(mini_records, 4, replicas=2, **options)
    for whole, first, second in zip(alone, halves[::2], halves[1::2]):
        for name, value in whole.items():
            together = np.concatenate([first[name], second[name]])
            np.testing.assert_array_equal(together, value, err_msg=name)
