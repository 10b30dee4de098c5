"""The flagfiles that come with the package: `configs/` in a clone, `a2d_tf/configs` installed."""

from __future__ import annotations

import os
import pathlib

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = _PACKAGE / "configs"
if not CONFIGS.is_dir():
    CONFIGS = _PACKAGE.parent / "configs"


def find(path: str) -> str:
    """The path of a flagfile: as given, or the package's own where that is not there.

    Args:
      path: a path; `configs/NAME` and `configs/ablations/NAME` name the package's own from any
        folder.

    Returns:
      A path, as a string; `path` itself where neither exists.
    """
    path = os.path.expanduser(path)
    first, _, rest = path.replace(os.sep, "/").partition("/")
    own = CONFIGS / rest
    return str(own) if first == "configs" and not os.path.exists(path) and own.is_file() else path
