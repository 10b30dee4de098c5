"""The whole network: its variants, what it looks at, what learns in each phase."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from tensorflow.python.autograph.impl import api
from tiny_network import LEARNING

from a2d_tf.core.labels import A2D
from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.inference import infer, infer_key_frames
from a2d_tf.model.network import Network
from a2d_tf.training.step import forward, optimizer
from a2d_tf.training.step.phases import set_phase
from a2d_tf.training.step.train_step import TrainState, make_train_step

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


@pytest.fixture(scope="module")
def converted_by_autograph():
    """What AutoGraph looks through while a `variant` is built."""
    return []


@pytest.fixture(scope="module", params=VARIANTS, ids=["late", "hierarchical", "pairs"])
def variant(request, converted_by_autograph):
    """A network of other settings."""

    def convert(entity, _):
        converted_by_autograph.append(entity)
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "_convert_actual", convert)
        return tiny_network.make(**request.param)


@pytest.fixture(scope="module")
def variant_inputs(variant):
    """Two frames of different sizes."""
    inputs = dict(tiny_network.clip(2, variant.model_config.frames), size=SIZE)
    if not variant.model_config.use_flow:
        del inputs["flow"]
    return inputs


@pytest.fixture(scope="module")
def variant_answer(variant, variant_inputs):
    return infer(variant, variant_inputs, SETTINGS)


def has_pairs(network):
    return network.model_config.label_mode == "cartesian"


def test_autograph_looks_through_no_layer(variant, converted_by_autograph):
    assert not converted_by_autograph


def test_the_answer_of_a_variant_has_the_promised_form(variant, variant_answer):
    table = variant_answer.table
    masks = variant_answer.detections.head_results["masks"]
    classes = 43 if has_pairs(variant) else 7
    assert masks.shape == (2, 5, 28, 28)
    assert table.class_scores.shape == (2, 12, classes)
    assert table.boxes.shape == (2, 12, 7, 4)
    assert table.joint_scores.shape == (2, 12, 7, 9)
    assert (table.joint_boxes is not None) == has_pairs(variant)


def test_a_variant_answers_valid_pairs_inside_frames_of_different_sizes(variant_answer):
    joint_scores = variant_answer.table.joint_scores.numpy()
    assert not joint_scores[:, :, ~A2D.valid].any()
    assert set(variant_answer.detections.code.numpy().ravel()) <= {0, *A2D.codes}
    assert variant_answer.valid.numpy()[:, 0].all()
    limit = np.tile(SIZE.numpy(), 2)[:, None]
    rois = variant_answer.rois.numpy()
    assert (rois <= limit).all() and (rois >= 0).all()


def test_without_a_mask_head_masks_are_full(variant, variant_answer):
    masks = variant_answer.detections.head_results["masks"].numpy()
    assert ("mask_head" in variant.parts()) == variant.model_config.use_mask
    assert (masks == 1).all() != variant.model_config.use_mask


def test_on_the_instances_alone_the_action_head_gives_the_same(
    variant, variant_inputs, variant_answer
):
    features = variant.extract_features(variant_inputs)
    rgb = variant_inputs["rgb"]
    few = infer_key_frames(variant, features, SIZE, SETTINGS, rgb).detections
    detections = tf.nest.flatten(variant_answer.detections)
    for value_of_few, value in zip(tf.nest.flatten(few), detections):
        np.testing.assert_allclose(value_of_few, value, atol=1e-5)


def test_each_variable_is_in_exactly_one_part(variant):
    parts = variant.parts()
    names = {"backbones", "temporal_fusion", "rpn", "roi_heads"}
    if variant.model_config.use_mask:
        names.add("mask_head")
    assert set(parts) == names
    refs = []
    for part in parts.values():
        refs.extend(variable.ref() for variable in part.variables)
    assert len(refs) == len(set(refs)) == len(variant.variables)
    trained = {variable.ref() for variable in variant.trainable_weights}
    assert trained == {variable.ref() for variable in variant.trainable_variables}


def test_each_variable_that_can_learn_has_a_gradient(variant):
    batch = tiny_network.labelled(2, variant.model_config.frames)
    weights = variant.trainable_weights
    with tf.GradientTape() as tape:
        terms, _ = forward.forward(variant, batch, tf.constant([0, 0]), LEARNING)
        total = forward.weighted(terms, LEARNING)["total"]
    gradients = tape.gradient(total, weights)
    assert [v.name for v, g in zip(weights, gradients) if g is None] == []
    assert np.isfinite(float(total))
    names = {"objectness", "box_reg", "actor_cls"}
    if variant.model_config.use_mask:
        names.add("mask")
    if not has_pairs(variant):
        names.add("action_cls")
    assert set(terms) == names


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


class Phases(NamedTuple):
    """A network, and the names of what its phases leave free, by part."""

    network: Network
    joint: dict
    actor: dict
    action: dict


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(None, id="one backbone"),
        "separate",
        "own_backbone",
    ],
)
def phases(request, normed):
    network = normed
    if request.param:
        network = tiny_network.make(action_topdown=request.param)
    return Phases(
        network,
        joint=moved(network, "joint"),
        actor=moved(network, "actor"),
        action=moved(network, "action"),
    )


def test_phases_share_the_variables_of_joint_training_without_overlap(phases):
    for part, names in phases.joint.items():
        free = [n for n in names if is_actor(n) and part != "temporal_fusion"]
        assert phases.actor[part] == free
        assert phases.action[part] == [n for n in names if n not in free]


def test_the_actor_phase_moves_proposals_and_masks_and_no_fusion(phases):
    assert phases.actor["temporal_fusion"] == []
    assert phases.actor["rpn"] and phases.actor["mask_head"]
    assert {name.split("_")[0] for name in phases.actor["roi_heads"]} == {"actor"}


def test_the_action_phase_moves_the_fusion_and_the_backbones_of_its_own(phases):
    assert phases.action["temporal_fusion"] == phases.joint["temporal_fusion"] != []
    assert phases.action["rpn"] == phases.action["mask_head"] == []
    assert {name.split("_")[0] for name in phases.action["roi_heads"]} == {"action"}
    moved_backbones = {"flow_resnet", "flow_fpn"}
    action_topdown = phases.network.model_config.action_topdown
    if action_topdown != "shared":
        moved_backbones.add("action_fpn")
    if action_topdown == "own_backbone":
        moved_backbones.add("action_resnet")
    heads = {"_".join(name.split("_")[:2]) for name in phases.action["backbones"]}
    assert heads == moved_backbones


def test_backbones_can_be_kept_while_their_pyramids_learn(phases):
    set_phase(phases.network, "joint")
    backbones = variable_names(phases.network.backbone_weights)
    pyramids = [name for name in phases.joint["backbones"] if name not in backbones]
    assert all("_resnet" in name for name in backbones)
    assert pyramids and not any("_resnet" in name for name in pyramids)
    kept = moved(phases.network, "joint", trains_backbones=False)
    assert kept == {**phases.joint, "backbones": pyramids}


def test_a_phase_can_be_left_and_taken_up_again(phases):
    assert moved(phases.network, "joint") == phases.joint
    set_phase(phases.network, "action")
    names = sorted(sum(phases.action.values(), []))
    assert variable_names(phases.network.trainable_weights) == names


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
