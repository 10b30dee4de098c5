"""Recomputed stages: the same losses, gradients and checkpoints, and no activations kept."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.config import LearningConfig
from a2d_tf.training import forward
from a2d_tf.training.checkpoints import restore

pytestmark = pytest.mark.slow

LEARNING = LearningConfig(roi_samples=16, train_proposals=20, rpn_samples=32)


def make(recompute, precision="float32", **variant):
    network = tiny_network.make(precision=precision, recompute=recompute, **variant)
    network.set_phase("joint")
    return network


def step(network, training=True, learning=LEARNING):
    """(losses, gradients) of one batch, compiled; and the graph."""
    variables = network.trainable_weights

    @tf.function
    def run(batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            terms, _ = forward.forward(
                network, batch, tf.constant([0, 0]), learning, training=training
            )
            values = forward.weighted(terms, learning)
        return values, tape.gradient(values["total"], variables, unconnected_gradients="zero")

    batch = tiny_network.labelled(1)
    return (*run(batch), run.get_concrete_function(batch).graph)


def assert_near(names, found, expected, *, losses, gradients):
    """Compare (losses, gradients) with others; gradients by the largest of their tensor."""
    for name in expected[0]:
        assert float(found[0][name]) == pytest.approx(float(expected[0][name]), rel=losses), name
    for name, ours, exact in zip(names, found[1], expected[1]):
        scale = max(np.abs(exact).max(), 1e-12)
        np.testing.assert_allclose(ours / scale, exact / scale, atol=gradients, err_msg=name)
    assert any(np.any(gradient) for gradient in found[1])


def convolutions(graph):
    return [op for op in graph.get_operations() if op.type in ("Conv2D", "DepthwiseConv2dNative")]


@pytest.mark.parametrize(
    "variant",
    [
        dict(norm="frozen_bn", action_topdown="separate"),
        dict(norm="group_norm", backbone="efficientnet_lite0", use_flow=False, temporal_layers=0),
    ],
)
def test_losses_and_gradients_are_those_of_the_plain_network(variant, tmp_path):
    plain, checkpointed = make(False, **variant), make(True, **variant)
    names = [v.name for v in plain.trainable_weights]
    assert [v.name for v in checkpointed.trainable_weights] == names
    saved = tf.train.Checkpoint(network=plain)
    tf.train.CheckpointManager(saved, str(tmp_path / "checkpoints"), 1).save(1)
    restore(checkpointed, tmp_path)
    expected, wanted, graph = step(plain)
    values, gradients, other = step(checkpointed)
    assert_near(names, (values, gradients), (expected, wanted), losses=1e-5, gradients=1e-5)
    # Every convolution of the backbones is there twice, and no other.
    inside = [
        op for op in convolutions(graph) if "_resnet_" in op.name or "_efficientnet" in op.name
    ]
    inside = [op for op in inside if "gradient_tape" not in op.name]
    assert len(convolutions(other)) == len(convolutions(graph)) + len(inside) > len(inside)
    # Checkpoints go both ways, and evaluation computes once.
    paths = [
        [name for name, _ in tf.train.list_variables(tf.train.Checkpoint(network=n).write(path))]
        for n, path in ((plain, str(tmp_path / "a")), (checkpointed, str(tmp_path / "b")))
    ]
    assert paths[0] == paths[1]
    clip = {name: tf.constant(x) for name, x in tiny_network.clip(1, 3).items()}
    clip = {name: clip[name] for name in plain.features.input_names}
    graphs = [
        tf.function(n.features).get_concrete_function(clip).graph for n in (plain, checkpointed)
    ]
    assert len(convolutions(graphs[0])) == len(convolutions(graphs[1]))


def kept(network):
    """Layers of the backbone whose ReLU in the forward pass is read after it."""
    graph = step(network)[2]
    forward, waiting = set(), [graph.structured_outputs[0]["total"].op]
    while waiting:
        op = waiting.pop()
        if op not in forward:
            forward.add(op)
            waiting += [x.op for x in op.inputs]
    return {
        op.name.split("/")[-2]
        for op in forward
        if op.type == "Relu"
        and "/rgb_resnet_c" in op.name
        and not forward.issuperset(op.outputs[0].consumers())
    }


def test_inside_of_a_stage_nothing_is_kept_for_the_gradient():
    variant = dict(norm="frozen_bn", use_flow=False, temporal_layers=0)
    ends = {f"rgb_resnet_c{stage}_b0_out" for stage in (2, 3, 4, 5)}
    inside = {f"rgb_resnet_c{stage}_b0_conv{i}" for stage in (2, 3, 4, 5) for i in (1, 2)}
    assert kept(make(False, **variant)) == ends | inside
    assert kept(make(True, **variant)) == ends
