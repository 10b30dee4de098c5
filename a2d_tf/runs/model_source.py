"""The folder or file that a network is loaded from: its choice by flags, its identity.

Neither needs the network or TensorFlow.
"""

from __future__ import annotations

import glob
import hashlib
import os
from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest
from a2d_tf.runs import held_out_file, packed


class ModelSource(NamedTuple):
    """The folder or file that a network is loaded from, and the flag that names it.

    Attributes:
      flag: the name of the flag, such as "workdir", "model" or "saved_model"; it says
        what kind of source it is.
      path: the path of the folder or file, or the name of public weights.
    """

    flag: str
    path: str


def of_flags(checkpoint_given: bool, **sources: str | None) -> ModelSource:
    """Return the source that a command's flags choose, and check these flags.

    Args:
      checkpoint_given: whether the flag --checkpoint is given.
      **sources: {name of a flag that can name a network: its value, None or "" if it is
        not given}; workdir and model are among them.

    Raises:
      InputError: none or several of these flags are given, --checkpoint is given
        without --workdir, or there is no such packed model.
    """
    values = {flag: value for flag, value in sources.items() if value}
    if len(values) != 1:
        *others, last = sources
        flags = ", ".join(f"--{flag}" for flag in others)
        raise InputError(f"use one of {flags} or --{last}")
    flag, value = values.popitem()
    if checkpoint_given and flag != "workdir":
        raise InputError("--checkpoint selects a run's weights; it needs --workdir")
    if flag == "model":
        return ModelSource(flag, packed.find(value))
    if flag == "workdir":
        return ModelSource(flag, os.path.normpath(value))
    return ModelSource(flag, value)


def identity(path: str) -> dict[str, str]:
    """Compute the identity of a model, by which predictions say what made them.

    Args:
      path: the path of an export, a run folder, a packed model or a file of weights, or
        the name of public weights.

    Returns:
      {"model": the last part of the path, "model_sha256": a digest}. The digest is that
      of the file, or of a folder's settings, facts and graph, and of the indices of its
      variables, which hold their checksums. `held_out.json` does not count, because it
      is written after predictions.
    """
    digest = hashlib.sha256()
    if os.path.isdir(path):
        for file in _identifying_files(path):
            line = f"{os.path.relpath(file, path)} {file_digest(file)}\n"
            digest.update(line.encode())
    elif os.path.isfile(path):
        digest.update(file_digest(path).encode())
    else:  # weights that are known by a name
        digest.update(path.encode())
    name = os.path.basename(os.path.abspath(path))
    return {"model": name, "model_sha256": digest.hexdigest()}


def _identifying_files(folder: str) -> list[str]:
    """Return the paths of the files that make a model's identity, sorted."""
    paths = glob.glob(
        os.path.join(glob.escape(folder), "**", "*.index"), recursive=True
    )
    for name in os.listdir(folder):
        identifies = name.endswith((".json", ".npz", ".pb", ".txt"))
        if identifies and name != held_out_file.FILE:
            paths.append(os.path.join(folder, name))
    return sorted(paths)
