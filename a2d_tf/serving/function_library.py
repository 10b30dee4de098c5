"""The library of functions in a stored graph, handed to TensorFlow as it is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import NameAttrList
from tensorflow.core.framework.function_pb2 import FunctionDef, FunctionDefLibrary
from tensorflow.core.framework.graph_pb2 import GraphDef

_imports = itertools.count()  # so many graphs were imported before


def import_functions(graph_def: GraphDef, names: Iterable[str]) -> dict[str, str]:
    """Make functions of a stored graph, and all that they call, known to TensorFlow.

    TensorFlow knows functions by name, and each process numbers its own anew: without a
    suffix, functions of two exports would be taken for each other.

    Args:
      graph_def: the graph of a SavedModel, whose library has the functions. Its
        functions are renamed in place.
      names: names of the functions in the library.

    Returns:
      {name in the library: name by which TensorFlow can now call it}.
    """
    functions = _with_dependencies(graph_def.library, names)
    number = next(_imports)
    new_names = {name: f"{name}_of_export_{number}" for name in functions}
    for name, function in functions.items():
        function.definition.signature.name = new_names[name]
        for reference in function.references:
            reference.name = new_names[reference.name]
    part = [functions[name].definition for name in sorted(functions)]
    graph = GraphDef(
        versions=graph_def.versions, library=FunctionDefLibrary(function=part)
    )
    # Outside of a tf.function, this makes the functions known to eager calls.
    tf.graph_util.import_graph_def(graph, name="")
    return new_names


class _LibraryFunction(NamedTuple):
    """A function of a library.

    Attributes:
      definition: the stored function.
      references: the attributes of its operations that name functions to call.
    """

    definition: FunctionDef
    references: Sequence[NameAttrList]


def _with_dependencies(
    library: FunctionDefLibrary, names: Iterable[str]
) -> dict[str, _LibraryFunction]:
    """Return functions, and all that they call, by name."""
    definitions = {function.signature.name: function for function in library.function}
    functions: dict[str, _LibraryFunction] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in functions:
            references = _references(definitions[name])
            functions[name] = _LibraryFunction(definitions[name], references)
            waiting.extend(reference.name for reference in references)
    return functions


def _references(function: FunctionDef) -> list[NameAttrList]:
    """Return the attributes of a function's operations that name functions."""
    references = []
    for node in function.node_def:
        for value in node.attr.values():
            if value.HasField("func"):
                references.append(value.func)
            elif value.HasField("list"):
                references.extend(value.list.func)
    return references
