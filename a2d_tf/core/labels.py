"""Label spaces: actors, actions and the valid pairs of them.

A *code* joins the two in one integer, `base * actor + action` with both counted from 1
and 0 for background; `base` is 10 for A2D, where 43 is bird-eating. The network uses
0-based indices of actors and actions. A2D is one instance; users load their own with
`LabelSpace.from_json`.
"""

from __future__ import annotations

import colorsys
import dataclasses
import functools
import itertools
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.checked_json import check_json, load_json, whole
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.limits import MAX_NAME

NONE = "none"
"""The action of an actor that does none of the others; action mAP leaves it out."""
_MAX_CODE = 65535  # of a 16-bit label map


def is_name(name: str) -> bool:
    """Return whether an actor or action may have this name.

    It must be a text of 1 to `MAX_NAME` characters without control characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        return False
    # Control characters, and halves of characters, which JSON can hold.
    return not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)


def normalized(name: str) -> str:
    """Return a name in the form in which names are compared.

    Blanks around it are removed, and accents are composed with their letters (NFC).
    """
    return unicodedata.normalize("NFC", name.strip())


class Pair(NamedTuple):
    """The actor and the action of a code, integers; or of many, arrays of one shape.

    Attributes:
      actor: index of the actor; `LabelSpace.indices` counts from 0, `split` from 1.
      action: index of the action, counted likewise.
    """

    actor: Any
    action: Any


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """The actors, the actions and the valid pairs of them, each with an integer code.

    code = base * (index of the actor + 1) + index of the action + 1; 0 is background.

    Attributes:
      actors: names of the actors, in the order of their indices from 0.
      actions: names of the actions, likewise.
      codes: the codes of the valid pairs, ascending.
      none_action: name of the 'no action' class, which action mAP leaves out; None if
        there is no such class.
      colours: ((code, (r, g, b)), ...), the colours of pairs in pictures of label maps,
        0 to 255; pairs that are not listed get one, see `palette`.

    Raises:
      InputError: names are not distinct, or codes are out of range, not ascending or
        without an actor and an action.
    """

    actors: tuple
    actions: tuple
    codes: tuple
    none_action: str | None = None
    colours: tuple = ()

    def __post_init__(self) -> None:
        for names in (self.actors, self.actions):
            if not _are_distinct_names(names):
                raise _error("actors and actions must be distinct names")
        if self.max_code > _MAX_CODE:
            raise _error("too many actors and actions: codes exceed 16 bits")
        are_ascending = tuple(sorted(set(self.codes))) == self.codes
        if not self.codes or not are_ascending or not all(map(self.knows, self.codes)):
            raise _error(
                "codes must be ascending, each of an actor and an action, not"
                f" {quoted(self.codes)}"
            )
        if self.none_action not in (None, *self.actions):
            raise _error("none_action must be an action")
        for code, colour in self.colours:
            if len(colour) != 3 or not 0 <= code <= self.max_code:
                raise _error("colours must be {code: [r, g, b]}")

    @property
    def base(self) -> int:
        """The factor of the actor in a code: 10, or more from ten actions on."""
        return _base(self.actions)

    @property
    def max_code(self) -> int:
        """The code of the last actor and the last action, the largest there can be."""
        return self.base * len(self.actors) + len(self.actions)

    @property
    def code_dtype(self) -> type:
        """The dtype of label maps: uint8, or uint16 if there are codes above 255."""
        return np.uint8 if self.max_code <= 255 else np.uint16

    def actor_index(self, name: str) -> int:
        """Return the index of an actor by its name, from 0.

        Raises:
          InputError: there is no such actor.
        """
        if name not in self.actors:
            raise InputError(f"actor '{name}' is not one of {', '.join(self.actors)}")
        return self.actors.index(name)

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """Indices (actor, action) from 0 of the valid pairs, by code: int32 [P, 2]."""
        codes = np.array(self.codes, np.int32)
        return np.stack(np.divmod(codes, self.base), axis=1) - 1

    @functools.cached_property
    def named_pairs(self) -> tuple[tuple[str, str], ...]:
        """The names (actor, action) of each valid pair, in code order."""
        return tuple((self.actors[x], self.actions[y]) for x, y in self.pairs)

    @functools.cached_property
    def valid(self) -> np.ndarray:
        """Whether an actor can do an action: bool [actors, actions], by indices."""
        valid = np.zeros((len(self.actors), len(self.actions)), bool)
        valid[self.pairs[:, 0], self.pairs[:, 1]] = True
        return valid

    def encode(self, actor: Any, action: Any) -> Any:
        """Return the code of an actor and an action.

        Args:
          actor: index of the actor, from 0, an integer or an integer array.
          action: index of the action, likewise.

        Returns:
          the code, an integer or an array of the same shape.
        """
        return self.base * (actor + 1) + action + 1

    def indices(self, codes: Any) -> Pair:
        """Return the actor and the action of codes, counted from 0, as in `actors`.

        Args:
          codes: an integer or an integer array.

        Returns:
          both indices in the shape of `codes`; -1 for code 0, the background.
        """
        return Pair(codes // self.base - 1, codes % self.base - 1)

    def split(self, codes: Any) -> Pair:
        """Return the actor and the action of codes, counted from 1, as in the codes.

        Use `indices` for names and arrays, and this for the two parts of a code.

        Args:
          codes: an integer or an integer array.

        Returns:
          both numbers in the shape of `codes`; 0 for code 0, the background.
        """
        return Pair(codes // self.base, codes % self.base)

    def knows(self, code: int) -> bool:
        """Return whether a code has an actor and an action of this label space.

        The pair need not be valid; 0, the background, has none.
        """
        actor, action = self.split(code)
        return 1 <= actor <= len(self.actors) and 1 <= action <= len(self.actions)

    def unknown_in(self, other: LabelSpace) -> list[str]:
        """List the labels of another label space that this one lacks.

        Args:
          other: the other label space.

        Returns:
          words such as "actor 'dog'", "action 'sit'" or "pair 'dog-sit'". A pair is
          listed only if this label space has its actor and its action.
        """
        words = []
        for actor in other.actors:
            if actor not in self.actors:
                words.append(f"actor {quoted(actor)}")
        for action in other.actions:
            if action not in self.actions:
                words.append(f"action {quoted(action)}")
        for actor, action in other.named_pairs:
            is_known = actor in self.actors and action in self.actions
            if is_known and (actor, action) not in self.named_pairs:
                words.append(f"pair {quoted(f'{actor}-{action}')}")
        return words

    def with_pairs(self, pairs: Iterable[tuple[str, str]]) -> LabelSpace:
        """Return a label space that has further pairs, with their actors and actions.

        Actors and actions keep their indices; new ones follow in alphabetical order.
        The codes change if the number of actions becomes so large that it changes
        `base`.

        Args:
          pairs: names (actor, action) of the further pairs.

        Raises:
          InputError: there are more actors and actions than codes can hold.
        """
        new_pairs = sorted(set(pairs) - set(self.named_pairs))
        if not new_pairs:
            return self
        actors = list(self.actors)
        actions = list(self.actions)
        for actor in sorted({actor for actor, _ in new_pairs}):
            if actor not in actors:
                actors.append(actor)
        for action in sorted({action for _, action in new_pairs}):
            if action not in actions:
                actions.append(action)
        none_action = self.none_action
        if NONE in actions and none_action is None:
            none_action = NONE
        all_pairs = [list(pair) for pair in (*self.named_pairs, *new_pairs)]
        wider = LabelSpace.from_fields(
            {
                "actors": actors,
                "actions": actions,
                "none_action": none_action,
                "pairs": all_pairs,
            }
        )
        colours = []
        for code, colour in self.colours:
            colours.append((wider.encode(*self.indices(code)), colour))
        return dataclasses.replace(wider, colours=tuple(colours))

    def name(self, code: int) -> str:
        """Return the name of a code, such as 'adult-running'; 0 is 'background'."""
        if code == 0:
            return "background"
        actor, action = self.indices(int(code))
        return f"{self.actors[actor]}-{self.actions[action]}"

    def spoken(self, code: int) -> str:
        """Return the name of a code's pair for a sentence, such as 'dog running'.

        If the label space has only one actor, it is left out; likewise an action.
        """
        actor, action = self.indices(int(code))
        words = []
        if len(self.actors) > 1:
            words.append(self.actors[actor])
        if len(self.actions) > 1:
            words.append(self.actions[action])
        return " ".join(words) or self.name(code)

    @functools.cached_property
    def palette(self) -> np.ndarray:
        """The colour of each code: uint8 [max_code + 1, 3], RGB, black for background.

        Pairs that `colours` does not list get a hue by actor and a brightness by
        action.
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
        """Return the label space as the text of a JSON file that `from_json` reads."""
        fields = dataclasses.asdict(self)
        fields["colours"] = {str(code): list(colour) for code, colour in self.colours}
        return json.dumps(fields, indent=1)

    @classmethod
    def from_fields(cls, fields: dict) -> LabelSpace:
        """Return the label space with these fields of a JSON file.

        Args:
          fields: {name of a field: value}, as `from_json` describes them.

        Raises:
          ValueError: a field is missing, wrong or unknown.
        """
        check_json(fields, _FIELDS)
        unknown = set(fields) - {name.rstrip("?") for name in _FIELDS}
        if unknown:
            raise _error(f"unknown field {quoted(sorted(unknown)[0])}")
        actors = tuple(fields["actors"])
        actions = tuple(fields["actions"])
        codes = fields.get("codes")
        pairs = fields.get("pairs")
        if codes is None:
            codes = _codes_of_pairs(pairs, actors, actions)
        elif pairs is not None:
            raise _error("has both codes and pairs; remove one of them")
        colours = []
        for code, rgb in fields.get("colours", {}).items():
            colours.append((int(code), tuple(rgb)))
        return cls(
            actors=actors,
            actions=actions,
            codes=tuple(sorted(codes)),
            none_action=fields.get("none_action"),
            colours=tuple(sorted(colours)),
        )

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> LabelSpace:
        """Read a label space from a JSON file.

        The file is one object: `actors` and `actions` (lists of names), `codes` or
        `pairs` (a list of codes, or of [actor, action] names; without either, all pairs
        are valid), and optionally `none_action` and `colours` ({code: [r, g, b]}).

        Raises:
          InputError: the file is missing or malformed, or it names an unknown actor
            or action.
        """
        remedy = "see label spaces in docs/data_format.md"
        fields = load_json(path, dict, remedy)
        try:
            return cls.from_fields(fields)
        except ValueError as error:
            raise InputError(f"{path}: {error}; {remedy}") from error


def _are_distinct_names(names: Sequence[str]) -> bool:
    """Return whether there are names, all valid and none twice."""
    if not names or not all(map(is_name, names)):
        return False
    return len(set(names)) == len(names)


def _base(actions: Sequence[str]) -> int:
    """Return K in code = K * actor + action."""
    return max(10, len(actions) + 1)


def _codes_of_pairs(
    pairs: Iterable[Sequence[str]] | None, actors: Sequence[str], actions: Sequence[str]
) -> list[int]:
    """Return the codes of [actor, action] names; None stands for all pairs."""
    if pairs is None:
        pairs = itertools.product(actors, actions)
    base = _base(actions)
    codes = []
    for pair in pairs:
        if len(pair) != 2 or pair[0] not in actors or pair[1] not in actions:
            raise _error(f"pairs: {quoted(pair)} is not [actor, action]")
        actor, action = pair
        codes.append(base * (actors.index(actor) + 1) + actions.index(action) + 1)
    return codes


def _error(problem: str) -> InputError:
    """Return an error about a label space."""
    return InputError(f"label space: {problem}")


_FIELDS = {
    "actors": [str],
    "actions": [str],
    "codes?": ([int], None),
    "pairs?": ([[str]], None),
    "none_action?": (str, None),
    "colours?": {str: [whole(0, 255)]},
}


def _a2d() -> LabelSpace:
    """Return the label space of A2D (Xu et al., CVPR 2015).

    Colours are those of the release's Annotations/col: a hue for each actor, and for
    each action a shade of it, from dark over full to light.
    """
    actors = ("adult", "baby", "ball", "bird", "car", "cat", "dog")
    actions = "climbing crawling eating flying jumping rolling running walking none"
    codes = (
        "11 12 13 15 16 17 18 19 21 22 26 28 29 34 35 36 39 41 43 44 45 46 48 49 54 55"
        " 56 57 59 61 63 65 66 67 68 69 72 73 75 76 77 78 79"
    )
    colours = []
    for actor in range(7):
        for shade in range(1, 10):
            hue = actor * 15 / 100
            saturation = min(1, (10 - shade) / 5)
            value = min(1, shade / 5)
            rgb = colorsys.hsv_to_rgb(hue, saturation, value)
            levels = tuple(min(255, int(255 * level) + 1) for level in rgb)
            colours.append((10 * (actor + 1) + shade, levels))
    return LabelSpace(
        actors,
        tuple(actions.split()),
        tuple(map(int, codes.split())),
        "none",
        tuple(colours),
    )


A2D = _a2d()
