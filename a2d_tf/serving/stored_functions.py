"""Signatures of a SavedModel, called without rebuilding their operations in Python.

`tf.saved_model.load` makes a Python object of each operation of each signature. For a
small network that takes longer than its answer to a short video. The graph of a
SavedModel also stores each signature as a function in its library, which TensorFlow
reads without Python. Here the library is handed to TensorFlow as it is, and only a call
of the function is built: operations and numbers are the same to the bit.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

GRAPH = "saved_model.pb"
VARIABLES = os.path.join("variables", "variables")
_VALUE_KEY = "weights/{}/.ATTRIBUTES/VARIABLE_VALUE"
_loads = itertools.count()  # so many exports were loaded before

Function = Callable[..., "dict[str, tf.Tensor]"]
"""A function of tensors by keyword."""


class _Stored(NamedTuple):
    """A signature as a SavedModel stores it.

    Attributes:
      function: its name in the library.
      captured: the numbers of the nodes that it captures, in the order of arguments.
    """

    function: str
    captured: Sequence[int]


def load(folder: str, names: Iterable[str]) -> dict[str, Function]:
    """Load signatures of a SavedModel by name.

    Args:
      folder: a SavedModel whose root object has the list `weights` of all variables.

    Raises:
      OSError, KeyError, tf.errors.OpError: the folder lacks a file, a signature or a
        variable.
    """
    with open(os.path.join(folder, GRAPH), "rb") as file:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read())
    meta_graph = saved_model.meta_graphs[0]
    objects = meta_graph.object_graph_def
    signatures = _children(objects, _children(objects, 0)["signatures"])
    stored = {}
    numbers: set[int] = set()
    for name in names:
        node = objects.nodes[signatures[name]]
        function = node.bare_concrete_function.concrete_function_name
        captured = objects.concrete_functions[function].bound_inputs
        stored[name] = _Stored(function, captured)
        numbers.update(captured)

    library, new_names = _renamed_part(
        meta_graph.graph_def.library,
        [signature.function for signature in stored.values()],
    )
    # An import outside of a tf.function makes the functions known to eager calls.
    versions = meta_graph.graph_def.versions
    graph = tf.compat.v1.GraphDef(versions=versions, library=library)
    tf.graph_util.import_graph_def(graph, name="")

    values = _load_captured(meta_graph, folder, sorted(numbers))
    functions: dict[str, Function] = {}
    for name, signature in stored.items():
        functions[name] = _StoredFunction(
            new_names[signature.function],
            meta_graph.signature_def[name],
            [values[number] for number in signature.captured],
        )
    return functions


def _children(objects: Any, node: int) -> dict[str, int]:
    """Return {name: number of the node} of an object's attributes."""
    return {child.local_name: child.node_id for child in objects.nodes[node].children}


def _load_captured(
    meta_graph: Any, folder: str, numbers: Sequence[int]
) -> dict[int, Any]:
    """Return {number of a node: its tf.Variable, or its constant}."""
    objects = meta_graph.object_graph_def
    operations = {node.name: node for node in meta_graph.graph_def.node}
    weights = _children(objects, _children(objects, 0)["weights"])
    weight_names = {number: name for name, number in weights.items()}

    captured: dict[int, Any] = {}
    keys = {}
    for number in numbers:
        node = objects.nodes[number]
        if node.WhichOneof("kind") == "constant":
            value = operations[node.constant.operation].attr["value"].tensor
            captured[number] = tf.constant(tf.make_ndarray(value))
        else:
            keys[number] = _VALUE_KEY.format(weight_names[number])

    # A single operation: `tf.train.load_checkpoint` takes a call for each variable.
    values = tf.raw_ops.RestoreV2(
        prefix=os.path.join(folder, VARIABLES),
        tensor_names=list(keys.values()),
        shape_and_slices=[""] * len(keys),
        dtypes=[objects.nodes[number].variable.dtype for number in keys],
    )
    for number, value in zip(keys, values):
        captured[number] = tf.Variable(value, trainable=False)
    return captured


def _called(function: Any) -> list[Any]:
    """Return what names a function in the operations of a FunctionDef."""
    called = []
    for node in function.node_def:
        for value in node.attr.values():
            if value.HasField("func"):
                called.append(value.func)
            elif value.HasField("list"):
                called.extend(value.list.func)
    return called


def _renamed_part(library: Any, names: Iterable[str]) -> tuple[Any, dict[str, str]]:
    """Return what functions need of a library, under names of its own.

    TensorFlow numbers functions anew in each process, but knows them by name: without a
    suffix, those of two exports would be taken for each other.

    Returns:
      the part of the library, and {name: new name}.
    """
    functions = {function.signature.name: function for function in library.function}
    called = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in called:
            called[name] = _called(functions[name])
            waiting.extend(attribute.name for attribute in called[name])

    part = [functions[name] for name in sorted(called)]
    number = next(_loads)
    new_names = {name: f"{name}_of_export_{number}" for name in called}
    for name, attributes in called.items():
        functions[name].signature.name = new_names[name]
        for attribute in attributes:
            attribute.name = new_names[attribute.name]
    return type(library)(function=part), new_names


class _StoredFunction:
    """A function by keyword that calls one of TensorFlow's library by name.

    It holds what the function captures: a handle in the graph does not keep its
    variable alive.

    Args:
      name: the name in the library. Its arguments are the signature's inputs in the
        order of their names, then the captures; its results are the signature's outputs
        in that order.
      signature: a SignatureDef.
      captures: variables and constants.
    """

    def __init__(self, name: str, signature: Any, captures: Sequence[Any]) -> None:
        self._captures = captures
        specs = {}
        for key, info in sorted(signature.inputs.items()):
            specs[key] = tf.TensorSpec(info.tensor_shape, tf.as_dtype(info.dtype), key)
        output_names = sorted(signature.outputs)
        output_types = [signature.outputs[key].dtype for key in output_names]

        def call(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            graph = tf.compat.v1.get_default_graph()
            arguments = [inputs[key] for key in specs]
            for captured in captures:
                if isinstance(captured, tf.Variable):
                    captured = captured.handle
                arguments.append(graph.capture(captured))
            outputs = tf.raw_ops.StatefulPartitionedCall(
                args=arguments, Tout=output_types, f=name
            )
            return dict(zip(output_names, outputs))

        function = tf.function(call, [specs], autograph=False)
        self._function = function.get_concrete_function()

    def __call__(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._function(inputs)
