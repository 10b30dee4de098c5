"""Write the page of a library, `index.html`, which shows all its videos."""

from __future__ import annotations

import collections
import os
import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from a2d_tf.behaviour.prediction_folder import RESULT_FILES, read_video_info
from a2d_tf.core.checked_json import load_json
from a2d_tf.evaluation.own_labels import learning_curve
from a2d_tf.evaluation.reports.templates import data_url
from a2d_tf.runs import run_folder, scores
from a2d_tf.runs.video_splits import SPLITS, TRAINED
from a2d_tf.video.outputs.library_part import Part
from a2d_tf.video.pages import trust
from a2d_tf.video.pages.page_html import write_html
from a2d_tf.video.pages.page_tables import TableRow

_MOST_PICTURES = 200  # of a page, of 6 to 14 kB each


class _Page(NamedTuple):
    """A page of a library.

    Attributes:
      file: name of the page's file.
      names: names of the videos on the page.
      has_pictures: whether the page shows a picture of each video.
    """

    file: str
    names: Sequence[str]
    has_pictures: bool


def write_library_page(
    output: str | os.PathLike,
    parts: Mapping[str, Part],
    failed: Mapping[str, str],
    run: str | None = None,
    notes: Sequence[str] = (),
    *,
    warning: str = "",
    curve: str = "",
) -> None:
    """Write the page of a library into its folder.

    It has a table of who did what for how long, and a picture of each video. If there
    are more than 200 videos, the pictures are on further pages, index_1.html and so on.

    Args:
      output: path of the folder of the library.
      parts: {name of a video: the part of its prediction that the library shows}.
      failed: {name of a video without a prediction: the reason}.
      run: path of the run folder of the model, whose training videos are marked; None
        if the model is no run.
      notes: sentences about the quality of the labels.
      warning: text of the warning at the top of each page; "" for none.
      curve: path of a picture of the learning curve, which need not exist; "" for the
        picture in the run folder.

    Raises:
      InputError: a page cannot be written.
    """
    video_info = None
    if parts:
        video_info = read_video_info(pathlib.Path(output, next(iter(parts))))
    split_of = splits(parts, run)
    counts = collections.Counter(split_of.values())
    browser = scores.folder_of(run or output) / "browse.html"
    browser_url = None
    if browser.is_file():
        browser_url = _url(browser, output)
    sheet_urls: list[str] = []
    if run:
        sheet_urls = [_url(sheet, output) for sheet in run_folder.sheets(run)]
        curve = curve or os.path.join(run, learning_curve.PICTURE)
    curve_url = None
    if os.path.isfile(curve):
        curve_url = data_url(pathlib.Path(curve).read_bytes())
    pages = _pages_of(list(parts))
    picture_links = _picture_links(pages)
    folder_name = "/".join(pathlib.Path(output).absolute().parts[-2:])
    for page in pages:
        title = f"Predictions in {folder_name}"
        if page is not pages[0]:
            title += f": {page.names[0]} to {page.names[-1]}"
        rows = table_rows({name: parts[name] for name in page.names}, split_of)
        write_html(
            os.path.join(output, page.file),
            "library.html",
            title=title,
            name_column="video",
            rows=rows,
            video_info=video_info,
            data={},
            extra=", ".join(name for name in page.names if parts[name].has_extra),
            browser_url=browser_url,
            sheet_urls=sheet_urls,
            notes=notes,
            warning=warning,
            curve_url=curve_url,
            parts={name: parts[name] for name in page.names},
            page=page,
            pages=pages,
            picture_links=picture_links,
            split_of=split_of,
            splits={split: counts[split] for split in SPLITS if counts[split]},
            meanings={split: trust.of_split(split) for split in SPLITS},
            failed=failed,
        )


def _url(path: pathlib.Path, output: str | os.PathLike) -> str:
    """Return the address of a file on a page in `output`."""
    return urllib.parse.quote(os.fsencode(os.path.relpath(path, output)))


def splits(parts: Mapping[str, Part], run: str | None) -> dict[str, str]:
    """Return what each video was to the model.

    If a run was not scored, its records still tell the training videos.

    Args:
      parts: {name of a video: the part of its prediction that the library shows}.
      run: path of the run folder of the model; None if the model is no run.

    Returns:
      {name of a video: "trained", "held out" or "new"}; "" if it is unknown.
    """
    training_videos = ()
    if run:
        records = load_json(
            os.path.join(run, run_folder.RECORDS), {"videos": [str]}, "train it again"
        )
        training_videos = records["videos"]
    split_of = {}
    for name, part in parts.items():
        split_of[name] = part.split or ""
        if not part.split and name in training_videos:
            split_of[name] = TRAINED
    return split_of


def table_rows(
    parts: Mapping[str, Part], split_of: Mapping[str, str]
) -> list[TableRow]:
    """Return the rows of the table on the page: one for each video and label.

    Args:
      parts: {name of a video: the part of its prediction that the library shows}.
      split_of: {name of a video: its split}, the result of `splits`.
    """
    rows = []
    for name, part in parts.items():
        for pair in part.pairs:
            rows.append(TableRow(name, *pair, split_of[name]))
    return rows


def _pages_of(names: Sequence[str]) -> list[_Page]:
    """Return the page of all videos, then those of their pictures if they are many."""
    is_one = len(names) <= _MOST_PICTURES
    pages = [_Page(RESULT_FILES["page"], names, has_pictures=is_one)]
    if not is_one:
        for number, first in enumerate(range(0, len(names), _MOST_PICTURES), 1):
            names_of_page = names[first : first + _MOST_PICTURES]
            pages.append(_Page(f"index_{number}.html", names_of_page, True))
    return pages


def _picture_links(pages: Sequence[_Page]) -> dict[str, str]:
    """Return {video: link to its picture}, for videos on further pages."""
    links = {}
    for page in pages[1:]:
        for number, name in enumerate(page.names):
            links[name] = f"{page.file}#v{number}"
    return links
