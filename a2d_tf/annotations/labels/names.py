"""The actor and the action that the label and attributes of an instance mean.

The first that applies counts:

1. The file of `--names` lists the label.
2. The attribute 'action' has a value. The attribute 'actor', or else the label, is the
   actor.
3. The label is 'actor-action'. It is split at the hyphen at which --labels knows both
   parts, otherwise at its first hyphen. If there is an attribute 'action', which is
   empty, --labels must know both parts.

A coded action replaces the annotated one. Blanks around names, and the composition of
their accents, make no difference.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from a2d_tf.annotations.documents.conventions import NO_VALUE
from a2d_tf.annotations.documents.document import ToolLabel
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.core.checked_json import kind_of, load_json
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import LabelSpace, is_name, normalized

Pair = tuple[str, str]
"""An actor and an action."""


class AnnotatedNames(NamedTuple):
    """The actor and the action that annotations state; either may be an invalid name.

    Attributes:
      actor: the name of the actor; '' if there is none.
      action: the name of the action; '' or None if there is none.
    """

    actor: str
    action: str | None

    @property
    def pair(self) -> Pair | None:
        """The (actor, action), if both are valid names; otherwise None."""
        if self.action and is_name(self.actor) and is_name(self.action):
            return self.actor, self.action
        return None


@dataclasses.dataclass(frozen=True)
class Names:
    """Maps labels and attributes of annotation tools to pairs of actor and action.

    The module's docstring has the rules.

    Attributes:
      by_label: {label: (actor, action)} of the file of --names. An action of None
        stands for the value of the attribute 'action'.
      label_space: the label space of the pairs, which tells where a label with several
        hyphens is split; None if the label space is derived from the annotations.
      grows: whether pairs that the label space lacks are added to it.
    """

    by_label: Mapping[str, tuple[str, str | None]] = dataclasses.field(
        default_factory=dict
    )
    label_space: LabelSpace | None = None
    grows: bool = False

    @classmethod
    def load(cls, path: str | os.PathLike) -> Names:
        """Read the file of --names, which maps labels to actors and actions.

        Args:
          path: a JSON file {"label": ["actor", "action"]}; an action of null stands for
            the attribute 'action'.

        Raises:
          InputError: the file is missing, malformed, lists a label twice, or contains
            an invalid name.
        """
        remedy = (
            'write {"label": ["actor", "action"]}, or with null for the attribute'
            " 'action'"
        )
        content = load_json(path, {str: kind_of(_is_pair, "a pair of names")}, remedy)
        by_label = {}
        for label, (actor, action) in content.items():
            if action is not None:
                action = normalized(action)
            if normalized(label) in by_label:
                raise InputError(f"{path}: {quoted(label)} is there twice; remove one")
            by_label[normalized(label)] = (normalized(actor), action)
        return cls(by_label)

    def unused(self, labels: Iterable[str]) -> list[str]:
        """Return the labels of `by_label` that do not occur in the annotations.

        Args:
          labels: all labels in the annotation files.
        """
        seen = {normalized(label) for label in labels}
        return [label for label in self.by_label if label not in seen]

    def pair(self, instance: Instance) -> Pair | None:
        """Return the (actor, action) of an instance; None if they are unclear.

        A coded action replaces the annotated one.

        Args:
          instance: an annotated instance.
        """
        names = self.annotated_names(instance)
        if instance.coded:
            names = names._replace(action=instance.coded)
        return names.pair

    def pair_of_label(self, label: ToolLabel) -> Pair | None:
        """Return the (actor, action) that a tool's label means; None if it is unclear.

        Args:
          label: a label that the tool offers, with values of its attributes.
        """
        return self.annotated_names(label).pair

    def annotated_names(self, annotated: Instance | ToolLabel) -> AnnotatedNames:
        """Return the actor and the action that the label and the attributes state.

        Coded actions do not count. The names may be empty or invalid.

        Args:
          annotated: an annotated instance, or a label that a tool offers.
        """
        label = normalized(annotated.label)
        actor_attribute = attribute(annotated.actor)
        action_attribute = attribute(annotated.action)
        if label in self.by_label:
            actor, action = self.by_label[label]
            if action is None:
                action = action_attribute
            return AnnotatedNames(actor, action)
        if action_attribute is not None:
            return AnnotatedNames(actor_attribute or label, action_attribute)
        # If the attribute 'action' exists and is empty, a hyphen may be part of the
        # actor: guinea-pig.
        has_attribute = annotated.action is not None
        split = self._split(label, only_known=has_attribute)
        if split.action:
            return split
        return AnnotatedNames(actor_attribute or label, split.action)

    def code(self, instance: Instance, space: LabelSpace) -> int:
        """Return the label code of an instance, an integer for its actor and action.

        Args:
          instance: an annotated instance that has an actor and an action.
          space: the label space, which must have both.
        """
        pair = self.pair(instance)
        assert pair is not None  # `label_space_of` refuses other instances
        actor, action = pair
        return int(space.encode(space.actors.index(actor), space.actions.index(action)))

    def _split(self, label: str, only_known: bool) -> AnnotatedNames:
        """Split 'actor-action' at the hyphen that the label space tells, or the first.

        Args:
          label: the label.
          only_known: whether only a split counts of which the label space knows both
            parts. Otherwise, if there is none, a split counts of which a label space
            that grows knows the actor, and then the split at the first hyphen.

        Returns:
          the parts. If several splits or none count, the actor is the whole label, and
          the action is None. Without a hyphen the action is ''.
        """
        splits = []
        for i, letter in enumerate(label):
            if letter == "-":
                splits.append(AnnotatedNames(label[:i].strip(), label[i + 1 :].strip()))
        if not splits:
            return AnnotatedNames(label, "")
        known_splits = []
        if self.label_space is not None:
            pairs = self.label_space.named_pairs
            known_splits = [split for split in splits if split in pairs]
            if self.grows and not known_splits and not only_known:
                actors = self.label_space.actors
                known_splits = [split for split in splits if split.actor in actors]
        if len(known_splits) == 1:
            return known_splits[0]
        if known_splits or only_known:
            return AnnotatedNames(label, None)
        return splits[0]


NO_NAMES = Names()


def _is_pair(value: Any) -> bool:
    """Return whether a JSON value is [actor, action], or [actor, null]."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    actor, action = value
    return is_name(actor) and (action is None or is_name(action))


def attribute(value: str | None) -> str | None:
    """Return the value of an attribute, without blanks around it.

    Args:
      value: the text of the attribute as in the file; None if it is missing.

    Returns:
      the text; None if it is missing, empty, or CVAT's '__undefined__'.
    """
    text = normalized(value or "")
    return None if text in NO_VALUE else text
