"""The colours of actions on pages and in plots."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

from a2d_tf.core.labels import A2D, LabelSpace

# Those of Okabe and Ito (Color Universal Design, 2008), which the colour-blind can tell apart, but
# for black; and two more.
_FIRST = (
    *("#e69f00", "#56b4e9", "#009e73", "#e3cf25", "#0072b2", "#d55e00", "#cc79a7"),
    *("#7b5ea7", "#8c6a4a"),
)
_NONE = "#8f979e"
_GOLDEN = (5**0.5 - 1) / 2


def of_actions(names: Iterable[str], labels: LabelSpace | None = None) -> dict[str, str]:
    """Colour actions, alike on every page of a label space.

    Args:
      names: those that occur.
      labels: gives the order; by default A2D's where it has all names, else that of the alphabet.

    Returns:
      {name: '#rrggbb'} of the actions that occur, in that order.
    """
    found = set(names)
    if labels is None and found <= set(A2D.actions):
        labels = A2D
    known = labels.actions if labels else ()
    none = labels.none_action if labels else "none"
    colours, count = {}, 0
    for name in [*known, *sorted(found - set(known))]:
        colours[name] = _NONE if name == none else _colour(count)
        count += name != none
    return {name: colour for name, colour in colours.items() if name in found}


def _colour(index):
    if index < len(_FIRST):
        return _FIRST[index]
    red, green, blue = colorsys.hls_to_rgb(index * _GOLDEN % 1, (0.45, 0.6)[index % 2], 0.55)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
