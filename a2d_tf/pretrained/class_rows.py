"""Layers with a row of weights for each class: rows go to the classes of the same name.

The proposal network has a row for each anchor size of a level, which is a class here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.pretrained import coco

ONE_SIZE = ("size 1",)
"""The anchor sizes of a level that has one, as `Proposals.class_layers` names them."""


def class_names(network: Network) -> dict[str, list[tuple[str, ...]]]:
    """Return the classes of each class layer of a network.

    Each class is a tuple of its possible names in other files, its own first.
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
    """The classes of a layer, and which of them its source has too.

    Attributes:
      count, source_count: numbers of classes.
      sources: {row of a class: its row in the source}.
      assigned: these classes, as 'name' or 'name <- name in the source'.
      missing: names of the others.
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
        """Pair classes, each with its possible names, with those of a source."""
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

    def described(self) -> str:
        """Name the assigned classes; empty where both have anchors of one size."""
        is_only_row = self.count == 1 and self.source_count == 1
        if is_only_row and tuple(self.assigned) == ONE_SIZE:
            return ""
        return ", ".join(self.assigned)

    def fit(self, variable: tf.Variable, tensor: np.ndarray | tf.Variable) -> bool:
        """Return whether a class has the same shape in both."""
        shape = (*variable.shape[:-1], variable.shape[-1] / self.count)
        return shape == (*tensor.shape[:-1], tensor.shape[-1] / self.source_count)

    def assign(self, variable: tf.Variable, tensor: np.ndarray | tf.Variable) -> None:
        """Assign the rows that both have.

        Args:
          variable: [..., count * k].
          tensor: [..., source_count * k].
        """
        source = np.asarray(tensor)
        rows = variable.numpy().reshape(*variable.shape[:-1], self.count, -1)
        source_rows = source.reshape(*source.shape[:-1], self.source_count, -1)
        for row, source_row in self.sources.items():
            rows[..., row, :] = source_rows[..., source_row, :]
        variable.assign(rows.reshape(variable.shape))
