"""Label spaces: actors, actions and the valid pairs of them.

A *code* joins the two in one integer, `base * actor + action` with both counted from 1 and 0 for
background; `base` is 10 for A2D, where 43 is bird-eating. The network uses 0-based indices of
actors and actions. A2D is one instance; users load their own with `LabelSpace.from_json`.
"""

from __future__ import annotations

import colorsys
import dataclasses
import functools
import json
import operator
import os
import re
from typing import Any

import numpy as np

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_json
from a2d_tf.core.limits import MAX_NAME

_MAX_CODE = 65535  # of a 16-bit label map


def is_name(name: str) -> bool:
    """Return whether this is a printable name for an actor or an action."""
    controls = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"  # JSON can hold halves of characters
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and not re.search(controls, name)


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """Actors, actions and their valid pairs.

    Attributes:
      actors: names of the |X| actors; actor i (0-based) has code digit i + 1.
      actions: names of the |Y| actions, likewise.
      codes: the valid pair codes, ascending.
      none_action: name of the "no action" class, which action mAP leaves out, or None.
      colours: ((code, (r, g, b)), ...), the colour of each pair in label-map images.
    """

    actors: tuple
    actions: tuple
    codes: tuple
    none_action: str | None = None
    colours: tuple = ()

    def __post_init__(self):
        for field in ("actors", "actions"):
            names = getattr(self, field)
            if not names or not all(map(is_name, names)) or len(set(names)) != len(names):
                raise InputError(
                    f"label space: '{field}' must be distinct names, got {shown(names)}"
                )
        _check_codes(self.actors, self.actions)
        if not self.codes or tuple(sorted(set(self.codes))) != tuple(self.codes):
            raise InputError("label space: 'codes' must be ascending, distinct and not empty")
        for code in self.codes:
            if not self.knows(code):
                raise InputError(f"label space: code {code} names no actor and action")
        if self.none_action is not None and self.none_action not in self.actions:
            raise InputError(f"label space: none_action {shown(self.none_action)} is not an action")
        for code, colour in self.colours:
            levels = len(colour) == 3 and all(0 <= level <= 255 for level in colour)
            if not levels or not 0 <= code <= self.max_code:
                raise InputError(
                    f"label space: colour {shown(list(colour))} of code {code}: a colour is "
                    f"[r, g, b], each 0..255, of a code up to {self.max_code}"
                )

    @property
    def base(self) -> int:
        """K in code = K * actor + action."""
        return _base(self.actions)

    @property
    def max_code(self) -> int:
        """The largest possible code."""
        return _max_code(self.actors, self.actions)

    @property
    def code_dtype(self) -> type:
        """The dtype of label maps: uint8, or uint16 if there are codes above 255."""
        return np.uint8 if self.max_code <= 255 else np.uint16

    def actor_index(self, name: str) -> int:
        """Return the 0-based index of an actor; raise an InputError if there is none."""
        if name not in self.actors:
            raise InputError(f"actor '{name}' is none of {', '.join(self.actors)}")
        return self.actors.index(name)

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """Valid (actor, action) index pairs, 0-based, in code order: int32 [P, 2]."""
        return np.stack(np.divmod(np.array(self.codes, np.int32), self.base), axis=1) - 1

    @functools.cached_property
    def valid(self) -> np.ndarray:
        """The validity of each pair: bool [|X|, |Y|]."""
        valid = np.zeros((len(self.actors), len(self.actions)), bool)
        valid[self.pairs[:, 0], self.pairs[:, 1]] = True
        return valid

    def encode(self, actor: Any, action: Any) -> Any:
        """Return the codes of 0-based actor and action indices (arrays or integers)."""
        return self.base * (actor + 1) + action + 1

    def split(self, codes: int | np.ndarray) -> tuple:
        """Return the 1-based (actor, action) of codes, both 0 for code 0."""
        return codes // self.base, codes % self.base

    def knows(self, codes: Any) -> Any:
        """Return whether codes have an actor and an action, be they a valid pair or not."""
        actor, action = self.split(codes)
        of_actor = (actor >= 1) & (actor <= len(self.actors))
        return of_actor & (action >= 1) & (action <= len(self.actions))

    def name(self, code: int) -> str:
        """Return the name of a code, such as 'adult-running'."""
        if code == 0:
            return "background"
        actor, action = divmod(int(code), self.base)
        return f"{self.actors[actor - 1]}-{self.actions[action - 1]}"

    @functools.cached_property
    def palette(self) -> np.ndarray:
        """The colour of each code: uint8 [max_code + 1, 3], RGB, black for background.

        Pairs without a given colour get a hue by actor and a brightness by action.
        """
        palette = np.zeros((self.max_code + 1, 3), np.uint8)
        for actor in range(len(self.actors)):
            for action in range(len(self.actions)):
                value = 0.3 + 0.7 * (action + 1) / len(self.actions)
                rgb = colorsys.hsv_to_rgb(actor / len(self.actors), 0.85, value)
                palette[self.encode(actor, action)] = np.round(255 * np.array(rgb))
        for code, colour in self.colours:
            palette[code] = colour
        return palette

    def to_json(self) -> str:
        """Return the label space as JSON text, as `from_json` reads it."""
        fields = dataclasses.asdict(self)
        fields["colours"] = {str(code): list(colour) for code, colour in self.colours}
        return json.dumps(fields, indent=1)

    @classmethod
    def from_fields(cls, fields: dict) -> LabelSpace:
        """Return the label space of a JSON object's fields; see `from_json`.

        Raises:
          InputError: a field is missing, unknown or malformed.
        """
        if not isinstance(fields, dict):
            raise InputError("a label space is a JSON object with actors and actions")
        unknown = set(fields) - {"actors", "actions", "codes", "pairs", "none_action", "colours"}
        if unknown:
            raise InputError(f"unknown field {shown(sorted(unknown)[0])} in a label space")
        try:
            for field in ("actors", "actions"):
                if not isinstance(fields[field], (list, tuple)):
                    raise InputError(f"label space: '{field}' must be a list of names")
            actors, actions = tuple(fields["actors"]), tuple(fields["actions"])
            base = _base(actions)
            _check_codes(actors, actions)  # before making all pairs
            if fields.get("codes"):
                codes = tuple(sorted(operator.index(code) for code in fields["codes"]))
            else:
                pairs = fields.get("pairs") or [(x, y) for x in actors for y in actions]
                codes = tuple(
                    sorted(base * (actors.index(x) + 1) + actions.index(y) + 1 for x, y in pairs)
                )
            colours = sorted(
                (int(code), tuple(map(operator.index, colour)))
                for code, colour in fields.get("colours", {}).items()
            )
            return cls(actors, actions, codes, fields.get("none_action"), tuple(colours))
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"label space: field missing or malformed: {error}") from error

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> LabelSpace:
        """Read a label space.

        The file is one object: `actors` and `actions` (lists of names), `codes` or `pairs` (a list
        of codes, or of [actor, action] names; all pairs where both are absent), and optionally
        `none_action` and `colours` ({code: [r, g, b]}).

        Raises:
          InputError: the file is missing or malformed, or names an unknown actor or action.
        """
        try:
            fields = read_json(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable label space ({error})") from error
        try:
            return cls.from_fields(fields)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _base(actions):
    return max(10, len(actions) + 1)


def _max_code(actors, actions):
    return _base(actions) * len(actors) + len(actions)


def _check_codes(actors, actions):
    if _max_code(actors, actions) > _MAX_CODE:
        raise InputError("label space: codes do not fit 16 bits")


def _a2d():
    # Xu et al., CVPR 2015; colours as in the release's Annotations/col.
    shades = {
        1: "52,1,1 103,1,1 154,1,1 205,1,1 255,1,1 255,51,51 255,103,103 255,154,154 255,205,205",
        2: "52,46,1 103,92,1 154,138,1 205,184,1 255,230,1 255,235,51 255,240,103 255,245,154 "
        "255,250,205",
        3: "11,52,1 21,103,1 31,154,1 41,205,1 52,255,1 92,255,51 133,255,103 174,255,154 "
        "215,255,205",
        4: "1,52,36 1,103,72 1,154,108 1,205,143 1,255,179 51,255,194 103,255,210 154,255,225 "
        "205,255,240",
        5: "1,21,52 1,41,103 1,62,154 1,82,205 1,103,255 51,133,255 103,164,255 154,194,255 "
        "205,225,255",
        6: "26,1,52 52,1,103 77,1,154 103,1,205 128,1,255 154,51,255 179,103,255 205,154,255 "
        "230,205,255",
        7: "52,1,31 103,1,62 154,1,92 205,1,123 255,1,153 255,51,174 255,103,194 255,154,215 "
        "255,205,235",
    }
    colours = tuple(
        (10 * actor + action, tuple(int(c) for c in colour.split(",")))
        for actor, line in shades.items()
        for action, colour in enumerate(line.split(), start=1)
    )
    codes = (
        "11 12 13 15 16 17 18 19 21 22 26 28 29 34 35 36 39 41 43 44 45 46 48 49 54 55 56 57 59 "
        "61 63 65 66 67 68 69 72 73 75 76 77 78 79"
    )
    return LabelSpace(
        actors=("adult", "baby", "ball", "bird", "car", "cat", "dog"),
        actions=(
            "climbing",
            "crawling",
            "eating",
            "flying",
            "jumping",
            "rolling",
            "running",
            "walking",
            "none",
        ),
        codes=tuple(int(code) for code in codes.split()),
        none_action="none",
        colours=colours,
    )


A2D = _a2d()
