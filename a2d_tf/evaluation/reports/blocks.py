"""Reports as lists of blocks, written in HTML and in Markdown."""

from __future__ import annotations

import os
from typing import NamedTuple, Union

from a2d_tf.core.files import write_bytes, write_text
from a2d_tf.evaluation.reports.templates import data_url, render


class Heading(NamedTuple):
    text: str
    kind = "heading"

    def markdown(self) -> str:
        return f"## {self.text}"


class Text(NamedTuple):
    text: str
    kind = "text"

    def markdown(self) -> str:
        return self.text


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
    kind = "table"

    def markdown(self) -> str:
        lines = [_markdown_row(self.heads)]
        alignments = ["---"] + ["---:"] * (len(self.heads) - 1)
        lines.append(_markdown_row(alignments))
        for i, row in enumerate(self.rows):
            cells = [cell.replace("|", "\\|") for cell in row]
            if i in self.ours:
                cells = [f"**{cell}**" if cell else "" for cell in cells]
            lines.append(_markdown_row(cells))
        return "\n".join(lines)


class Picture(NamedTuple):
    """A picture; `name` is its file name without `.png`."""

    name: str
    png: bytes
    caption: str
    kind = "picture"

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return data_url(self.png)

    def markdown(self) -> str:
        return f"![{self.caption}](report/{self.name}.png)\n\n*{self.caption}*"


Block = Union[Heading, Text, HtmlTable, Picture]
"""A part of a report: its kind tells the HTML template how to show it."""


def write(folder: str | os.PathLike, title: str, blocks: list[Block]) -> None:
    """Write a report in Markdown and in HTML.

    `report.md` has its pictures in `report/`; `report.html` embeds them.
    """
    parts = [f"# {title}"]
    for block in blocks:
        if isinstance(block, Picture):
            write_bytes(os.path.join(folder, "report", f"{block.name}.png"), block.png)
        parts.append(block.markdown())
    write_text(os.path.join(folder, "report.md"), "\n\n".join(parts) + "\n")
    page = render("base.html", title, blocks=blocks)
    write_text(os.path.join(folder, "report.html"), page)


def _markdown_row(cells):
    return "| " + " | ".join(cells) + " |"
