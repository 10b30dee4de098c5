"""Reports as lists of blocks, written in HTML and in Markdown."""

from __future__ import annotations

import os
from typing import NamedTuple, Union

from a2d_tf.core.files import write_bytes, write_text
from a2d_tf.evaluation.reports.templates import data_url, render


class Heading(NamedTuple):
    text: str


class Text(NamedTuple):
    text: str


class HtmlTable(NamedTuple):
    """Rows of cells under headings; the first column names the rows, those of `ours`
    are bold.
    """

    heads: tuple
    rows: list
    ours: frozenset = frozenset()


class Picture(NamedTuple):
    """A picture; `name` is its file name without `.png`."""

    name: str
    png: bytes
    caption: str

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return data_url(self.png)


Block = Union[Heading, Text, HtmlTable, Picture]


def write(folder: str | os.PathLike, title: str, blocks: list[Block]) -> None:
    """Write `report.md` with its pictures in `report/`, and `report.html`, which
    embeds them.
    """
    for block in blocks:
        if isinstance(block, Picture):
            write_bytes(os.path.join(folder, "report", f"{block.name}.png"), block.png)
    parts = [f"# {title}", *map(_markdown, blocks)]
    write_text(os.path.join(folder, "report.md"), "\n\n".join(parts) + "\n")
    shown = [(type(block).__name__, block) for block in blocks]
    write_text(
        os.path.join(folder, "report.html"), render("base.html", title, blocks=shown)
    )


def _markdown(block):
    if isinstance(block, Heading):
        return f"## {block.text}"
    if isinstance(block, Picture):
        return f"![{block.caption}](report/{block.name}.png)\n\n*{block.caption}*"
    if isinstance(block, Text):
        return block.text
    lines = [block.heads, ["---", *["---:"] * (len(block.heads) - 1)]]
    for i, row in enumerate(block.rows):
        row = [cell.replace("|", "\\|") for cell in row]
        lines.append(
            [f"**{cell}**" if cell else "" for cell in row] if i in block.ours else row
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
