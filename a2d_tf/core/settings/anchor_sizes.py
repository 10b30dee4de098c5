"""The setting --anchor_sizes: the sides of the anchors of each pyramid level."""

from __future__ import annotations

from collections.abc import Sequence

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_SIDE

_MOST = 8  # sizes of a pyramid level


def parse(text: str) -> tuple[tuple[float, ...], ...]:
    """Parse --anchor_sizes, such as '16+32,64,128,256,512'.

    Args:
      text: for each of the pyramid levels P2 to P6 the side of its square anchors in
        pixels, or several sides joined by '+'; levels are separated by commas.

    Returns:
      the sides of each level, ascending: five tuples of floats.

    Raises:
      InputError: there are not five levels, more than 8 sizes in one, or sizes that are
        not positive and ascending.
    """
    try:
        levels = [tuple(map(float, sizes.split("+"))) for sizes in text.split(",")]
    except ValueError:
        levels = []
    if len(levels) != 5 or not all(map(_are_sizes_of_level, levels)):
        raise InputError(
            f"--anchor_sizes={text}: use five sizes, or up to {_MOST} per"
            " level: 8+16"
        )
    return tuple(levels)


def _are_sizes_of_level(sizes: Sequence[float]) -> bool:
    """Return whether a pyramid level can have anchors of these sizes."""
    if len(sizes) > _MOST or not sizes[-1] <= MAX_SIDE:
        return False
    # Ascending, because levels share the weights of their largest anchors.
    return all(lower < upper for lower, upper in zip((0.0, *sizes), sizes))
