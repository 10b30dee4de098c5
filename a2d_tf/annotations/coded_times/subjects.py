"""Subjects: what the user says about the names in coded times."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Union

from a2d_tf.core.checked_json import check_json, load_json
from a2d_tf.core.errors import InputError

Target = Union[str, None, list[str]]
"""The words for an individual, for several tracks that are one, or None for nobody."""
Subjects = Mapping[str, Union[Target, Mapping[str, Target]]]
"""{subject: individual}, or {subject: {video: individual}}.

The words for an individual are its name, the number of its track in the file ('3',
'mouse 3' or 'task_17.zip:3'), or its actor. None leaves out the subject, or the
behaviour of this name.
"""
_TARGET = (str, None, [str])
_SUBJECTS = {str: (*_TARGET, {str: _TARGET})}
_REMEDY = 'write {"subject": "track id or name"}'


def load_subjects(argument: str | os.PathLike) -> Subjects:
    """Read what --subjects says about coded subjects, from JSON.

    Args:
      argument: the JSON, or the path of a file that contains it.

    Returns:
      {subject: individual}, or {subject: {video: individual}}. An individual is its
      name, the number of its track, its actor, or a list of these; None leaves out the
      subject or behaviour.

    Raises:
      InputError: the file is missing, or the JSON is malformed.
    """
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
    """Return the user's words for a subject, or for a behaviour, in a video.

    Args:
      subjects: the content of --subjects.
      name: the coded name of the subject or the behaviour.
      vid: the name of the video.

    Returns:
      the words for the individual; [] if the name is left out; None if the user says
      nothing about it.
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
