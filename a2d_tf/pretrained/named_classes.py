"""The classes of a published network that a user chose, and the user's names."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import is_name


def name_classes(
    words: Sequence[str],
    classes: Mapping[str, str],
    *,
    flag: str,
    of: str,
    spell: Callable[[str], str] = str,
    hints: int = 1,
    may_be_unnamed: bool = False,
) -> dict[str, str]:
    """Return the classes that a user chose, and the names that the user gave them.

    Args:
      words: the words of a flag, CLASS or NAME=CLASS each, such as 'person' or
        'mouse=cat'; several classes may have the same name.
      classes: {spelling of a class: the class}.
      flag: the flag with the words, for messages.
      of: what the classes belong to, such as COCO, for messages.
      spell: (class as typed) -> its spelling in `classes`.
      hints: how many classes a message suggests in place of an unknown one.
      may_be_unnamed: whether the name may be empty, as in =CLASS.

    Returns:
      {class: name}, the class's own name for a word CLASS.

    Raises:
      InputError: a class is unknown or has two names, or a name is not valid.
    """
    name_of_class: dict[str, str] = {}
    for word in words:
        name, equals, text = word.rpartition("=")
        class_name = classes.get(spell(text), "")
        if not equals:
            name = class_name
        has_name = is_name(name) or (may_be_unnamed and bool(equals) and not name)
        if not class_name or not has_name:
            near = difflib.get_close_matches(text.lower(), classes, hints, 0)
            named = ", ".join(classes[spelling] for spelling in near)
            one_of = "one of " if hints > 1 else ""
            raise InputError(
                f"{flag}: {quoted(word)} is not CLASS or NAME=CLASS with a class of"
                f" {of}; did you mean {one_of}{named}?"
            )
        first_name = name_of_class.setdefault(class_name, name)
        if first_name != name:
            raise InputError(
                f"{flag}: {class_name} has two names, {first_name} and {name}"
            )
    return name_of_class
