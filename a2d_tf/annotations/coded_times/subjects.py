"""Subjects: what the user says that the names in coded times mean."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Union

from a2d_tf.core.checked_json import check_json, load_json
from a2d_tf.core.errors import InputError

Target = Union[str, None, list[str]]
"""An individual, several that are one, or None for nobody."""
Subjects = Mapping[str, Union[Target, Mapping[str, Target]]]
"""{subject: individual}, or {subject: {video: individual}}.

An individual is a name, else the id of a track in its file, '3' or 'task_17.zip:3',
else an actor, or 'actor 3'. None leaves out the subject, or the behaviour of this name.
"""
_TARGET = (str, None, [str])
_SUBJECTS = {str: (*_TARGET, {str: _TARGET})}
_REMEDY = 'write {"subject": "track id or name"}'


def load_subjects(argument: str | os.PathLike) -> Subjects:
    """Read `Subjects` from JSON, or from a file of it; InputError if malformed."""
    text = os.fspath(argument)
    if not text.lstrip().startswith("{"):
        return load_json(text, _SUBJECTS, _REMEDY)
    try:
        subjects = json.loads(text)
        check_json(subjects, _SUBJECTS)
    except ValueError as error:
        raise InputError(f"--subjects={text}: {error}; {_REMEDY}") from error
    return subjects


def targets_of(subjects: Subjects, name: str, vid: str) -> list[str] | None:
    """Return what the user says that a subject of a video is.

    Returns:
      the words for one individual; [] if the subject is left out; None if the user does
      not say.
    """
    target = subjects.get(name, name)
    if isinstance(target, Mapping):
        if vid not in target:
            return None
        target = target[vid]
    elif name not in subjects:
        return None
    if target is None:
        return []
    return [target] if isinstance(target, str) else list(target)
