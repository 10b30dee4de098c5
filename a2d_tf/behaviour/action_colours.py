"""Colours of actions and of actors, the same in all plots and on all pages."""

from __future__ import annotations

from collections.abc import Iterable

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops.visualize import track_colours

# The colours of Okabe and Ito (Color Universal Design, 2008), which the colour-blind
# can tell apart, without black; and two more.
_FIRST_COLOURS = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#e3cf25",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#7b5ea7",
    "#8c6a4a",
)
_NO_ACTION = "#8f979e"


def colours(actions: Iterable[str], labels: LabelSpace | None = None) -> dict[str, str]:
    """Choose a colour for each action.

    Args:
      actions: the actions that occur.
      labels: the label space, in whose order the actions get their colours; actions
        that it lacks follow. With None the order is that of the alphabet.

    Returns:
      {action: "#rrggbb"}, in this order.
    """
    occurring = set(actions)
    order = list(labels.actions) if labels else []
    order += sorted(occurring - set(order))
    colour_of = {}
    for i, action in enumerate(order):
        colour = _colour(i)
        if labels and action == labels.none_action:
            colour = _NO_ACTION
        if action in occurring:
            colour_of[action] = colour
    return colour_of


def actor_colours(actors: Iterable[str], labels: LabelSpace) -> dict[str, str]:
    """Choose a colour for each actor, other than those of the actions.

    Args:
      actors: the actors that occur.
      labels: the label space of actors and actions.

    Returns:
      {actor: "#rrggbb"}, in the order of the alphabet.
    """
    occurring = set(actors)
    order = list(labels.actors) + sorted(occurring - set(labels.actors))
    first = len(labels.actions)
    return {actor: _colour(first + order.index(actor)) for actor in sorted(occurring)}


def _colour(i: int) -> str:
    if i < len(_FIRST_COLOURS):
        return _FIRST_COLOURS[i]
    return "#" + track_colours([i]).tobytes().hex()
