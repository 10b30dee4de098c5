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


def step(network):
    """(losses, gradients) of one batch, compiled; and the graph."""
    variables = network.trainable_weights

    @tf.function
    def run(batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            terms, _ = forward.forward(network, batch, tf.constant([0, 0]), LEARNING, training=True)
            values = forward.weighted(terms, LEARNING)
        return values, tape.gradient(values["total"], variables, unconnected_gradients="zero")

    batch = tiny_network.labelled(1)
    return (*run(batch), run.get_concrete_function(batch).graph)


def convolutions(graph):
    return [op for op in graph.get_operations() if op.type in ("Conv2D", "DepthwiseConv2dNative")]


def kept(graph):
    """Layers of the backbone whose ReLU in the forward pass is read after it."""
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


@pytest.mark.parametrize(
    "variant",
    [
        dict(norm="frozen_bn", action_topdown="separate", use_mask=False),
        dict(norm="group_norm", backbone="efficientnet_lite0", use_flow=False, temporal_layers=0),
    ],
)
def test_losses_and_gradients_are_those_of_the_plain_network(variant, tmp_path):
    plain, checkpointed = (tiny_network.make(recompute=x, **variant) for x in (False, True))
    names = [v.name for v in plain.trainable_weights]
    assert [v.name for v in checkpointed.trainable_weights] == names
    saved = tf.train.Checkpoint(network=plain)
    tf.train.CheckpointManager(saved, str(tmp_path / "checkpoints"), 1).save(1)
    restore(checkpointed, tmp_path)
    expected, wanted, graph = step(plain)
    values, gradients, other = step(checkpointed)
    for name, value in expected.items():
        assert float(values[name]) == pytest.approx(float(value), rel=1e-5), name
    for name, ours, exact in zip(names, gradients, wanted):
        scale = max(np.abs(exact).max(), 1e-12)
        np.testing.assert_allclose(ours / scale, exact / scale, atol=1e-5, err_msg=name)
    assert any(np.any(gradient) for gradient in gradients)
    # Every convolution of the backbones is there twice, and no other.
    inside = [
        op for op in convolutions(graph) if "_resnet_" in op.name or "_efficientnet" in op.name
    ]
    inside = [op for op in inside if "gradient_tape" not in op.name]
    assert len(convolutions(other)) == len(convolutions(graph)) + len(inside) > len(inside)
    if "backbone" not in variant:
        # Inside of a stage nothing is kept for the gradient.
        ends = {f"rgb_resnet_c{stage}_b0_out" for stage in (2, 3, 4, 5)}
        inside = {f"rgb_resnet_c{stage}_b0_conv{i}" for stage in (2, 3, 4, 5) for i in (1, 2)}
        assert kept(graph) == ends | inside and kept(other) == ends
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
