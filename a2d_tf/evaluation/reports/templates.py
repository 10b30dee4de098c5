"""HTML pages from templates; pictures as data URLs.

A page is one file that loads nothing but the video beside it. Names come from users:
templates escape them in HTML, and `tojson` in the data of a script, so that what a name
holds is never run.
"""

from __future__ import annotations

import base64
import functools
import pathlib
from typing import Any

import cv2
import numpy as np

from a2d_tf.ops.visualize import shrink

_FILES = pathlib.Path(__file__).parent


def data_url(data: bytes, kind: str = "png") -> str:
    """Return a picture as a data URL, which embeds it in HTML.

    Args:
      data: the bytes of the picture's file.
      kind: the format of the file, "png" or "jpeg".
    """
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def jpeg_url(rgb: np.ndarray, side: int, quality: int) -> str:
    """Return a picture as the data URL of a JPEG.

    Args:
      rgb: RGB uint8 [H, W, 3].
      side: largest length of the longer side in pixels; larger pictures are shrunk.
      quality: quality of the JPEG, 0 to 100.
    """
    image = np.ascontiguousarray(shrink(rgb, side)[..., ::-1])
    data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return data_url(data.tobytes(), "jpeg")


def render(name: str, title: str, folder: pathlib.Path = _FILES, **values: Any) -> str:
    """Render a page from a template.

    Args:
      name: the name of the template, base.html or one that extends it.
      title: the title of the page.
      folder: the folder of the template, and of the styles and scripts that it
        includes. Those beside this module can be included, too.
      **values: {name in the template: value to show}; `data` is for the page's script.

    Returns:
      the HTML of the page.
    """
    page = _environment(folder).get_template(name).render(title=title, **values)
    return page.encode(errors="surrogateescape").decode(errors="replace")


@functools.cache
def _environment(folder: pathlib.Path) -> Any:
    """Return the Jinja environment for the templates of a folder and of this module.

    It is cached, because compiling templates takes longer than filling them in.
    """
    import jinja2  # late, because commands that write no page need not wait for it

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _FILES]),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Names of files that are no UTF-8 stay whole until the end.
    compact = {"separators": (",", ":"), "allow_nan": False, "ensure_ascii": False}
    templates.policies["json.dumps_kwargs"] = compact
    return templates
