"""Reports as lists of blocks, written as Markdown with its pictures and as one HTML file."""

from __future__ import annotations

import dataclasses
import html
import os
from collections.abc import Iterable
from typing import Union

from a2d_tf.core.files import write_file, write_text
from a2d_tf.ops.visualize import png_url


@dataclasses.dataclass(frozen=True)
class Heading:
    text: str


@dataclasses.dataclass(frozen=True)
class Text:
    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first column names the rows, those of `ours` are bold."""

    heads: tuple
    rows: list
    ours: frozenset = frozenset()


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture; `name` is its file name without `.png`."""

    name: str
    png: bytes
    caption: str


@dataclasses.dataclass(frozen=True)
class Details:
    """Preformatted text that opens on a click."""

    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class Html:
    """Raw HTML, for `document` only."""

    text: str


Block = Union[Heading, Text, Table, Picture, Details, Html]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 1080px; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.7em; } h2 { font-size: 1.25em; margin-top: 2.2em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 9px; text-align: right; border-bottom: 1px solid #dde3e8;
         white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #5f6b73; }
tr.ours { font-weight: 600; background: #eef4f9; }
figure { margin: 1.5em 0; } figure img { max-width: 100%; }
figcaption { color: #5f6b73; font-size: 13px; }
details { margin: .4em 0; } pre { background: #f5f7f8; padding: .8em; overflow-x: auto; }
"""


def write(folder: str | os.PathLike, title: str, blocks: list[Block]) -> None:
    """Write `report.md` with its pictures in `report/`, and `report.html`, which embeds them.

    Raises:
      InputError: the folder cannot be written.
    """
    for block in blocks:
        if isinstance(block, Picture):
            path = os.path.join(folder, "report", f"{block.name}.png")
            write_file(path, lambda file, png=block.png: file.write(png))  # type: ignore[misc]
    parts = [f"# {title}", *map(_markdown, blocks)]
    write_text(os.path.join(folder, "report.md"), "\n\n".join(parts) + "\n")
    write_text(os.path.join(folder, "report.html"), document(title, blocks))


def document(title: str, blocks: Iterable[Block], head: str = "") -> str:
    """Render a self-contained HTML file.

    Args:
      title: plain text.
      blocks: the contents.
      head: additional HTML of the head.
    """
    body, name = "\n".join(map(_html, blocks)), html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n{head}'
        f"<h1>{name}</h1>\n{body}\n</html>\n"
    )


def _markdown(block):
    if isinstance(block, Heading):
        return f"## {block.text}"
    if isinstance(block, Picture):
        return f"![{block.caption}](report/{block.name}.png)\n\n*{block.caption}*"
    if isinstance(block, Details):
        return f"<details><summary>{block.title}</summary>\n\n```\n{block.text}\n```\n\n</details>"
    if isinstance(block, Text):
        return block.text
    lines = [block.heads, ["---", *["---:"] * (len(block.heads) - 1)]]
    for i, row in enumerate(block.rows):
        row = [cell.replace("|", "\\|") for cell in row]
        lines.append([f"**{cell}**" if cell else "" for cell in row] if i in block.ours else row)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _html(block):
    if isinstance(block, Heading):
        return f"<h2>{html.escape(block.text)}</h2>"
    if isinstance(block, Picture):
        caption = html.escape(block.caption)
        return (
            f'<figure><img alt="{caption}" src="{png_url(block.png)}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    if isinstance(block, Details):
        return (
            f"<details><summary>{html.escape(block.title)}</summary>"
            f"<pre>{html.escape(block.text)}</pre></details>"
        )
    if isinstance(block, Html):
        return block.text
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>"
    lines = [_html_row("th", block.heads)]
    for i, row in enumerate(block.rows):
        lines.append(_html_row("td", row, ' class="ours"' if i in block.ours else ""))
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def _html_row(tag, cells, attributes=""):
    inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr{attributes}>{inner}</tr>"
