"""Copy-paste: pixels, flow, masks and boxes of a paste, and draws that nothing can disturb."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.config import Config, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data import copy_paste, pipeline

# 8 rows of 10 columns, 3 frames. The host has instances at [0, 0, 4, 4] and [4, 4, 8, 8].
HOST = [(0, 0, 4, 4), (4, 4, 8, 8)]


def clip(boxes, grey, flow=(0.0, 0.0), height=8, width=10, frames=3):
    """A clip of one grey and one flow, whose masks are its boxes, with codes 11, 12, ..."""
    masks = np.zeros((len(boxes), height, width), np.uint8)
    for mask, (y1, x1, y2, x2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = 1
    parts = dict(
        rgb=np.full((frames, height, width, 3), grey, np.uint8),
        flow=np.broadcast_to(np.float32(flow), (frames, height, width, 2)),
        boxes=np.float32(boxes).reshape(-1, 4),
        masks=masks,
        codes=np.arange(11, 11 + len(boxes), dtype=np.int32),
        video="v",
    )
    return {name: tf.constant(value) for name, value in parts.items()}


def paste(host, donor, pick=0.0, **options):
    made = copy_paste.paste(host, donor, tf.constant(pick), 3, **options)
    return {name: x.numpy() for name, x in made.items()}


def test_pixels_and_flow_follow_the_flow_in_all_frames():
    made = paste(clip(HOST, 10), clip([(2, 3, 4, 5)], 90, flow=(2.0, -1.0)))
    # It moves by (u, v) = (2, -1) a frame: earlier it was lower, to the left.
    for frame, (y1, x1, y2, x2) in enumerate([(3, 1, 5, 3), (2, 3, 4, 5), (1, 5, 3, 7)]):
        inside = np.zeros((8, 10), bool)
        inside[y1:y2, x1:x2] = True
        np.testing.assert_array_equal(made["rgb"][frame, ..., 0], np.where(inside, 90, 10))
        np.testing.assert_array_equal(made["flow"][frame, ..., 0], np.where(inside, 2, 0))
        np.testing.assert_array_equal(made["flow"][frame, ..., 1], np.where(inside, -1, 0))
    assert made["video"] == b"v"


def test_flow_of_one_frame_moves_it_by_the_stride():
    donor = clip([(2, 4, 4, 6)], 90, flow=(1.0, -1.0))
    made = paste(clip(HOST, 10), donor, stride=2)
    for frame, (y1, x1, y2, x2) in enumerate([(4, 2, 6, 4), (2, 4, 4, 6), (0, 6, 2, 8)]):
        inside = np.zeros((8, 10), bool)
        inside[y1:y2, x1:x2] = True
        np.testing.assert_array_equal(made["rgb"][frame, ..., 0], np.where(inside, 90, 10))
        np.testing.assert_array_equal(made["flow"][frame, ..., 0], np.where(inside, 1, 0))


def test_what_is_covered_shrinks():
    # The right half of the first instance is covered; of the second nothing.
    made = paste(clip(HOST, 10), clip([(0, 2, 4, 4)], 90))
    np.testing.assert_array_equal(made["boxes"], [[0, 0, 4, 2], [4, 4, 8, 8], [0, 2, 4, 4]])
    assert made["codes"].tolist() == [11, 12, 11]
    assert made["masks"].sum((1, 2)).tolist() == [8, 16, 8] and made["masks"].max() == 1
    assert made["masks"].sum(0).max() == 1


def test_boxes_that_nothing_covers_stay_as_they_were_annotated():
    host = clip(HOST, 10)
    host["boxes"] = host["boxes"] + 0.25
    made = paste(host, clip([(0, 2, 4, 4)], 90))
    np.testing.assert_array_equal(made["boxes"][:2], [[0, 0, 4, 2], [4.25, 4.25, 8.25, 8.25]])


@pytest.mark.parametrize("width, codes", [(2, [11, 12, 11]), (3, [12, 11]), (4, [12, 11])])
def test_an_instance_almost_covered_is_dropped(width, codes):
    # A half, a quarter, nothing stays in sight; .3 is the least.
    made = paste(clip(HOST, 10), clip([(0, 0, 4, width)], 90))
    assert made["codes"].tolist() == codes and len(made["masks"]) == len(codes)


@pytest.mark.parametrize("pick, code", [(0.0, 11), (0.49, 11), (0.5, 12), (0.99999997, 12)])
def test_the_draw_picks_the_instance(pick, code):
    made = paste(clip(HOST, 10), clip([(0, 8, 2, 10), (6, 0, 8, 2)], 90), pick)
    assert made["codes"].tolist() == [11, 12, code]


def test_clips_of_other_sizes_are_cut_or_filled_up():
    large = clip([(6, 8, 12, 16)], 90, height=12, width=16)
    made = paste(clip(HOST, 10), large)
    np.testing.assert_array_equal(made["boxes"][-1], [6, 8, 8, 10])
    assert made["rgb"].shape == (3, 8, 10, 3)
    small = paste(large, clip([(0, 0, 2, 3)], 30))
    np.testing.assert_array_equal(small["boxes"], [[6, 8, 12, 16], [0, 0, 2, 3]])
    assert (small["rgb"] == 30).sum() == 3 * 3 * 2 * 3


@pytest.mark.parametrize(
    "host, donor",
    [([], [(0, 0, 4, 4)]), (HOST, []), (HOST, [(0, 9, 8, 14)]), (HOST, [(0, 10, 8, 14)])],
)
def test_without_instances_or_with_next_to_nothing_a_clip_stays(host, donor):
    before = clip(host, 10)
    made = paste(before, clip(donor, 90, width=14))
    for name, values in before.items():
        np.testing.assert_array_equal(made[name], values)


def paired(batches, start=0, size=4, probability=0.5):
    """[(position, donor's position, whether, pick)] of so many batches."""
    stream = tf.data.Dataset.range(start * size, 1000).map(lambda i: (i, tf.strings.as_string(i)))
    pairs = copy_paste.with_donors(stream, size, seed=3, probability=probability)
    rows = []
    for position, serialized, donor in pairs.take(batches * size).as_numpy_iterator():
        assert int(serialized) == position and int(donor["serialized"]) == donor["position"]
        rows.append((position, donor["position"], donor["chosen"], donor["pick"]))
    return rows


def test_donors_are_other_clips_of_the_batch_by_draws_of_the_step():
    rows = paired(100)
    assert all(own != other and own // 4 == other // 4 for own, other, _, _ in rows)
    assert 170 < sum(chosen for _, _, chosen, _ in rows) < 230
    assert paired(97, start=3) == rows[12:]
    assert len({pick for *_, pick in rows}) > 390
    for place in (1, 2, 3):  # each of the three others about as often
        assert 100 < sum((other - own) % 4 == place for own, other, _, _ in rows) < 170


OPTIONS = dict(
    seed=5,
    max_instances=6,
    val_fraction=0.0,
    shuffle_buffer=100,
    flip=True,
    scale_jitter=0.2,
    colour_jitter=0.1,
)


def training(manifest, batches, **options):
    stream = pipeline.training(manifest, (64, 96), 3, 4, **{**OPTIONS, **options})
    return list(stream.take(batches).as_numpy_iterator())


def test_the_records_stride_moves_what_is_pasted(mini_records, monkeypatch):
    seen, paste_once = [], copy_paste.paste

    def spied(*arguments):
        seen.append(arguments[4])
        return paste_once(*arguments)

    monkeypatch.setattr(copy_paste, "paste", spied)
    training(dataclasses.replace(mini_records, clip_stride=3), 1, copy_paste=1.0)
    assert seen == [3]


def test_in_training_it_changes_clips_alone_and_resumes_to_the_bit_on_a_second_worker(mini_records):
    plain, pasted = (training(mini_records, 2, copy_paste=p) for p in (0.0, 1.0))
    for one, other in zip(plain, pasted):
        np.testing.assert_array_equal(one["frame"], other["frame"])
        assert not np.array_equal(one["rgb"], other["rgb"])
    context = tf.distribute.InputContext(2, 1, 2)
    (resumed,) = training(mini_records, 1, copy_paste=1.0, start_step=1, input_context=context)
    for name, values in pasted[1].items():
        np.testing.assert_array_equal(values[1::2], resumed[name])


def test_a_batch_of_one_clip_has_no_other():
    with pytest.raises(InputError, match="--copy_paste=0.5 pastes between the clips of a batch"):
        Config(learning=LearningConfig(batch_size=1, copy_paste=0.5)).checked()
    assert dataclasses.asdict(LearningConfig())["copy_paste"] == 0
