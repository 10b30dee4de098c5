"""Names: from a tool's labels and attributes to an actor and an action.

In this order: the file of `--names`; the attributes 'actor' and 'action'; the label as
the actor, with the attribute 'action'; a label 'actor-action', split at its first
hyphen, or where --labels knows both. A coded action counts before these. Blanks around
a name do not count, nor does how its accents are composed.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance
from a2d_tf.core.checked_json import kind_of, load_json
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import A2D, LabelSpace, is_name

Pair = tuple[str, str]
_ALIKE = 0.8  # share of common letters, in order; of mouze and mouse, 2 * 4 of 10


@dataclasses.dataclass(frozen=True)
class Names:
    """Maps labels to pairs of an actor and an action.

    Attributes:
      by_label: {label: (actor, action)}; an action of None is that of the attribute.
      known: the label space of the pairs, which tells where a label of several hyphens
        is split; None where it follows from the pairs.
    """

    by_label: Mapping[str, tuple[str, str | None]] = dataclasses.field(
        default_factory=dict
    )
    known: LabelSpace | None = None

    @classmethod
    def load(cls, path: str | os.PathLike) -> Names:
        """Read a JSON file {"label": ["actor", "action"]}, or ["actor", null] for the
        attribute's.

        Raises:
          InputError: the file is missing, malformed, or has a name that is none.
        """
        remedy = (
            'write {"label": ["actor", "action"]}, or with null for the attribute'
            " 'action'"
        )
        content = load_json(path, {str: kind_of(_is_pair, "a pair of names")}, remedy)
        return cls(
            {_plain(n): (_plain(x), y and _plain(y)) for n, (x, y) in content.items()}
        )

    def pair(self, instance: Instance) -> Pair | None:
        """Return the actor and the action of an instance; None if they cannot be
        told.
        """
        actor, action = self.named(instance)
        action = instance.coded or action
        return (
            (actor, action) if action and is_name(actor) and is_name(action) else None
        )

    def named(self, instance: Instance) -> tuple[str, str | None]:
        """Return the actor and the action as annotated; None or '' is no action."""
        label = _plain(instance.label)
        given, action = _chosen(instance.actor), _chosen(instance.action)
        if label in self.by_label:
            actor, named = self.by_label[label]
            return actor, action if named is None else named
        if action is not None:
            return given or label, action
        actor, action = self._split(label)
        return actor if action else given or label, action

    def code(self, instance: Instance, space: LabelSpace) -> int:
        """Return the code of an instance in a label space that has its pair."""
        actor, action = self.pair(instance) or ("", "")
        return int(space.encode(space.actors.index(actor), space.actions.index(action)))

    def _split(self, label):
        """Split 'actor-action' as the label space knows it, else at the first hyphen.

        The action is None where the label space knows two ways.
        """
        places = [i for i, letter in enumerate(label) if letter == "-"] or [len(label)]
        splits = [(label[:i].strip(), label[i + 1 :].strip()) for i in places]
        pairs = _pairs(self.known) if self.known else ()
        known = [split for split in splits if split in pairs]
        return (label, None) if len(known) > 1 else (known or splits)[0]


NO_NAMES = Names()


def _is_pair(value):
    whole = isinstance(value, list) and len(value) == 2 and is_name(value[0])
    return whole and (value[1] is None or is_name(value[1]))


def _chosen(value):
    """The text of an attribute; None where it has no value, which CVAT calls
    __undefined__.
    """
    text = _plain(value or "")
    return None if text in ("", "__undefined__") else text


def _plain(name):
    """A name without blanks around it, its accents composed."""
    return unicodedata.normalize("NFC", name.strip())


@functools.lru_cache(maxsize=4)
def _pairs(space):
    """The pairs of a label space, as names."""
    return {(space.actors[x], space.actions[y]) for x, y in space.pairs}


def label_space_of(instances: Iterable[Instance], names: Names) -> LabelSpace:
    """Return the label space of instances: the one that `names` knows, else
    `derive_label_space`.

    Raises:
      InputError: labels have no actor and action, all of which are listed with counts;
        or the known label space lacks a pair; or two names differ in case alone, which
        would be two classes.
    """
    counts: collections.Counter = collections.Counter()
    first: dict[Any, Instance] = {}  # of each pair
    for instance in instances:
        found = names.pair(instance)
        counts[instance.label] += found is None
        first.setdefault(found, instance)
    if None in first:
        listed = ", ".join(
            f"{quoted(label)} ({n})" for label, n in sorted(counts.items()) if n
        )
        raise InputError(
            f"{first[None].where}: no actor and action for the labels {listed}; name"
            " them "
            "'actor-action', give them the attribute 'action', or map them with"
            " --names=FILE, a "
            f'JSON file such as {{"{first[None].label}": ["actor", "action"]}}'
        )
    seen: dict[tuple[int, str], str] = {}
    for pair, instance in first.items():
        if names.known and pair not in _pairs(names.known):
            raise InputError(
                f"{instance.where}: {'-'.join(pair)} is not in the label space; correct"
                " it, or add the pair to the --labels file"
            )
        for place, name in enumerate(pair):
            other = seen.setdefault((place, name.casefold()), name)
            if other != name and not names.known:
                raise InputError(
                    f"{instance.where}: {quoted(name)} is {quoted(other)} elsewhere;"
                    " correct one, or map both labels to one name with --names"
                )
    return names.known or derive_label_space(first)


def derive_label_space(pairs: Iterable[Pair]) -> LabelSpace:
    """Return a label space with these pairs.

    In alphabetical order, but with 'none', the action that action mAP leaves out, last;
    A2D's if they are all pairs of A2D.
    """
    pairs = list(pairs)
    if set(pairs) == _pairs(A2D):
        return A2D
    actions = sorted(
        {action for _, action in pairs}, key=lambda name: (name == "none", name)
    )
    fields: dict[str, Any] = {
        "actors": sorted({actor for actor, _ in pairs}),
        "actions": actions,
    }
    fields |= {"none_action": "none" if "none" in actions else None}
    return LabelSpace.from_fields({**fields, "pairs": [*map(list, pairs)]})


def doubts(
    videos: Mapping[str, Mapping[int, AnnotatedFrame]],
    names: Names,
    documents: Iterable[Document],
) -> Iterator[str]:
    """Yield a note for each name that may be misspelled: its tool does not list it; or
    it is like another one, and rarer, in a single video or with a tenth of the other's
    instances.

    Args:
      videos: {video: {number: frame}}; all of the instances have a pair.
      names: maps their labels.
      documents: their files, with the labels that their tools list.
    """
    known = {
        document.path: _known(document.tool_labels, names) for document in documents
    }
    # {(0 of an actor, 1 of an action; name): places}
    uses = collections.defaultdict(list)
    for vid, numbered in videos.items():
        for number, frame in sorted(numbered.items()):
            for instance in frame.instances:
                for key in enumerate(names.pair(instance) or ()):
                    uses[key].append((vid, number, instance.where, known[frame.path]))
    for (kind, name), places in uses.items():
        lists = next(
            (lists[kind] for *_, lists in places if lists and name not in lists[kind]),
            (),
        )
        said, limit = (" is not in the tool's own list", 0) if lists else ("", _ALIKE)
        candidates = lists or [
            other
            for (k, other), others in uses.items()
            if k == kind
            and _is_rarer(places, others)
            and abs(len(name) - len(other)) < 2
            if not any(map(str.isdigit, name))  # numbers tell individuals apart
        ]
        for other in difflib.get_close_matches(name, candidates, 1, limit):
            vid, number, where, _ = places[0]
            yield (
                f"{where}: {('actor', 'action')[kind]} {quoted(name)} (instances:"
                f" {len(places)}, first in frame {number} of '{vid}'){said}: did you"
                f" mean {quoted(other)}?"
            )


def _known(labels, names):
    """Return (actors, actions) of listed labels; () of none, or where an action is
    free text.
    """
    pairs = [
        names.pair(label)
        for label in labels
        if label.action is None or _chosen(label.action)
    ]
    return () if None in pairs else tuple(zip(*pairs))


def _is_rarer(places, others):
    """Return whether a name, of these places, is much rarer than another."""
    few, many = (
        (len({vid for vid, *_ in each}), len(each)) for each in (places, others)
    )
    return few < many and (few[0] == 1 or 10 * few[1] <= many[1])
