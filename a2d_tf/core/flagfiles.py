"""Find the package's flagfiles: `configs/` in a clone, `a2d_tf/configs` if installed."""

from __future__ import annotations

import os
import pathlib

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = _PACKAGE / "configs"
if not CONFIGS.is_dir():
    CONFIGS = _PACKAGE.parent / "configs"


def find(path: str) -> str:
    """Return the path of a flagfile.

    `configs/NAME` and `configs/ablations/NAME` name the package's flagfiles from any folder, unless
    such a path exists.
    """
    path = os.path.expanduser(path)
    first, _, rest = path.replace(os.sep, "/").partition("/")
    if first == "configs" and not os.path.exists(path) and (CONFIGS / rest).is_file():
        return str(CONFIGS / rest)
    return path
