"""Names: from a tool's labels and attributes to an actor and an action.

The first of these counts: the file of `--names`; the attributes 'actor' and 'action';
the label as the actor, with the attribute 'action'; a label 'actor-action', split at
its first hyphen, or where --labels knows both; if the attribute 'action' is there and
empty, only where --labels knows both. A coded action replaces the annotated one. Blanks
around a name do not count, nor does how its accents are composed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from a2d_tf.annotations.conventions import NO_VALUE
from a2d_tf.annotations.document import Instance, ToolLabel
from a2d_tf.core.checked_json import kind_of, load_json
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import LabelSpace, is_name, normalized

Pair = tuple[str, str]
"""An actor and an action."""


class AnnotatedNames(NamedTuple):
    """What label and attributes say of an instance; either may be no name.

    Attributes:
      actor: '' without one.
      action: '' or None without one.
    """

    actor: str
    action: str | None

    @property
    def pair(self) -> Pair | None:
        """Both, if they are names; else None."""
        if self.action and is_name(self.actor) and is_name(self.action):
            return self.actor, self.action
        return None


@dataclasses.dataclass(frozen=True)
class Names:
    """Maps labels to pairs of an actor and an action.

    Attributes:
      by_label: {label: (actor, action)}; an action of None is that of the attribute.
      label_space: the label space of the pairs, which tells where to split a label with
        several hyphens; None if it follows from the pairs.
      grows: whether pairs that this label space lacks are added to it.
    """

    by_label: Mapping[str, tuple[str, str | None]] = dataclasses.field(
        default_factory=dict
    )
    label_space: LabelSpace | None = None
    grows: bool = False

    @classmethod
    def load(cls, path: str | os.PathLike) -> Names:
        """Read a JSON file {"label": ["actor", "action"]}.

        An action of null is that of the attribute.

        Raises:
          InputError: the file is missing, malformed, or contains an invalid name.
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
        """Return the labels of `by_label` that are not among `labels`."""
        seen = {normalized(label) for label in labels}
        return [label for label in self.by_label if label not in seen]

    def pair(self, instance: Instance) -> Pair | None:
        """Return the actor and the action of an instance; None if they are unclear."""
        names = self.annotated_names(instance)
        if instance.coded:
            names = names._replace(action=instance.coded)
        return names.pair

    def pair_of_label(self, label: ToolLabel) -> Pair | None:
        """Return the pair of a label that a tool offers; None if it is unclear."""
        return self.annotated_names(label).pair

    def annotated_names(self, annotated: Instance | ToolLabel) -> AnnotatedNames:
        """Return actor and action without coded times."""
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
        # Where an action has a place of its own that is empty, a hyphen may be part of
        # the actor: guinea-pig.
        has_place = annotated.action is not None
        split = self._split(label, only_known=has_place)
        if split.action:
            return split
        return AnnotatedNames(actor_attribute or label, split.action)

    def code(self, instance: Instance, space: LabelSpace) -> int:
        """Return the code of an instance in a label space that has its pair."""
        pair = self.pair(instance)
        assert pair is not None  # `label_space_of` refuses other instances
        actor, action = pair
        return int(space.encode(space.actors.index(actor), space.actions.index(action)))

    def _split(self, label: str, only_known: bool) -> AnnotatedNames:
        """Split 'actor-action' as the label space knows it, else at the first hyphen.

        One that grows may know the actor alone. The action is None if the label space
        knows two ways, or with `only_known` none.
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
    """Return the text of an attribute; None if it has no value."""
    text = normalized(value or "")
    return None if text in NO_VALUE else text
