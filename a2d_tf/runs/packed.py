"""Packed models that come with the package: small trained networks, known by a name.

Each is a folder of MODELS that a2d pack-model made of a run. `loading` loads it.
"""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.errors import InputError

MODELS = pathlib.Path(__file__).resolve().parents[1] / "pretrained" / "models"
WEIGHTS = "weights.npz"


def names() -> list[str]:
    """Return the names of the packed models that are there, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{WEIGHTS}"))


def find(name: str) -> str:
    """Return the folder of a packed model, given by name or path; InputError if it is neither."""
    for folder in (str(MODELS / name), os.path.normpath(name)):
        if is_packed(folder):
            return folder
    known = ", ".join(names()) or "none is installed"
    raise InputError(
        f"--model={name}: not a packed model's name ({known}) or a folder of "
        "a2d pack-model; use --workdir for runs, --saved_model for exports"
    )


def is_packed(folder: str) -> bool:
    """Return whether a folder is a packed model."""
    return os.path.isfile(os.path.join(folder, WEIGHTS))


def check_sources(checkpoint_given: bool, **sources: str | None) -> None:
    """Check the flags that choose a network, without loading it.

    Args:
      checkpoint_given: whether --checkpoint is among the flags.
      sources: {flag: its value} of those that name a network, `workdir` and `model` among them.

    Raises:
      InputError: not one of them is given, --checkpoint is without --workdir, or there is no such
        packed model.
    """
    if sum(bool(value) for value in sources.values()) != 1:
        *others, last = (f"--{name}" for name in sources)
        raise InputError(f"use one of {', '.join(others)} or {last}")
    if checkpoint_given and not sources["workdir"]:
        raise InputError("--checkpoint selects a run's weights; it needs --workdir")
    if sources["model"]:
        find(sources["model"])


def folder_of(workdir: str | None, model: str | None) -> str:
    """Return the run folder that is given, or else that of the packed model."""
    return os.path.normpath(workdir) if workdir else find(model or "")
