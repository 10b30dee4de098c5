"""The pipeline: splits, order and form of the batches, resuming."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, ModelConfig, TrainingConfig
from a2d_tf.data import clip_records
from a2d_tf.data.batches import pipeline


def config(frames=3, height=64, width=96, **training):
    """A run's settings, on the canvas of `mini_records` and without held-out videos."""
    model = ModelConfig(
        image_height=height, image_width=width, temporal_layers=frames // 2
    )
    settings = dict(max_instances=4, val_fraction=0.0, shuffle_buffer=100, batch_size=4)
    return Config(model=model, training=TrainingConfig(**{**settings, **training}))


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
