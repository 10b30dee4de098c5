"""The whole network: its variants, what it looks at, what learns in each phase."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from tensorflow.python.autograph.impl import api
from tiny_network import LEARNING

from a2d_tf.core.config import InferenceConfig
from a2d_tf.core.labels import A2D
from a2d_tf.model.inference import infer, infer_key_frames
from a2d_tf.training import forward, optimizer
from a2d_tf.training.phases import set_phase
from a2d_tf.training.train_step import TrainState, make_train_step

pytestmark = pytest.mark.slow

SETTINGS = InferenceConfig(
    test_proposals=12, proposals_before_nms=100, max_detections=5, score_threshold=0.0
)
SIZE = tf.constant([[64, 80], [48, 96]])

VARIANTS = [
    dict(fusion="late", use_mask=False, action_topdown="separate", temporal_layers=0),
    dict(
        label_mode="hierarchical",
        use_flow=False,
        temporal_layers=2,
        norm="group_norm",
        mask_image=True,
    ),
    dict(
        label_mode="cartesian",
        action_topdown="separate",
        norm="frozen_stats",
        roi_align="legacy",
    ),
]


def randomise(network, seed=0):
    """Louder output layers, so that boxes and classes differ from RoI to RoI."""
    rng = np.random.default_rng(seed)
    for part in network.parts().values():
        for v in part.trainable_variables:
            if "logits" in v.name or "deltas" in v.name:
                spread = 0.3 if "logits" in v.name else 0.05
                v.assign(rng.normal(0, spread, v.shape))
    return network


@pytest.fixture(scope="module")
def network():
    return randomise(tiny_network.make())


def flat(outputs):
    return [x.numpy() for x in tf.nest.flatten(outputs)]


def variable_names(variables):
    return sorted(v.name for v in variables)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_builds_runs_and_learns(variant, monkeypatch):
    converted = []
    with monkeypatch.context() as patch:  # AutoGraph looks through no layer
        patch.setattr(
            api, "_convert_actual", lambda entity, _: converted.append(entity) or 1 / 0
        )
        network = tiny_network.make(**variant)
    assert not converted
    model = network.model_config
    pairs = model.label_mode == "cartesian"

    # It runs on two frames of different sizes.
    inputs = dict(tiny_network.clip(2, model.frames), size=SIZE)
    if not model.use_flow:
        del inputs["flow"]
    made = infer(network, inputs, SETTINGS)
    masks, table = made.detections.more["masks"], made.table
    assert masks.shape == (2, 5, 28, 28)
    assert table.class_scores.shape == (2, 12, 43 if pairs else 7)
    assert table.boxes.shape == (2, 12, 7, 4) and table.joint_scores.shape == (
        2,
        12,
        7,
        9,
    )
    assert (table.joint_boxes is not None) == pairs
    assert not table.joint_scores.numpy()[:, :, ~A2D.valid].any()
    assert made.valid.numpy()[:, 0].all()
    limit = np.tile(SIZE.numpy(), 2)[:, None]
    assert (made.rois.numpy() <= limit).all() and (made.rois.numpy() >= 0).all()
    assert set(made.detections.code.numpy().ravel()) <= {0, *A2D.codes}
    if not model.use_mask:
        assert "mask_head" not in network.parts()
        assert (masks.numpy() == 1).all()
    # On the instances alone the action head gives the same.
    features = network.clip_features(inputs)
    few = infer_key_frames(network, features, SIZE, SETTINGS, inputs["rgb"]).detections
    for one, other in zip(tf.nest.flatten(few), tf.nest.flatten(made.detections)):
        np.testing.assert_allclose(one, other, atol=1e-5)

    # Each variable is in exactly one part, and each that can learn does.
    parts = network.parts()
    assert set(parts) == {"backbones", "temporal_fusion", "rpn", "roi_heads"} | (
        {"mask_head"} if model.use_mask else set()
    )
    refs = [v.ref() for part in parts.values() for v in part.variables]
    assert len(refs) == len(set(refs)) == len(network.variables)
    weights = network.trainable_weights
    assert {v.ref() for v in weights} == {v.ref() for v in network.trainable_variables}
    batch = tiny_network.labelled(2, model.frames)
    with tf.GradientTape() as tape:
        terms, _ = forward.forward(network, batch, tf.constant([0, 0]), LEARNING)
        total = forward.weighted(terms, LEARNING)["total"]
    still = [
        v.name for v, g in zip(weights, tape.gradient(total, weights)) if g is None
    ]
    assert still == []
    assert set(terms) == {"objectness", "box_reg", "actor_cls"} | (
        {"mask"} if model.use_mask else set()
    ) | (set() if pairs else {"action_cls"})
    assert np.isfinite(float(total))


def test_the_temporal_field_is_all_it_looks_at(network):
    clip = tiny_network.clip(1, 7)
    key, first, last = 3, 2, 4
    # One trace for all lengths: the same arithmetic, so equality may be exact.
    features = tf.function(
        lambda rgb, flow: network.features({"rgb": rgb, "flow": flow}),
        input_signature=[
            tf.TensorSpec([1, None, *tiny_network.CANVAS, 3], tf.uint8),
            tf.TensorSpec([1, None, *tiny_network.CANVAS, 2]),
        ],
    )

    def run(clip):
        return flat(features(clip["rgb"], clip["flow"]))

    whole = run(clip)
    field = run({name: value[:, first : last + 1] for name, value in clip.items()})
    for a, b in zip(whole, field):
        assert (a == b).all()
    # An even number of frames: the key frame is number T // 2, counted from 0.
    even = run({name: value[:, first - 1 : last + 1] for name, value in clip.items()})
    for a, b in zip(whole, even):
        assert (a == b).all()
    for frame in range(7):
        for name in clip:
            other = {n: value.copy() for n, value in clip.items()}
            other[name][:, frame] = other[name][:, frame, ::-1]
            changed = [(a != b).any() for a, b in zip(whole, run(other))]
            assert any(changed) == (first <= frame <= last), (frame, name)
            if frame != key:
                # Neighbours reach the action pyramid only: proposals and actors see the
                # key frame.
                outputs = tf.nest.pack_sequence_as(network.features.output, changed)
                assert not any(outputs["actor"]) and not outputs["rpn_logits"]
                assert all(outputs["action"]) == (first <= frame <= last)
            elif name == "flow":
                outputs = tf.nest.pack_sequence_as(network.features.output, changed)
                assert not any(outputs["actor"]) and all(outputs["action"])


def test_flow_beyond_the_bound_keeps_its_direction(network):
    rgb = tf.zeros([1, *tiny_network.CANVAS, 3], tf.uint8)

    def level(u, v):
        flow = tf.tile(tf.constant([[[[u, v]]]]), [1, *tiny_network.CANVAS, 1])
        return network.backbones({"rgb": rgb, "flow": flow})["flow"][0].numpy()

    # Halved by --flow_scale, (307.2, -409.6) px is at the bound.
    assert (network.model_config.flow_scale, network.model_config.flow_bound) == (
        0.5,
        256.0,
    )
    at_most = level(307.2, -409.6)
    np.testing.assert_allclose(level(3072.0, -4096.0), at_most, rtol=1e-4, atol=1e-3)
    assert np.abs(level(153.6, -204.8) - at_most).max() > 1e-3
    assert np.isfinite(level(0.0, 0.0)).all()


def test_the_mask_head_sees_the_pixels_of_its_box():
    network = tiny_network.make(mask_image=True)
    for part in network.mask_head.layers:
        for weight in part.weights:
            weight.assign(
                tf.ones_like(weight) if "kernel" in weight.name else 0 * weight
            )
    pyramids = [
        0 * tf.ones([1, *x.shape[1:]]) for x in network.mask_head.input["actor"]
    ]
    rgb = np.zeros((1, 64, 96, 3), np.uint8)
    rgb[:, 8:36, 40:68] = 255
    rois = tf.constant([[[8.0, 40, 36, 68], [40, 0, 60, 30]]])
    bright, dark = network.mask_head(
        {"actor": pyramids, "rois": rois, "rgb": rgb}
    ).numpy()[0]
    assert (bright[5:-5, 5:-5] > 2 * dark.max()).all() and np.ptp(dark[3:-3, 3:-3]) == 0


# Phases.


def moved(network, phase, trains_backbones=True):
    """Names of what the phase leaves free, by part."""
    set_phase(network, phase, trains_backbones)
    parts = network.parts().items()
    return {name: variable_names(part.trainable_variables) for name, part in parts}


def is_actor(name):
    return name.startswith(("rgb_resnet", "rgb_fpn", "rpn_", "actor_", "mask_"))


@pytest.fixture(scope="module")
def normed():
    return tiny_network.make(norm="frozen_stats")


@pytest.mark.parametrize(
    "variant",
    [{}, dict(action_topdown="separate"), dict(action_topdown="own_backbone")],
)
def test_phases_move_exactly_their_own_variables(variant, normed):
    network = tiny_network.make(**variant) if variant else normed
    joint, actor, action = (
        moved(network, phase) for phase in ("joint", "actor", "action")
    )
    assert joint == moved(network, "joint")
    for part, names in joint.items():
        free = [n for n in names if is_actor(n) and part != "temporal_fusion"]
        assert actor[part] == free
        assert action[part] == [n for n in names if n not in free]
    assert (
        actor["temporal_fusion"] == []
        and action["temporal_fusion"] == joint["temporal_fusion"] != []
    )
    assert (
        action["rpn"] == action["mask_head"] == []
        and actor["rpn"]
        and actor["mask_head"]
    )
    heads = {"_".join(name.split("_")[:2]) for name in action["backbones"]}
    own = {"separate": {"action_fpn"}, "own_backbone": {"action_fpn", "action_resnet"}}
    assert heads == {"flow_resnet", "flow_fpn"} | own.get(
        variant.get("action_topdown"), set()
    )
    assert {name.split("_")[0] for name in action["roi_heads"]} == {"action"}
    assert {name.split("_")[0] for name in actor["roi_heads"]} == {"actor"}
    set_phase(network, "joint")
    own = variable_names(network.backbone_weights)
    kept = [name for name in joint["backbones"] if name not in own]
    assert all("_resnet" in name for name in own) and not any(
        "_resnet" in x for x in kept
    )
    assert kept and moved(network, "joint", False) == {**joint, "backbones": kept}
    set_phase(network, "action")
    assert variable_names(network.trainable_weights) == sorted(sum(action.values(), []))


@pytest.mark.parametrize("phase", ["actor", "action"])
def test_a_step_of_a_phase_leaves_the_rest_bit_for_bit(phase, eagerly, normed):
    network = normed
    training = dataclasses.replace(LEARNING, train_phase=phase, learning_rate=0.1)
    set_phase(network, phase)
    before = {v.ref(): v.numpy() for v in network.variables}
    step = make_train_step(TrainState(network, optimizer.make(training)), training)
    values = step(tiny_network.labelled(2), 0)
    terms = (
        {"objectness", "box_reg", "actor_cls", "mask"}
        if phase == "actor"
        else {"action_cls"}
    )
    assert set(values) == terms | {
        "total",
        "gradient_norm",
        "proposal_recall",
        "positives",
    }
    changed = {
        v.ref() for v in network.variables if (v.numpy() != before[v.ref()]).any()
    }
    own = {v.ref() for v in network.trainable_weights}
    frozen = [
        v.name
        for name, part in network.parts().items()
        for v in part.variables
        if v.ref() in changed
        and (is_actor(v.name) and name != "temporal_fusion") != (phase == "actor")
    ]
    assert frozen == []
    assert changed >= {ref for ref in own if "kernel" in ref.deref().name}
