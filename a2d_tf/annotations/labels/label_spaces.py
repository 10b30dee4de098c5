"""The label space of annotations: as the user gave it, or of the pairs in them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.labels.names import Names, Pair
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.labels import A2D, NONE, LabelSpace


def label_space_of(instances: Iterable[Instance], names: Names) -> LabelSpace:
    """Return the label space of annotations: their actors, actions and valid pairs.

    Args:
      instances: all annotated instances.
      names: maps the labels of the instances to pairs of actor and action. If it has a
        label space, that one is returned, and if it `grows`, with the pairs that it
        lacks. If it has none, the label space follows from the pairs by
        `derive_label_space`.

    Raises:
      InputError: labels have no actor and action, all of which are listed with counts;
        or the label space of `names` lacks a pair and does not grow; or two names
        differ only in case and would be two classes.
    """
    first_of_pair: dict[Pair, Instance] = {}
    without_pair: list[Instance] = []
    for instance in instances:
        pair = names.pair(instance)
        if pair is None:
            without_pair.append(instance)
        else:
            first_of_pair.setdefault(pair, instance)
    if without_pair:
        raise _no_pair_error(without_pair)
    space = names.label_space
    if space is None:
        _check_spelling(first_of_pair, {}, {})
        return derive_label_space(first_of_pair)
    if names.grows:
        _check_spelling(
            first_of_pair,
            {name.casefold(): name for name in space.actors},
            {name.casefold(): name for name in space.actions},
        )
        return space.with_pairs(first_of_pair)
    for pair, instance in first_of_pair.items():
        if pair not in space.named_pairs:
            where = instance.action_at
            if pair[0] not in space.actors:
                where = instance.where
            raise InputError(
                f"{where}: {'-'.join(pair)} is not in the label space;"
                " correct it, or add the pair to the --labels file"
            )
    return space


def _check_spelling(
    first_of_pair: Mapping[Pair, Instance],
    actors: dict[str, str],
    actions: dict[str, str],
) -> None:
    """Raise InputError if two names differ only in case.

    Args:
      first_of_pair: {pair: an instance of it}.
      actors, actions: {lower-case form: name} of those that are known; others are
        added.
    """
    for (actor, action), instance in first_of_pair.items():
        for name, where, spellings in (
            (actor, instance.where, actors),
            (action, instance.action_at, actions),
        ):
            spelling = spellings.setdefault(name.casefold(), name)
            if spelling != name:
                raise InputError(
                    f"{where}: {quoted(name)} is {quoted(spelling)} elsewhere;"
                    " correct one, or map both labels to one name with --names"
                )


def _no_pair_error(instances: Sequence[Instance]) -> InputError:
    """Return the error that labels tell no actor and action; it lists them with counts.

    Args:
      instances: the instances with these labels, at least one.
    """
    counts = collections.Counter(instance.label for instance in instances)
    labels = ", ".join(f"{quoted(label)} ({n})" for label, n in sorted(counts.items()))
    first = instances[0]
    return InputError(
        f"{first.where}: no actor and action for the labels {labels}; name them"
        " 'actor-action', give them the attribute 'action', or map them with"
        f' --names=FILE, a JSON file such as {{"{first.label}": ["actor", "action"]}}'
    )


def derive_label_space(pairs: Iterable[Pair]) -> LabelSpace:
    """Return a label space, actors, actions and valid pairs, with certain valid pairs.

    If they are exactly those of the data set A2D, it is A2D's own label space.
    Otherwise names are in alphabetical order, but 'none', the action that action mAP
    leaves out, comes last.

    Args:
      pairs: the (actor, action) of each valid pair, as names.
    """
    pairs = list(pairs)
    if set(pairs) == set(A2D.named_pairs):
        return A2D
    actors = set()
    actions = set()
    for actor, action in pairs:
        actors.add(actor)
        actions.add(action)
    ordered_actions = sorted(actions - {NONE})
    none_action = None
    if NONE in actions:
        ordered_actions.append(NONE)
        none_action = NONE
    fields: dict[str, Any] = {
        "actors": sorted(actors),
        "actions": ordered_actions,
        "none_action": none_action,
        "pairs": [list(pair) for pair in pairs],
    }
    return LabelSpace.from_fields(fields)


def check_kept(label_space: LabelSpace, earlier_labels: LabelSpace) -> None:
    """Raise InputError if the user's label space lacks labels of earlier records.

    Args:
      label_space: the label space in the file of --labels.
      earlier_labels: the label space of the earlier records.
    """
    lost = label_space.unknown_in(earlier_labels)
    if lost:
        raise InputError(
            f"--labels: without the earlier records' {join_names(lost)}; add this, or"
            " begin a first round with these labels"
        )
