"""Read an exported folder back: its facts and its functions, with no part of the network's code.

To load a SavedModel, Python rebuilds every operation of every signature, which for a small network
takes longer than its answer to a short video. `functions/<signature>.pb` in the same folder is a
MetaGraphDef with one operation that counts: the call of a function of the graph's library, which
TensorFlow reads without Python. Operations and numbers are those of the SavedModel to the bit; the
weights are read from its `variables/`, so that they are stored once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, load_json, number, whole
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import check_schema

FACTS = "a2d_tf.json"
SAVED_MODEL = "saved_model.pb"
NAMES = ("frame", "key_frame")
_VARIABLES = os.path.join("variables", "variables")
_WEIGHT = "weights/"  # begins the key of a weight, in `variables/` and among the inputs
_KIND = {
    "labels": LabelSpace.from_fields,
    "frames": whole(1),
    "use_flow": bool,
    "label_mode": str,
    "joint": bool,
    "flow_method": str,
    "image_height": whole(1),
    "image_width": whole(1),
    "clip_stride": whole(1),
    "score_threshold": number(0, 1),
    "boxes_only?": bool,
    "precision": str,
    "checkpoint": str,
    "sha256": {str: str},
}

Function = Callable[..., "dict[str, tf.Tensor]"]


def load(folder: str) -> tuple[dict[str, Function], dict[str, Any]]:
    """Load an exported folder for videos.

    Returns:
      ({name: function by keyword} of `NAMES`, the contents of `a2d_tf.json` but for the digests).

    Raises:
      InputError: a folder that a2d export did not make, or a damaged one.
    """
    path = os.path.join(folder, FACTS)
    facts = load_json(path, _KIND, "use a folder of a2d export or a2d train")
    check_schema(path, facts, "export a run of this version with a2d export")
    try:
        # TensorFlow checks the weights itself, but not the graph.
        for file, digest in facts.pop("sha256").items():
            if file_digest(os.path.join(folder, file)) != digest:
                raise OSError(f"{file} has changed since the export")
        loaded = load_functions(folder)
        if loaded is None:
            model = tf.saved_model.load(folder)
            loaded = {name: _keeping(model, model.signatures[name]) for name in NAMES}
    except (OSError, KeyError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: corrupt ({reason}); export the run again") from error
    return loaded, facts


def write_functions(folder: str, served: tf.Module) -> dict[str, str]:
    """Write `functions/` into the folder of a SavedModel.

    Returns:
      {file: sha256} of all that `load` compares, for `a2d_tf.json`.
    """
    keys = {id(variable.handle): f"{_WEIGHT}{i}" for i, variable in enumerate(served.weights)}
    os.mkdir(os.path.join(folder, "functions"))
    for name in NAMES:
        meta = _packed(name, getattr(served, name), keys)
        with open(_path(folder, name), "wb") as file:
            file.write(meta.SerializeToString(deterministic=True))
    files = [SAVED_MODEL, f"{_VARIABLES}.index", *(_path("", name) for name in NAMES)]
    return {file: file_digest(os.path.join(folder, file)) for file in files}


def load_functions(folder: str) -> dict[str, Function] | None:
    """Load the functions of an exported folder.

    Returns:
      {name: function by keyword, with the inputs and outputs of the signature}; None if another
      TensorFlow wrote them: it promises to read SavedModels of other versions, not functions.
    """
    metas = {}
    for name in NAMES:
        with open(_path(folder, name), "rb") as file:
            metas[name] = tf.compat.v1.MetaGraphDef.FromString(file.read())
    if any(meta.meta_info_def.tensorflow_version != tf.__version__ for meta in metas.values()):
        return None
    inputs = {key for name, meta in metas.items() for key in meta.signature_def[name].inputs}
    stored = tf.train.load_checkpoint(os.path.join(folder, _VARIABLES))
    weights = {
        key: tf.Variable(stored.get_tensor(f"{key}/.ATTRIBUTES/VARIABLE_VALUE"), trainable=False)
        for key in sorted(key for key in inputs if key.startswith(_WEIGHT))
    }
    return {name: _function(meta, name, weights) for name, meta in metas.items()}


def _keeping(owner: Any, function: Function) -> Function:
    """Return the function with a reference to the owner of its variables, to keep it alive."""
    return lambda **arguments: (owner, function(**arguments))[1]


def _path(folder, name):
    return os.path.join(folder, "functions", f"{name}.pb")


def _packed(name, function, keys):
    """A MetaGraphDef of a tf.function; `keys` are {id of a variable's handle: its input's name}."""
    specs = function.input_signature
    flat = {spec.name: spec for spec in tf.nest.flatten(specs)}

    def call(arguments: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = [arguments[spec.name] for spec in tf.nest.flatten(specs)]
        return function(*tf.nest.pack_sequence_as(specs, values))

    outer = tf.function(call, [flat], autograph=False).get_concrete_function()
    graph = outer.graph.as_graph_def()
    inputs = dict(zip(sorted(flat), outer.inputs))
    for outside, inside in outer.graph.captures:
        if id(outside) in keys:
            inputs[keys[id(outside)]] = inside
        else:
            _make_constant(graph, inside, outside)
    _rename_functions(graph)
    meta = tf.compat.v1.MetaGraphDef(graph_def=graph)
    meta.meta_info_def.tensorflow_version = tf.__version__
    _describe(meta.signature_def[name].inputs, inputs)
    _describe(meta.signature_def[name].outputs, outer.structured_outputs)
    return meta


def _describe(infos, tensors):
    """Fill one side of a signature, {key: TensorInfo}, from {key: tensor}."""
    for key, tensor in tensors.items():
        infos[key].name, infos[key].dtype = tensor.name, tensor.dtype.as_datatype_enum
        infos[key].tensor_shape.CopyFrom(tensor.shape.as_proto())


def _make_constant(graph, placeholder, value):
    """Make a placeholder of a GraphDef a constant."""
    (node,) = (node for node in graph.node if node.name == placeholder.op.name)
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = value.dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.numpy()))


def _rename_functions(graph):
    """Give the functions of a GraphDef names that no other export gives to others."""
    functions = graph.library.function
    content = b"".join(sorted(f.SerializeToString(deterministic=True) for f in functions))
    suffix = hashlib.sha256(content).hexdigest()[:16]
    names = {f.signature.name: f"{f.signature.name}_{suffix}" for f in functions}
    for function in functions:
        function.signature.name = names[function.signature.name]
    for nodes in (graph.node, *(function.node_def for function in functions)):
        for value in (value for node in nodes for value in node.attr.values()):
            for called in [value.func] if value.HasField("func") else value.list.func:
                called.name = names[called.name]


def _function(meta, name, weights):
    """The function of a MetaGraphDef, by keyword."""
    signature = meta.signature_def[name]
    specs = {
        key: tf.TensorSpec(info.tensor_shape, tf.as_dtype(info.dtype), key)
        for key, info in signature.inputs.items()
        if key not in weights
    }
    outputs = {key: info.name for key, info in signature.outputs.items()}
    # An import outside of a tf.function makes the graph's functions known to the eager runtime.
    graph = meta.graph_def
    library = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    tf.graph_util.import_graph_def(library, name="")
    graph.ClearField("library")

    def call(arguments: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        capture = tf.compat.v1.get_default_graph().capture
        given = {
            info.name: capture(weights[key].handle) if key in weights else arguments[key]
            for key, info in signature.inputs.items()
        }
        tensors = tf.graph_util.import_graph_def(graph, given, list(outputs.values()), name="")
        return dict(zip(outputs, tensors))

    concrete = tf.function(call, [specs], autograph=False).get_concrete_function()
    return _keeping(weights, lambda **arguments: concrete(arguments))
