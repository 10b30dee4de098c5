"""The page of a library, `index.html`, which lies above its predictions."""

from __future__ import annotations

import os
import pathlib
import re
import urllib.parse
from collections.abc import Mapping

from a2d_tf.behaviour.prediction_folder import RESULT_FILES, read_video_info
from a2d_tf.core.checked_json import load_json
from a2d_tf.runs import scores
from a2d_tf.video.library_part import Part
from a2d_tf.video.page_tables import COLUMNS, TableRow, write_html

_MOST_PICTURES = 200  # of 6 to 14 kB each; a page of more videos has none
PAGE_NAME = re.compile(r"index(_[0-9]+)?\.html")
"""Names of the pages of a library; version 0.1.0 had further ones with the pictures."""


def write_library_page(
    output: str | os.PathLike,
    parts: Mapping[str, Part],
    failed: Mapping[str, str],
    run: str | None = None,
) -> None:
    """Write the page of a library, with a picture of each video unless they are many.

    Args:
      output: folder of the predictions.
      parts: {name of a folder in it: `read_part` of the prediction there}.
      failed: {name of a video: why it has no prediction}.
      run: folder of the run that predicts, whose training videos are marked.

    Raises:
      InputError: a page cannot be written.
    """
    video_info = None
    if parts:
        video_info = read_video_info(pathlib.Path(output, next(iter(parts))))
    training_videos = ()
    if run:
        records = load_json(
            os.path.join(run, "records.json"), {"videos": [str]}, "train it again"
        )
        training_videos = records["videos"]
    browser = scores.folder_of(run or output) / "browse.html"
    browser_url = None
    if browser.is_file():
        browser_path = os.path.relpath(browser, output)
        browser_url = urllib.parse.quote(os.fsencode(browser_path))

    rows = []
    for name, part in parts.items():
        for pair in part.pairs:
            rows.append(TableRow(name, pair.actor, pair.action, pair.totals))
    folder_name = "/".join(pathlib.Path(output).absolute().parts[-2:])
    write_html(
        os.path.join(output, RESULT_FILES["page"]),
        "library.html",
        title=f"Predictions in {folder_name}",
        rows=rows,
        video_info=video_info,
        columns=("video", *COLUMNS),
        data={},
        extra=", ".join(name for name, part in parts.items() if part.has_extra),
        browser_url=browser_url,
        parts=parts,
        has_pictures=len(parts) <= _MOST_PICTURES,
        training_videos=training_videos,
        failed=failed,
    )
