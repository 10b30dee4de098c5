"""What one call of a compiled function would have a GPU do: kernels to launch, tensors to copy.

The call runs once on the CPU under TensorFlow's profiler, which tells how often each operation of
the optimized graph runs, inside loops and branches too. TensorFlow's registry tells which of them
have a GPU kernel, and which inputs and outputs of those kernels lie in the host's memory.
"""

from __future__ import annotations

import collections
import re
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import op_def_registry

from a2d_tf.training.doctor import kernels, trace

FREE = {
    # Hand on what they get, at most in another shape.
    "EnsureShape",
    "ExpandDims",
    "Identity",
    "IdentityN",
    "PreventGradient",
    "ReadVariableOp",
    "Reshape",
    "Squeeze",
    "StopGradient",
    "TensorListGetItem",
    "TensorListReserve",
    "TensorListSetItem",
    # Takes the buffer of its value, which nothing else reads.
    "AssignVariableOp",
    # Are there before the step.
    "Const",
    "VarHandleOp",
    "_Arg",
    "_Retval",
    # Control flow.
    "ControlTrigger",
    "Enter",
    "Exit",
    "LoopCond",
    "Merge",
    "NextIteration",
    "NoOp",
    "Switch",
    # Nothing waits for it.
    "Assert",
}
"""Ops that launch no kernel, beside those that run on the host or there compute shapes alone."""

CLUSTER = "cluster of XLA"
TO_DEVICE, TO_HOST = "to the device", "to the host"
_MKL, _WITH_BIAS = re.compile("^_Mkl(Native)?"), "WithBias"  # a CPU's own
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_CHAIN = "_UnaryOpsComposition"  # likewise


class Counts(NamedTuple):
    """Of one call; each kernel as one launch, though some launch several.

    Attributes:
      launches: {(part, op): number}; parts as of `trace.PARTS`. A cluster of XLA is one launch.
      copies: {(direction, op that made the tensor, op that reads it): number}, of tensors that an
        op with a GPU kernel reads or makes in the device's memory, and another in the host's. What
        the caller copies, its arguments and results, is not among them.
    """

    launches: collections.Counter[tuple[str, str]]
    copies: collections.Counter[tuple[str, str, str]]


def count(function: Callable[..., Any], *arguments: Any) -> Counts:
    """Count the launches and copies of a call.

    Args:
      function: a `tf.function` that this process has not called yet; arguments: its arguments.
    """
    nodes, times = _run(function, arguments)
    launches: collections.Counter = collections.Counter()
    copies: collections.Counter = collections.Counter()
    memory = {name: _memory(node) for name, node in nodes.items()}
    for name, node in nodes.items():
        if _launches(node, memory[name]):
            for kind in _fused(node):
                launches[trace.part_of(name)[0], kind] += times[name]
    readers: dict = {}
    for name, node in nodes.items():
        data = [x for x in node.input if not x.startswith("^")]
        for tensor, place in zip(data, memory[name].inputs):
            source, _, port = tensor.partition(":")
            if source not in nodes:
                continue
            made = memory[source].outputs[int(port or 0)]
            # A constant of the host's is made there, where nothing else reads it.
            if made != place and not (nodes[source].op == "Const" and made):
                readers.setdefault((source, port, place), name)
    for (source, _, place), name in readers.items():
        kinds = _kind(nodes[source]), _kind(nodes[name])
        copies[(TO_DEVICE if place else TO_HOST, *kinds)] += times[source]
    return Counts(launches, copies)


def by_part(counts: Counts) -> dict[str, int]:
    """Sum the launches of each part, most first."""
    parts: collections.Counter[str] = collections.Counter()
    for (part, _), number in counts.launches.items():
        parts[part] += number
    return dict(parts.most_common())


def _run(function, arguments):
    """Return the nodes that run, by name, and how often each runs."""
    # Rewritten as for a GPU, but for what is fused, which differs.
    before = tf.config.optimizer.get_experimental_options()
    wanted = {"remapping": False, "disable_meta_optimizer": False}
    tf.config.optimizer.set_experimental_options(wanted)
    context.enable_run_metadata()
    try:
        function(*arguments)
        metadata = context.export_run_metadata()
    finally:
        context.disable_run_metadata()
        tf.config.optimizer.set_experimental_options(
            {name: before.get(name, name == "remapping") for name in wanted}
        )
    nodes = {
        node.name: node
        for made in metadata.function_graphs
        for graph in made.partition_graphs
        for node in graph.node
    }
    with tempfile.TemporaryDirectory() as folder:
        # Cheap operations are at the third level.
        options = tf.profiler.experimental.ProfilerOptions(3, python_tracer_level=0)
        tf.profiler.experimental.start(folder, options)
        function(*arguments)
        tf.profiler.experimental.stop()
        times = collections.Counter(name for name, *_ in trace.operations(trace.read(folder)))
    # The graphs hold more: what XLA has compiled into a cluster.
    return {name: node for name, node in nodes.items() if times[name]}, times


class _Memory(NamedTuple):
    """For each input and output of a node, whether it lies in the device's memory."""

    on_device: bool
    inputs: list[bool]
    outputs: list[bool]


def _kind(node):
    if node.op in _CALLS and node.attr["_XlaMustCompile"].b:
        return CLUSTER
    return _MKL.sub("", node.op).removesuffix(_WITH_BIAS)


def _fused(node):
    """Return the kinds that a node is made of, which a CPU alone fuses."""
    if node.op == _CHAIN:
        return [name.decode() for name in node.attr["op_names"].list.s]
    return [_kind(node), "BiasAdd"] if node.op.endswith(_WITH_BIAS) else [_kind(node)]


def _launches(node, memory):
    if _kind(node) in FREE or not memory.on_device:
        return False
    return _kind(node) == CLUSTER or any(memory.outputs or memory.inputs)


def _memory(node):
    op, types = _kind(node), kernels.types(node)
    if op == _CHAIN:
        return _Memory(True, [True], [True])
    if op in (CLUSTER, *_CALLS):
        return _Memory(True, *(list(map(_on_device, types[way])) for way in ("Tin", "Tout")))
    definition = op_def_registry.get(op)
    kernel = kernels.kernel("GPU", op, **types)
    on_host = set(kernel.host_memory_arg) if kernel else None

    def places(arguments: Iterable) -> list[bool]:
        return [
            on_host is not None and argument.name not in on_host
            for argument in arguments
            for _ in range(_length(node, argument))
        ]

    inputs, outputs = places(definition.input_arg), places(definition.output_arg)
    if node.op.endswith(_WITH_BIAS):
        inputs, outputs = [*inputs, True], [*outputs, True]
    return _Memory(kernel is not None, inputs, outputs)


def _on_device(kind):
    """Return whether what a function takes or returns lies there."""
    return kind not in (tf.int32, tf.resource, tf.string)


def _length(node, argument):
    if argument.number_attr:
        return node.attr[argument.number_attr].i
    if argument.type_list_attr:
        return len(node.attr[argument.type_list_attr].list.type)
    return 1
