"""Reports as lists of blocks, written in HTML and in Markdown.

A block is a heading, a paragraph, a table or a picture. Its `kind` tells the HTML
template how to show it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import ClassVar, Union

from a2d_tf.core.files import write_bytes, write_text
from a2d_tf.evaluation.reports.templates import data_url, render


@dataclasses.dataclass(frozen=True)
class Heading:
    """A block that is the heading of a section.

    Attributes:
      text: the words of the heading.
      kind: "heading".
    """

    text: str
    kind: ClassVar = "heading"

    def markdown(self) -> str:
        """Return the block in Markdown, as a heading of the second level."""
        return f"## {self.text}"


@dataclasses.dataclass(frozen=True)
class Text:
    """A block that is a paragraph.

    Attributes:
      text: the paragraph, without Markdown or HTML.
      kind: "text".
    """

    text: str
    kind: ClassVar = "text"

    def markdown(self) -> str:
        """Return the block in Markdown, which is the text itself."""
        return self.text


@dataclasses.dataclass(frozen=True)
class TableBlock:
    """A block that is a table.

    Attributes:
      heads: the headings of the columns.
      rows: lists of cells, strings; the first cell names the row.
      ours: indices of the rows that are printed bold: this package's results, beside
        published ones.
      kind: "table".
    """

    heads: tuple
    rows: list
    ours: frozenset = frozenset()
    kind: ClassVar = "table"

    def markdown(self) -> str:
        """Return the block in Markdown, with numbers aligned to the right."""
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
    """A block that is a picture with a caption.

    Attributes:
      name: the name of its file, without `.png`.
      png: the bytes of the PNG.
      caption: the text below it.
      kind: "picture".
    """

    name: str
    png: bytes
    caption: str
    kind: ClassVar = "picture"

    @property
    def url(self) -> str:
        """The picture as a data URL, which embeds it in HTML."""
        return data_url(self.png)

    def markdown(self) -> str:
        """Return the block in Markdown: a link to the PNG in `report/`, the caption."""
        return f"![{self.caption}](report/{self.name}.png)\n\n*{self.caption}*"


Block = Union[Heading, Text, TableBlock, Picture]
"""A part of a report: its kind tells the HTML template how to show it."""


def write(folder: str | os.PathLike, title: str, blocks: list[Block]) -> None:
    """Write a report in Markdown and in HTML.

    The files are `report.md`, its pictures in `report/`, and `report.html`, which
    embeds the pictures.

    Args:
      folder: the folder of the files.
      title: the title of the report.
      blocks: the contents, in order.
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
