"""Packed models that come with the package: small trained networks, known by a name.

Each is a folder of MODELS that a2d export --pack made of a run. `loading` loads it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import pathlib

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest

MODELS = pathlib.Path(__file__).resolve().parents[1] / "pretrained" / "models"
WEIGHTS = "weights.npz"


def names() -> list[str]:
    """Return the names of the packed models that are there, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{WEIGHTS}"))


def find(name: str) -> str:
    """Return the folder of a packed model by its name or path.

    Raises:
      InputError: no packed model has this name or path.
    """
    for folder in (str(MODELS / name), os.path.normpath(name)):
        if is_packed(folder):
            return folder
    installed = ", ".join(names()) or "none is installed"
    raise InputError(
        f"--model={name}: not a packed model's name ({installed}) or a folder of "
        "a2d export --pack; use --workdir for runs, --saved_model for exports"
    )


def is_packed(folder: str) -> bool:
    """Return whether a folder is a packed model."""
    return os.path.isfile(os.path.join(folder, WEIGHTS))


def identity(path: str) -> dict[str, str]:
    """Identify a model, without TensorFlow.

    Args:
      path: an exported folder, a run folder, a packed model or a file of weights.

    Returns:
      its name, and a digest: of a file, or of a folder's facts, graph and settings, and
      of the indices of its variables, which hold their checksums.
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


def _identifying_files(folder):
    """Return the paths of a model's files, sorted, of which its identity is made."""
    paths = glob.glob(
        os.path.join(glob.escape(folder), "**", "*.index"), recursive=True
    )
    for name in os.listdir(folder):
        if name.endswith((".json", ".npz", ".pb", ".txt")):
            paths.append(os.path.join(folder, name))
    return sorted(paths)


def source(checkpoint_given: bool, **sources: str | None) -> tuple[str, str]:
    """Check the flags that choose a network, without loading it.

    Args:
      checkpoint_given: whether --checkpoint is among the flags.
      sources: {flag: its value} of those that name a network, `workdir` and `model`
        among them.

    Returns:
      the flag that is given, and its folder or other value.

    Raises:
      InputError: not one of them is given, --checkpoint is without --workdir, or there
        is no such packed model.
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
        return flag, find(value)
    if flag == "workdir":
        return flag, os.path.normpath(value)
    return flag, value
