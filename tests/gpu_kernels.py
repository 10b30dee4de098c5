"""The kernels that a traced function needs, looked up in TensorFlow's own registry.

The pip wheels for Linux hold the GPU kernels and their registry on machines without a GPU too.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels

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
supported in GPU implementation of ..."). FusedBatchNormGradV3 fails too, outside of training.
UnsortedSegmentSum, the gradient of gathers, has a deterministic kernel; its message is for Windows.
"""


def nodes(function: Any) -> list:
    """Return the nodes of a concrete function and of all functions in it."""
    graph = function.graph.as_graph_def()
    return [*graph.node, *(node for part in graph.library.function for node in part.node_def)]


def ops(function: Any) -> collections.Counter[str]:
    """Count the nodes of each op in a concrete function and all functions in it."""
    return collections.Counter(node.op for node in nodes(function))


def known(device: str, op: str, **types: Iterable[tf.DType]) -> bool:
    """Return whether an op has a kernel for the types of its attributes, on 'CPU' or 'GPU'."""

    def fits(kernel):
        return all(
            set(types.get(rule.name, ()))
            <= {tf.as_dtype(kind) for kind in rule.allowed_values.list.type}
            for rule in kernel.constraint
        )

    return any(x.device_type in (device, "DEFAULT") and fits(x) for x in _registered(op))


def missing(function: Any, device: str = "GPU") -> set[tuple[str, str]]:
    """Return (op, names of its types) of a concrete function's nodes without a kernel."""
    uses = {(node.op, *sorted(types(node).items())) for node in nodes(function)}
    return {
        (op, " ".join(sorted({kind.name for _, kinds in pairs for kind in kinds})))
        for op, *pairs in uses
        if not known(device, op, **dict(pairs))
    }


@functools.cache
def _registered(op):
    return kernels.get_registered_kernels_for_op(op).kernel


def types(node: Any) -> dict[str, tuple[tf.DType, ...]]:
    """Return the types among a node's attributes, by the attribute's name."""
    return {
        name: tuple(tf.as_dtype(kind) for kind in value.list.type or [value.type])
        for name, value in node.attr.items()
        if value.type or value.list.type
    }
