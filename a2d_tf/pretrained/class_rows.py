"""Layers with a row of weights for each class, which are filled class by class.

A class takes the row of the class of the same name. The proposal network has a row for
each anchor size of a level; here each size is a class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.pretrained import coco

ONE_SIZE = ("size 1",)
"""The classes of the proposal network's layers if a level has one anchor size."""


def class_names(network: Network) -> dict[str, list[tuple[str, ...]]]:
    """Return the classes of each layer that has a row of weights for each class.

    Args:
      network: the network.

    Returns:
      {name of the layer: its classes in the order of the rows}. A class is a tuple: its
      name in this network, then the names that it may have in other networks; 'person'
      for A2D's actor 'adult', for example.
    """
    class_layers = network.proposals.class_layers()
    for head in network.heads:
        class_layers.update(head.class_layers())
    names_by_layer = {}
    for layer, classes in class_layers.items():
        layer_names = []
        for names in classes:
            alias = coco.A2D_ALIASES.get(names[-1])
            if alias:
                names = (*names, alias)
            layer_names.append(names)
        names_by_layer[layer] = layer_names
    return names_by_layer


@dataclasses.dataclass(frozen=True)
class ClassRows:
    """The rows of a layer, and the rows of a source that fill them.

    A row is the part of the weights that belongs to one class: k of count * k outputs.
    The source is a tensor of imported weights, or the same layer of another network.

    Attributes:
      count: number of classes of the layer.
      source_count: number of classes of the source.
      sources: {index of a row of the layer: index of the source's row of the same
        class}.
      assigned: the classes that both have, as 'name' or 'name <- name in the source'.
      missing: names of the layer's classes that the source does not have.
    """

    count: int
    source_count: int
    sources: dict[int, int]
    assigned: list[str]
    missing: list[str]

    @classmethod
    def pair(
        cls, classes: list[tuple[str, ...]], source_classes: Sequence[str]
    ) -> ClassRows:
        """Pair the classes of a layer with those of a source, by their names.

        Args:
          classes: the layer's classes in the order of its rows, each as a tuple of
            names: that in this network, then those it may have in others.
          source_classes: the names of the source's classes in the order of its rows.

        Returns:
          which row of the source fills which row of the layer, and which classes the
          source does not have.
        """
        sources = {}
        assigned = []
        missing = []
        for row, names in enumerate(classes):
            own_name = names[0]
            name = next((x for x in names if x in source_classes), None)
            if name is None:
                missing.append(own_name)
                continue
            sources[row] = source_classes.index(name)
            if name == own_name:
                assigned.append(own_name)
            else:
                assigned.append(f"{own_name} <- {name}")
        return cls(
            count=len(classes),
            source_count=len(source_classes),
            sources=sources,
            assigned=assigned,
            missing=missing,
        )

    def summary(self) -> str:
        """Return the classes that both have, joined by commas, for the report.

        It is empty if the only "class" of both is the anchor size of a proposal
        network.
        """
        is_only_row = self.count == 1 and self.source_count == 1
        if is_only_row and tuple(self.assigned) == ONE_SIZE:
            return ""
        return ", ".join(self.assigned)

    def fit(self, variable: tf.Variable, tensor: np.ndarray | tf.Variable) -> bool:
        """Return whether a row has the same shape in the layer and in the source.

        Args:
          variable: the layer's kernel or bias, [..., count * k].
          tensor: the source's kernel or bias, [..., source_count * k].
        """
        shape = (*variable.shape[:-1], variable.shape[-1] / self.count)
        return shape == (*tensor.shape[:-1], tensor.shape[-1] / self.source_count)

    def assign(self, variable: tf.Variable, tensor: np.ndarray | tf.Variable) -> None:
        """Assign the source's rows to the layer, for the classes that both have.

        Other rows keep their values. The shapes must `fit`.

        Args:
          variable: the layer's kernel or bias, [..., count * k], changed in place.
          tensor: the source's kernel or bias, [..., source_count * k].
        """
        source = np.asarray(tensor)
        rows = variable.numpy().reshape(*variable.shape[:-1], self.count, -1)
        source_rows = source.reshape(*source.shape[:-1], self.source_count, -1)
        for row, source_row in self.sources.items():
            rows[..., row, :] = source_rows[..., source_row, :]
        variable.assign(rows.reshape(variable.shape))
