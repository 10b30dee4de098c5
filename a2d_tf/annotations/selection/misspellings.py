"""Names of actors and actions that may be misspelled: a note for each."""

from __future__ import annotations

import collections
import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.documents.document import Document, ToolLabel
from a2d_tf.annotations.labels.names import Names, attribute
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.core.errors import quoted

# Share of common letters from which two names count as alike, by difflib's measure:
# mouze and mouse have 2 * 4 common letters of 10.
_ALIKE = 0.8


class _ToolNames(NamedTuple):
    """The names that a tool lists; empty if it lists none, or actions are free text."""

    actors: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()


class _Use(NamedTuple):
    """An instance that has a name.

    Attributes:
      video, frame: where it is annotated.
      where: the file that has the name, and the place in it.
      tool_names: the actors, or the actions, that its tool lists.
    """

    video: str
    frame: int
    where: str
    tool_names: frozenset[str]


def find_misspellings(
    annotations: Mapping[str, VideoAnnotations],
    names: Names,
    documents: Iterable[Document],
) -> Iterator[str]:
    """Yield a sentence for each name of an actor or action that may be misspelled.

    A name is doubtful if the annotation tool does not list it. It is also doubtful if
    it is like a commoner name, and is used in a single video, or in at most a tenth of
    the instances of the other name.

    Args:
      annotations: {name of a video: its annotations}; all instances have an actor and
        an action.
      names: maps labels of the tool to pairs of actor and action.
      documents: the annotations of each file, with the labels that the tool lists.
    """
    tool_names = {}
    for document in documents:
        tool_names[document.path] = _tool_names(document.tool_labels, names)
    uses: dict[tuple[str, str], list[_Use]] = collections.defaultdict(list)
    for video, video_annotations in annotations.items():
        for number, frame in sorted(video_annotations.frames.items()):
            actors, actions = tool_names[frame.path]
            for instance in frame.instances:
                actor, action = names.pair(instance) or ("", "")
                use_of_actor = _Use(video, number, instance.where, actors)
                use_of_action = _Use(video, number, instance.action_at, actions)
                if instance.coded is not None:  # in another tool
                    use_of_action = use_of_action._replace(tool_names=frozenset())
                uses["actor", actor].append(use_of_actor)
                uses["action", action].append(use_of_action)
    for (kind, name), uses_of_name in uses.items():
        candidates: Collection[str] = _names_of_tool_without(name, uses_of_name)
        if candidates:
            remark = " is not in the tool's own list"
            suggestions = difflib.get_close_matches(name, candidates, n=1, cutoff=0)
        else:
            remark = ""
            candidates = _commoner_names(kind, name, uses)
            suggestions = difflib.get_close_matches(
                name, candidates, n=1, cutoff=_ALIKE
            )
        if suggestions:
            first = uses_of_name[0]
            yield (
                f"{first.where}: {kind} {quoted(name)} (instances: {len(uses_of_name)},"
                f" first in frame {first.frame} of '{first.video}'){remark}: did you"
                f" mean {quoted(suggestions[0])}?"
            )


def _tool_names(labels: Iterable[ToolLabel], names: Names) -> _ToolNames:
    """Return the names of the labels that a tool lists, each a `ToolLabel`."""
    actors = set()
    actions = set()
    for label in labels:
        if label.action is not None and not attribute(label.action):
            continue  # the value that CVAT lists for "no action yet"
        pair = names.pair_of_label(label)
        if pair is None:
            return _ToolNames()
        actors.add(pair[0])
        actions.add(pair[1])
    return _ToolNames(frozenset(actors), frozenset(actions))


def _names_of_tool_without(name: str, uses: Iterable[_Use]) -> frozenset[str]:
    """Return the names in a tool's list if it lacks a name that is used; else none.

    Args:
      name: the name of an actor or an action.
      uses: the instances with the name.
    """
    for use in uses:
        if use.tool_names and name not in use.tool_names:
            return use.tool_names
    return frozenset()


def _commoner_names(
    kind: str, name: str, uses: Mapping[tuple[str, str], Sequence[_Use]]
) -> list[str]:
    """Return the much commoner names that differ in length by at most one letter.

    Args:
      kind: 'actor' or 'action'.
      name: the name that may be misspelled; there are none if it contains a digit.
      uses: {(kind, name): the instances with the name}.
    """
    if any(letter.isdigit() for letter in name):  # numbers tell individuals apart
        return []
    commoner = []
    for (other_kind, other), other_uses in uses.items():
        if other_kind != kind or abs(len(name) - len(other)) > 1:
            continue
        if _is_much_rarer(uses[kind, name], other_uses):
            commoner.append(other)
    return commoner


def _is_much_rarer(uses: Sequence[_Use], other_uses: Sequence[_Use]) -> bool:
    """Return whether a name is so much rarer than another that it may be misspelled.

    It is in fewer videos, or in as many and in fewer instances; and in only one video,
    or in at most a tenth of the other's instances.

    Args:
      uses: the instances with the name.
      other_uses: the instances with the other name.
    """
    videos = len({use.video for use in uses})
    other_videos = len({use.video for use in other_uses})
    if (videos, len(uses)) >= (other_videos, len(other_uses)):
        return False
    return videos == 1 or 10 * len(uses) <= len(other_uses)
