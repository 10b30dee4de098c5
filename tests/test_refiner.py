"""The refiner: where it looks, what it is taught, that it learns."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.settings.config import InferenceConfig, TrainingConfig
from a2d_tf.model import targets
from a2d_tf.model.heads import refiner
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.model.structures import HeadInputs
from a2d_tf.ops.crop import crop_patches
from a2d_tf.training.step import forward
from a2d_tf.training.step.phases import set_phase
from a2d_tf.training.step.train_step import TrainState, make_train_step

pytestmark = pytest.mark.slow


def make_network():
    return tiny_network.make(
        norm="group_norm",
        use_mask=False,
        use_refiner=True,
        refiner_size=64,
        refiner_channels=8,
    )


@pytest.fixture(scope="module")
def network():
    return make_network()


def test_window_is_the_box_grown_by_a_quarter_about_its_centre():
    windows = refiner.windows(tf.constant([[8.0, 16, 16, 32], [0, 0, 0, 4]]))
    np.testing.assert_allclose(windows, [[7, 14, 17, 34], [0, -0.5, 0, 4.5]])


def test_patch_samples_the_window_of_its_own_image_and_zero_outside():
    y, x = np.mgrid[:40, :60] + 0.5
    ramp = np.stack([y, x, np.ones_like(x)], axis=-1)
    images = tf.constant(np.stack([ramp, 100 + ramp]), tf.float32)
    boxes = tf.constant([[[8.0, 16, 16, 32]], [[12, 20, 28, 28]]])
    patches = crop_patches(images, refiner.windows(boxes), 32).numpy()
    assert patches.shape == (2, 32, 32, 3)
    corners = (7, 14, 17, 34), (10, 19, 30, 29)
    for patch, offset, (y1, x1, y2, x2) in zip(patches, (0, 100), corners):
        cells = (np.arange(32) + 0.5) / 32
        np.testing.assert_allclose(
            patch[:, 5, 0], offset + y1 + cells * (y2 - y1), atol=1e-4
        )
        np.testing.assert_allclose(
            patch[5, :, 1], offset + x1 + cells * (x2 - x1), atol=1e-4
        )
    windows = refiner.windows(tf.constant([[[0.0, 0, 40, 40]]]))
    patch = crop_patches(tf.ones([1, 40, 40, 3]), windows, 32)[0]
    # Four of 50 pixels on each side of the window are outside, save the half that the
    # edge fills.
    assert not patch[:3].numpy().any() and not patch[:, -3:].numpy().any()
    np.testing.assert_allclose(patch[4:-4, 4:-4], 1.0)


def test_a_mask_of_the_window_is_cut_to_the_box():
    logits = np.full([2, 40, 40], -50, np.float32)
    logits[0, 4:36, 4:36] = 50  # the box, which is 4/5 of the window
    logits[1, :, :20] = 50  # its left half
    masks = refiner.inside_box(tf.constant(logits), 28).numpy()
    assert masks.shape == (2, 28, 28)
    np.testing.assert_allclose(masks[0], 1.0, atol=1e-6)
    np.testing.assert_allclose(masks[1][:, :14], 1.0, atol=1e-6)
    np.testing.assert_allclose(masks[1][:, 14:], 0.0, atol=1e-6)


def test_jitter_stays_in_its_bounds_and_follows_the_seed():
    boxes = tf.tile(tf.constant([[[8.0, 16, 40, 144]]]), [1, 500, 1])
    made = refiner.jitter(boxes, targets.Rng([1, 2], [0], 1)).numpy()[0]
    np.testing.assert_array_equal(
        made, refiner.jitter(boxes, targets.Rng([1, 2], [0], 1))[0]
    )
    assert (made != refiner.jitter(boxes, targets.Rng([1, 3], [0], 1))[0].numpy()).all()
    sizes, centres = made[:, 2:] - made[:, :2], (made[:, 2:] + made[:, :2]) / 2
    shift, scale = (centres - [24, 80]) / [32, 128], np.log2(sizes / [32, 128])
    for values, most in ((shift, 0.125), (scale, 0.25)):
        assert np.abs(values).max() <= most + 1e-5
        assert (np.abs(values).max(axis=0) > 0.95 * most).all()


def halved(batch):
    """The labelled clips, each instance being the upper half of its box."""
    masks = np.zeros(batch["masks"].shape, np.uint8)
    masks[:, 0, 8:24, 8:56], masks[:, 1, 20:40, 40:88] = 1, 1
    rgb = np.full(batch["rgb"].shape, 60, np.uint8)
    rgb[:, :, masks[0].any(axis=0)] = 200
    return dict(batch, masks=tf.constant(masks), rgb=tf.constant(rgb))


def test_target_is_the_drawn_instance_inside_its_window(network, monkeypatch):
    batch = halved(tiny_network.labelled(2))
    batch["annotated"] = tf.constant([True, False])
    monkeypatch.setattr(refiner, "jitter", lambda boxes, rng: boxes)
    seen = {}
    monkeypatch.setattr(
        refiner.losses,
        "mask",
        lambda _, t, v: seen.update(truth=t, valid=v) or (1.0, 1.0),
    )
    config = TrainingConfig(roi_samples=30, train_phase="refiner")
    forward.forward(network, batch, tf.constant([0, 0]), config)
    truth, valid = seen["truth"].numpy(), seen["valid"].numpy()
    assert truth.shape == (2, 10, 32, 32) and valid.tolist() == [
        [True] * 10,
        [False] * 10,
    ]
    empty = dict(batch, annotated=tf.constant([True, True]))
    empty["present"] = tf.constant([[True] * 2, [False] * 2])
    forward.forward(network, empty, tf.constant([0, 0]), config)
    assert seen["valid"].numpy().tolist() == [[True] * 10, [False] * 10]
    # The box fills 4/5 of its window, so its upper half covers rows 3.2 to 16 of 32.
    expected = np.zeros([32, 32])
    expected[3:16, 3:29] = 1
    for mask in truth[0]:
        np.testing.assert_array_equal(mask, expected)


def test_its_masks_are_those_of_the_detections(network):
    settings = InferenceConfig(test_proposals=12, max_detections=5, score_threshold=0.0)
    clip = dict(tiny_network.clip(2, 3), size=tf.constant([[64, 96], [48, 80]]))
    masks = infer(network, clip, settings).detections.head_results["masks"].numpy()
    assert masks.shape == (2, 5, 28, 28) and 0 < masks.min() < masks.max() < 1


def test_its_phase_moves_its_variables_alone(network):
    set_phase(network, "joint")
    joint = {v.ref() for v in network.trainable_weights}
    set_phase(network, "refiner")
    moved = {v.ref() for v in network.trainable_weights}
    assert moved == {v.ref() for v in network.refiner.trainable_variables}
    assert not moved & joint


class Learned(NamedTuple):
    """A refiner after 40 steps on a batch, whose truth is the upper half of each box.

    Attributes:
      network: with the refiner.
      batch: what it has learned.
      losses: of each step.
      changed: references of the variables that have changed.
    """

    network: Network
    batch: dict
    losses: list
    changed: set


@pytest.fixture(scope="module")
def learned():
    network = make_network()
    set_phase(network, "refiner")
    before = {v.ref(): v.numpy() for v in network.variables}
    config = TrainingConfig(
        train_phase="refiner",
        roi_samples=12,
        optimizer="adam",
        learning_rate=3e-3,
        warmup_steps=5,
        weight_decay=0.0,
        average_decay=0.0,
    )
    step = make_train_step(TrainState.create(network, config), config)
    batch = halved(tiny_network.labelled(2))
    losses = [float(step(batch, i)["mask"]) for i in range(40)]
    changed = set()
    for variable in network.variables:
        if (variable.numpy() != before[variable.ref()]).any():
            changed.add(variable.ref())
    return Learned(network, batch, losses, changed)


def test_it_learns_and_changes_nothing_else(learned):
    assert np.mean(learned.losses[-5:]) < 0.4 * np.mean(learned.losses[:3])
    refiner_of = learned.network.refiner
    assert learned.changed <= {v.ref() for v in refiner_of.variables}
    assert learned.changed >= {v.ref() for v in refiner_of.trainable_variables}


def test_what_it_has_learned_is_in_its_masks(learned):
    boxes = tf.tile(learned.batch["boxes"][:1, :1], [1, 3, 1])
    image = learned.network.key_image(learned.batch["rgb"][:1])
    head = learned.network.instance_heads["masks"]
    masks = head.decode(HeadInputs(None, {}, image), boxes, None).numpy()
    assert masks.shape == (1, 3, 28, 28)
    truth = np.zeros([28, 28], bool)
    truth[:14] = True
    found = masks[0, 0] >= 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.8
