"""Packed models that come with the package: small trained networks, known by a name.

Each is a folder of MODELS that a2d export --pack made of a run. `loading` loads it.
"""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.errors import InputError

MODELS = pathlib.Path(__file__).resolve().parents[1] / "pretrained" / "models"
"""The folder of the packed models that come with the package."""
WEIGHTS = "weights.npz"
"""The file of weights in a packed model: {layer/weight: float16}."""


def names() -> list[str]:
    """Return the names of the packed models that come with the package, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{WEIGHTS}"))


def find(name: str) -> str:
    """Return the folder of a packed model.

    Args:
      name: the name of one that comes with the package, or the path of any other.

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
    """Return whether a folder is a packed model: whether it has the file of weights."""
    return os.path.isfile(os.path.join(folder, WEIGHTS))
