"""Write docs/flags.md, the page of all settings, from `a2d_tf/core/config.py`.

python tools/document_flags.py
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from a2d_tf.core.config import SECTIONS
from a2d_tf.core.files import write_text
from a2d_tf.core.register import flag_text
from a2d_tf.core.setting import about

_INTRODUCTION = """# Flags

Every setting of a run, with its default. `a2d train` takes all of them;
`a2d evaluate`, `a2d export` and `a2d predict` take those of inference and computing,
which override the run's. The defaults are those of `configs/a2d.flags`
([paper.md](paper.md)). `--flip` and `--noflip` are short for `--flip=true` and
`--flip=false`. `--help` lists a command's own flags, such as `--records`, and the range
of each setting.

`tools/document_flags.py` makes this page from `a2d_tf/core/config.py`.
"""


def text() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for name, section in SECTIONS.items():
        parts.append(f"\n## {name.capitalize()}\n\n{section.__doc__}\n\n")
        for field in dataclasses.fields(section):
            parts.append(_row(field))
    return "".join(parts)


def _row(field):
    """Return the line of the page about one setting."""
    row = f"- `--{field.name}={flag_text(field.default)}`: {about(field).help}"
    choices = [f"`{choice}`" for choice in about(field).choices if choice]
    if choices:
        row += f" ({', '.join(choices)})"
    return f"{row}\n"


if __name__ == "__main__":
    write_text("docs/flags.md", text())
