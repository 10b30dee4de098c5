"""The kernels that a traced function needs, looked up in TensorFlow's own registry.

The pip wheels for Linux hold the GPU kernels and their registry on machines without a GPU too.
"""

import collections
import functools

import tensorflow as tf
from tensorflow.python.framework import kernels

ON_HOST = {"CombinedNonMaxSuppression"}
"""Ops of a training step that have a kernel for the CPU alone: the suppression of proposals.

They run there in any case, and TensorFlow copies what they read and write."""

NOT_DETERMINISTIC = {
    "AdjustContrast",
    "AdjustContrastv2",
    "Bincount",
    "CropAndResizeGradBoxes",
    "CropAndResizeGradImage",
    "DebugNumericSummaryV2",
    "DenseBincount",
    "Dilation2DBackpropFilter",
    "Dilation2DBackpropInput",
    "FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient",
    "MaxPoolGradWithArgmax",
    "ResizeNearestNeighborGrad",
    "ScatterAdd",
    "ScatterSub",
    "ScatterUpdate",
    "SoftmaxCrossEntropyWithLogits",
    "SparseSoftmaxCrossEntropyWithLogits",
    "SparseTensorDenseMatMul",
    "Svd",
}
"""Ops that fail on a GPU under op determinism, by the messages in TensorFlow 2.15's library
("A deterministic GPU implementation of ... is not currently available", "Determinism is not yet
supported in GPU implementation of ..."). Beside them FusedBatchNormGradV3 where it is not training.
Of UnsortedSegmentSum, which gathers have for a gradient, it has a deterministic kernel; the message
is for Windows."""


def nodes(function):
    """The nodes of a concrete function and of all functions in it."""
    graph = function.graph.as_graph_def()
    return [*graph.node, *(node for part in graph.library.function for node in part.node_def)]


def ops(function):
    """{op: number of its nodes} of a concrete function and of all functions in it."""
    return collections.Counter(node.op for node in nodes(function))


def known(device, op, **types):
    """Whether there is a kernel of an op for these types, {attribute: DTypes}.

    Args:
      device: 'CPU' or 'GPU'.
    """

    def fits(kernel):
        return kernel.device_type in (device, "DEFAULT") and all(
            set(types.get(rule.name, ()))
            <= {tf.as_dtype(kind) for kind in rule.allowed_values.list.type}
            for rule in kernel.constraint
        )

    return any(map(fits, _registered(op)))


def missing(function, device="GPU"):
    """{(op, names of its types)} of the nodes of a concrete function that the device cannot run."""
    uses = {(node.op, *sorted(_types(node).items())) for node in nodes(function)}
    return {
        (op, " ".join(sorted({kind.name for _, kinds in types for kind in kinds})))
        for op, *types in uses
        if not known(device, op, **dict(types))
    }


@functools.cache
def _registered(op):
    return kernels.get_registered_kernels_for_op(op).kernel


def _types(node):
    return {
        name: tuple(tf.as_dtype(kind) for kind in value.list.type or [value.type])
        for name, value in node.attr.items()
        if value.type or value.list.type
    }
