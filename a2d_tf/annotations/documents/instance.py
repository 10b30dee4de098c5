"""An annotated instance: its label, its shape and the individual that it shows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, Union

from a2d_tf.core.errors import InputError

Segmentation = Union[list, dict]
"""A COCO segmentation.

Either polygons [[x1, y1, x2, y2, ...], ...], or an RLE {'size', 'counts'}.
"""


@dataclasses.dataclass(frozen=True)
class Instance:
    """One actor in one annotated frame: its label, its shape, its individual.

    Attributes:
      label: the tool's name of the class: an actor, or 'actor-action'.
      parts: the segmentations whose union is the mask; empty if only a box is
        annotated.
      where: the file and the place in it, for errors: 'own.json: annotations[3]'.
      actor, action: the values of the attributes 'actor' and 'action'; None if the tool
        has no such attribute.
      track: the number of the track in the file, unique in its video; None if the
        instance has no track.
      box: the annotated box [x, y, width, height], in pixels; None if the box follows
        from the mask. An instance has parts, a box, or both.
      name: the value of the attribute 'name', which names the individual; None if there
        is none.
      number: the number by which the user knows the individual; None if there is none.
        It is the `name` if that is a number. Otherwise it is the track, if a person or
        our own export numbered the tracks of the file. A number that a tool chose does
        not count: CVAT numbers the parts of all tracks from 0, anew in each export.
      coded: the action that was coded for the time of the frame, in BORIS or alike;
        None if none was.
      coded_at: the file with the coded time and the place in it; None without one.
      fields: {name: value as in the file} of further data of the instance, whose names
        are those of `instance_fields.FIELDS`.
    """

    label: str
    parts: tuple[Segmentation, ...]
    where: str
    actor: str | None = None
    action: str | None = None
    track: int | None = None
    box: Any = None
    name: str | None = None
    number: int | None = None
    coded: str | None = None
    coded_at: str | None = None
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def action_at(self) -> str:
        """The file that states the action and the place in it, for errors.

        It is the place of the coded time if the action was coded, otherwise `where`.
        """
        return self.coded_at or self.where


def number_in_name(name: str | None) -> int | None:
    """Return the number that an individual's name consists of.

    Args:
      name: the name of an individual, as annotated.

    Returns:
      3 for '3'; None for a name that is more than a number ('Ann', 'mouse 3'), that has
      leading zeros ('007'), or that is missing.
    """
    if name and re.fullmatch("0|[1-9][0-9]{0,8}", name):
        return int(name)
    return None


def check_tracks_differ(instances: Iterable[Instance]) -> None:
    """Raise InputError if two instances of one frame belong to the same track.

    Args:
      instances: all instances of the frame.
    """
    first_of_track: dict[int, Instance] = {}
    for instance in instances:
        if instance.track is None:
            continue
        first = first_of_track.setdefault(instance.track, instance)
        if first is not instance:
            raise InputError(
                f"{instance.where}: track {instance.track} is in this frame twice, also"
                f" in {first.where}; remove one"
            )
