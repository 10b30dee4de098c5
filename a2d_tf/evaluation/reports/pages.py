"""HTML pages from templates, and reports as lists of blocks, in HTML and in Markdown.

A page is one file that loads nothing but the video beside it. Names come from users:
templates escape them in HTML, and `tojson` in the data of a script, so that what a name
holds is never run.
"""

from __future__ import annotations

import base64
import os
import pathlib
from typing import Any, NamedTuple, Union

import cv2
import numpy as np

from a2d_tf.core.files import write_bytes, write_text
from a2d_tf.ops.visualize import shrunk

_FILES = pathlib.Path(__file__).parent


def data_url(data: bytes, kind: str = "png") -> str:
    """Return the bytes of a picture as a data URL; kind: "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def jpeg_url(rgb: np.ndarray, side: int, quality: int) -> str:
    """Shrink a picture, RGB uint8 [H, W, 3], and encode it as the data URL of a
    JPEG.
    """
    image = np.ascontiguousarray(shrunk(rgb, side)[..., ::-1])
    data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return data_url(data.tobytes(), "jpeg")


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


def render(name: str, title: str, folder: pathlib.Path = _FILES, **values: Any) -> str:
    """Render a page from the template of that name, base.html or one that extends it.

    Args:
      folder: of the template, and of the styles and scripts that it includes, beside
      those here. **values: what the template shows; `data` is for the page's script.
    """
    import jinja2  # late, because commands that write no page need not wait for it

    options: dict = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    loader = jinja2.FileSystemLoader([folder, _FILES])
    templates = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, **options
    )
    # Names of files that are no UTF-8 stay whole until the end.
    compact = {"separators": (",", ":"), "allow_nan": False, "ensure_ascii": False}
    templates.policies["json.dumps_kwargs"] = compact
    page = templates.get_template(name).render(title=title, **values)
    return page.encode(errors="surrogateescape").decode(errors="replace")


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
