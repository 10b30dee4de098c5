"""Packed models that come with the package: small trained networks, known by a name.

Each is a folder of MODELS that tools/pack_model.py made of a run. `training.packing` loads it.
"""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.errors import InputError

MODELS = pathlib.Path(__file__).resolve().parent / "models"
WEIGHTS = "weights.npz"


def names() -> list[str]:
    """Return the names of the packed models that are there, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{WEIGHTS}"))


def find(name: str) -> str:
    """Return the folder of a packed model.

    Args:
      name: of `names()`, or the path of a folder of tools/pack_model.py.

    Raises:
      InputError: neither.
    """
    if name in names():
        return str(MODELS / name)
    if os.path.isfile(os.path.join(name, WEIGHTS)):
        return os.path.normpath(name)
    known = ", ".join(names()) or "none comes with this installation"
    raise InputError(
        f"--model={name}: no packed model of that name ({known}), nor a folder of "
        "tools/pack_model.py; runs go by --workdir, exports by --saved_model"
    )
