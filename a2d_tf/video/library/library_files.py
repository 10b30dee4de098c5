"""The names of the tables and pages that describe a whole library."""

from __future__ import annotations

import re

from a2d_tf.behaviour import time_budget
from a2d_tf.behaviour.prediction_folder import VIDEOS_FILE
from a2d_tf.video.pages import held_out_table

SUMMARY = "summary.csv"
"""The table of all bouts of all videos."""
SUMS = "sums.csv"
"""The table of the total duration of each actor and action, by split."""
FAILED = "failed.csv"
"""The table of the videos that could not be predicted, with the reasons."""
PAGE_NAME = re.compile(r"index(_[0-9]+)?\.html")
"""The names of the pages: index.html, and index_1.html and so on with more pictures."""


def is_own(name: str) -> bool:
    """Return whether a file name is that of a table or a page of a library.

    Such files are replaced when the library is predicted again.
    """
    tables = (
        VIDEOS_FILE,
        SUMMARY,
        SUMS,
        time_budget.TIME_BUDGET,
        held_out_table.TABLE,
        FAILED,
    )
    return name in tables or PAGE_NAME.fullmatch(name) is not None
