"""Signatures of a SavedModel, called without rebuilding their operations in Python.

`tf.saved_model.load` makes a Python object of each operation of each signature. For a
small network that takes longer than its answer to a short video. But a SavedModel also
stores each signature as a function in the library of its graph, which TensorFlow reads
without Python. So `load`

1. finds the functions of the signatures, and the nodes that they capture,
2. hands the library to TensorFlow as it is,
3. reads the values of these nodes, variables and constants,
4. builds a call of each function.

Operations and numbers are the same to the bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Union

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.core.protobuf.saved_object_graph_pb2 import SavedObjectGraph

from a2d_tf.serving.function_library import import_functions

GRAPH = "saved_model.pb"
VARIABLES = os.path.join("variables", "variables")
_VALUE_KEY = "weights/{}/.ATTRIBUTES/VARIABLE_VALUE"
_ROOT = 0  # number of the root's node

Function = Callable[..., "dict[str, tf.Tensor]"]
"""A function of tensors by keyword."""

_Capture = Union[tf.Variable, tf.Tensor]


def load(folder: str, names: Iterable[str]) -> dict[str, Function]:
    """Load signatures of a SavedModel by name, faster than `tf.saved_model.load`.

    Args:
      folder: a SavedModel whose root object has the list `weights` of all variables.
      names: names of the signatures to load; names that the SavedModel lacks are left
        out.

    Returns:
      {name of a signature: a function that takes the signature's inputs by keyword and
      returns {name of an output: tensor}}.

    Raises:
      OSError, KeyError, tf.errors.OpError: the folder lacks a file or a variable.
    """
    with open(os.path.join(folder, GRAPH), "rb") as file:
        meta_graph = SavedModel.FromString(file.read()).meta_graphs[0]
    stored = _find_signatures(meta_graph.object_graph_def, names)
    new_names = import_functions(
        meta_graph.graph_def, [signature.function for signature in stored.values()]
    )
    nodes: set[int] = set()
    for signature in stored.values():
        nodes.update(signature.captured)
    captures = _read_captures(meta_graph, folder, sorted(nodes))

    functions: dict[str, Function] = {}
    for name, signature in stored.items():
        functions[name] = _StoredFunction(
            new_names[signature.function],
            meta_graph.signature_def[name],
            [captures[node] for node in signature.captured],
        )
    return functions


class _StoredSignature(NamedTuple):
    """A signature as a SavedModel stores it.

    Attributes:
      function: its name in the library.
      captured: numbers of the nodes that it captures, in the order of its arguments.
    """

    function: str
    captured: Sequence[int]


def _find_signatures(
    objects: SavedObjectGraph, names: Iterable[str]
) -> dict[str, _StoredSignature]:
    """Return the signatures of these names that are stored, by name."""
    nodes = _attributes(objects, _attributes(objects, _ROOT)["signatures"])
    stored = {}
    for name in names:
        if name not in nodes:
            continue
        concrete = objects.nodes[nodes[name]].bare_concrete_function
        function = concrete.concrete_function_name
        captured = objects.concrete_functions[function].bound_inputs
        stored[name] = _StoredSignature(function, captured)
    return stored


def _attributes(objects: SavedObjectGraph, node: int) -> dict[str, int]:
    """Return {name: number of the node} of the attributes of an object."""
    return {child.local_name: child.node_id for child in objects.nodes[node].children}


def _read_captures(
    meta_graph: MetaGraphDef, folder: str, nodes: Sequence[int]
) -> dict[int, _Capture]:
    """Return the constant or the variable of each node."""
    objects = meta_graph.object_graph_def
    operations = {node.name: node for node in meta_graph.graph_def.node}
    captures: dict[int, _Capture] = {}
    variables = []
    for node in nodes:
        stored = objects.nodes[node]
        if stored.WhichOneof("kind") == "constant":
            value = operations[stored.constant.operation].attr["value"].tensor
            captures[node] = tf.constant(tf.make_ndarray(value))
        else:
            variables.append(node)
    captures.update(_restore(objects, folder, variables))
    return captures


def _restore(
    objects: SavedObjectGraph, folder: str, nodes: Sequence[int]
) -> dict[int, tf.Variable]:
    """Return the variable of each node, with its stored value."""
    weights = _attributes(objects, _attributes(objects, _ROOT)["weights"])
    positions = {node: position for position, node in weights.items()}
    # A single operation: `tf.train.load_checkpoint` takes a call for each variable.
    values = tf.raw_ops.RestoreV2(
        prefix=os.path.join(folder, VARIABLES),
        tensor_names=[_VALUE_KEY.format(positions[node]) for node in nodes],
        shape_and_slices=[""] * len(nodes),
        dtypes=[objects.nodes[node].variable.dtype for node in nodes],
    )
    variables = {}
    for node, value in zip(nodes, values):
        variables[node] = tf.Variable(value, trainable=False)
    return variables


class _StoredFunction:
    """A function by keyword that calls one of TensorFlow's library by name.

    It holds what the function captures: a handle in the graph does not keep its
    variable alive.

    Args:
      name: the name in the library. Its arguments are the signature's inputs in the
        order of their names, then the captures; its results are the signature's outputs
        in that order.
    """

    def __init__(
        self, name: str, signature: SignatureDef, captures: Sequence[_Capture]
    ) -> None:
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
        """Return the signature's outputs, {name: tensor}."""
        return self._function(inputs)
