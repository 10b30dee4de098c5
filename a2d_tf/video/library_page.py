"""The page of a library, `index.html`, which lies above its predictions."""

from __future__ import annotations

import os
import pathlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from a2d_tf.behaviour.prediction_folder import RESULT_FILES, read_video_info
from a2d_tf.core.checked_json import load_json
from a2d_tf.runs import scores
from a2d_tf.video.page_tables import COLUMNS, TableRow, write_html

# Videos of a page with their pictures, of about 6 to 14 kB each.
PICTURES = 200
PAGE_NAME = re.compile(r"index(_[0-9]+)?\.html")
"""Names of the pages of a library."""


def write_library_page(
    output: str | os.PathLike,
    parts: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str],
    run: str | None = None,
) -> None:
    """Write the page of a library; of many videos the pictures are on further pages.

    Args:
      output: folder of the predictions.
      parts: {name of a folder in it: `read_part` of the prediction there}.
      failed: {name of a video: why it has no prediction}.
      run: folder of the run that predicts, whose training videos are marked.

    Raises:
      InputError: a page cannot be written.
    """
    names = list(parts)
    video_info = None
    if names:
        video_info = read_video_info(pathlib.Path(output, names[0]))
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

    index = RESULT_FILES["page"]
    pages = {index: names}
    if len(names) > PICTURES:
        for first in range(0, len(names), PICTURES):
            page = f"index_{first // PICTURES + 1}.html"
            pages[page] = names[first : first + PICTURES]
    title = f"Predictions in {'/'.join(pathlib.Path(output).absolute().parts[-2:])}"
    for page, page_names in pages.items():
        page_title = title
        if page != index:
            page_title = f"{title}: {page_names[0]} to {page_names[-1]}"
        rows = []
        for name in page_names:
            for actor, action, track_sums in parts[name]["sums"]:
                rows.append(TableRow(name, actor, action, track_sums))
        write_html(
            os.path.join(output, page),
            "library.html",
            title=page_title,
            rows=rows,
            video_info=video_info,
            columns=("video", *COLUMNS),
            data={},
            extra=", ".join(name for name in page_names if parts[name]["extra"]),
            browse=browser_url,
            parts=parts,
            trained=training_videos,
            failed=failed,
            page=page,
            pages=pages,
            size=PICTURES,
        )
