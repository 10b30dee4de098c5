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
    """Rows of cells under headings.

    Attributes:
      heads: the headings.
      rows: lists of cells; the first names the row.
      ours: indices of the rows that are bold.
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
    """Write a report in Markdown and in HTML.

    `report.md` has its pictures in `report/`; `report.html` embeds them.
    """
    for block in blocks:
        if isinstance(block, Picture):
            write_bytes(os.path.join(folder, "report", f"{block.name}.png"), block.png)
    parts = [f"# {title}", *map(_markdown, blocks)]
    write_text(os.path.join(folder, "report.md"), "\n\n".join(parts) + "\n")
    with_kinds = [(type(block).__name__, block) for block in blocks]
    page = render("base.html", title, blocks=with_kinds)
    write_text(os.path.join(folder, "report.html"), page)


def _markdown(block):
    """Return a block in Markdown."""
    if isinstance(block, Heading):
        return f"## {block.text}"
    if isinstance(block, Picture):
        return f"![{block.caption}](report/{block.name}.png)\n\n*{block.caption}*"
    if isinstance(block, Text):
        return block.text
    lines = [_markdown_row(block.heads)]
    alignments = ["---"] + ["---:"] * (len(block.heads) - 1)
    lines.append(_markdown_row(alignments))
    for i, row in enumerate(block.rows):
        cells = [cell.replace("|", "\\|") for cell in row]
        if i in block.ours:
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        lines.append(_markdown_row(cells))
    return "\n".join(lines)


def _markdown_row(cells):
    return "| " + " | ".join(cells) + " |"
