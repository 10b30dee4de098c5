"""How good a model's labels were in videos that its fit had not seen.

A model keeps it as `held_out` in its `a2d_tf.json`, and so does each of its predictions
in `video.json`, whose page says it in a sentence:

  {"videos": 11, "seconds": 7.9, "right": 4.1,
   "unsure_below": 0.42,
   "behaviours": {"run": {"seconds": 1.8, "right": 1.2, "predicted": 2.4}, ...}}

`videos` were left out of the fit in turn; `seconds` were coded in them, of which
`right` got the coded behaviour. A behaviour was `predicted` for so many of them.
Answers with a score below `unsure_below` were rather wrong than right, see
`evaluation.unsure`; models of earlier versions do not say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2d_tf.core.checked_json import number, whole

_SECONDS = number(0, 1e12)
KIND = {
    "videos": whole(2),
    "seconds": _SECONDS,
    "right": _SECONDS,
    "unsure_below?": number(0, 1),
    "behaviours": {
        str: {"seconds": _SECONDS, "right": _SECONDS, "predicted": _SECONDS}
    },
}
"""Of the field, as for `check_json`."""


def sentence(held_out: Mapping[str, Any]) -> str:
    """Say it in a sentence."""
    shares = []
    for name, behaviour in held_out["behaviours"].items():
        shares.append(f"{name} {_percent(behaviour)}")
    return (
        f"In {held_out['videos']} coded videos, each left out of the fit in turn,"
        f" {_percent(held_out)} of the coded seconds got their behaviour:"
        f" {', '.join(shares)}."
    )


def _percent(seconds):
    """Return what is right of seconds; all are if there are none."""
    share = seconds["right"] / seconds["seconds"] if seconds["seconds"] else 1
    return f"{100 * share:.0f} %"
