"""Names of the tables and pages of a library."""

from __future__ import annotations

import re

from a2d_tf.behaviour import time_budget
from a2d_tf.behaviour.prediction_folder import VIDEOS_FILE
from a2d_tf.video.pages import held_out_table

SUMMARY = "summary.csv"
SUMS = "sums.csv"
FAILED = "failed.csv"
PAGE_NAME = re.compile(r"index(_[0-9]+)?\.html")


def is_own(name: str) -> bool:
    """Return whether a file of this name is a table or a page of a library."""
    tables = (
        VIDEOS_FILE,
        SUMMARY,
        SUMS,
        time_budget.TIME_BUDGET,
        held_out_table.TABLE,
        FAILED,
    )
    return name in tables or PAGE_NAME.fullmatch(name) is not None
