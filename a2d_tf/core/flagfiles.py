"""Where the package is: its flagfiles and the names of its commands, in a clone or installed."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import pathlib
import re

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


def as_installed(text: str) -> str:
    """Replace `python tools/NAME.py` by its installed command, unless the package is in a clone."""
    if CONFIGS.parent != _PACKAGE:
        return text
    return re.sub(
        r"(?:python )?tools/(\w+)\.py", lambda match: _commands().get(match[1], match[0]), text
    )


@functools.cache
def _commands():
    """Return {module of a2d_tf.commands: name of its installed command}."""
    scripts = importlib.metadata.distribution("a2d_tf").entry_points
    return {
        script.value.rpartition(".")[2].partition(":")[0]: script.name
        for script in scripts
        if script.group == "console_scripts"
    }
