"""Reports as lists of blocks, written in HTML and in Markdown."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import ClassVar, Union

from a2d_tf.core.files import write_bytes, write_text
from a2d_tf.evaluation.reports.templates import data_url, render


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading of a section."""

    text: str
    kind: ClassVar = "heading"

    def markdown(self) -> str:
        """Return a heading of the second level."""
        return f"## {self.text}"


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar = "text"

    def markdown(self) -> str:
        """Return `text`."""
        return self.text


@dataclasses.dataclass(frozen=True)
class TableBlock:
    """Rows of cells under headings.

    Attributes:
      heads: the headings.
      rows: lists of cells; the first names the row.
      ours: indices of the rows that are bold.
    """

    heads: tuple
    rows: list
    ours: frozenset = frozenset()
    kind: ClassVar = "table"

    def markdown(self) -> str:
        """Return a table."""
        lines = [_markdown_row(self.heads)]
        alignments = ["---"] + ["---:"] * (len(self.heads) - 1)
        lines.append(_markdown_row(alignments))
        for i, row in enumerate(self.rows):
            cells = [cell.replace("|", "\\|") for cell in row]
            if i in self.ours:
                cells = [f"**{cell}**" if cell else "" for cell in cells]
            lines.append(_markdown_row(cells))
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture; `name` is its file name without `.png`."""

    name: str
    png: bytes
    caption: str
    kind: ClassVar = "picture"

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return data_url(self.png)

    def markdown(self) -> str:
        """Return a picture, with its caption below."""
        return f"![{self.caption}](report/{self.name}.png)\n\n*{self.caption}*"


Block = Union[Heading, Text, TableBlock, Picture]
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


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
