"""Make the HTML page of predictions that have none, or of a library of them.

  python tools/make_page.py --prediction=out
  python tools/make_page.py --library=out

The page, `index.html`, lies beside the overlay and plays it above a timeline. A library is a folder
of predictions: each gets its page, and the page above shows them all.
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError

_PREDICTION = flags.DEFINE_list(
    "prediction",
    [],
    "Folder of a2d_tf.predict; several with commas. Quote one with a comma: '\"Smith, John\"'.",
)
_LIBRARY = flags.DEFINE_string("library", None, "Folder of such folders, each of one video.")


def main(argv: list[str]) -> None:
    """Run the command."""
    command_line.require(argv)
    if bool(_PREDICTION.value) == bool(_LIBRARY.value):
        raise InputError("give one of --prediction and --library")
    from a2d_tf.evaluation.reports.pages import printable  # late: OpenCV takes a second
    from a2d_tf.video.library import FAILED, failures
    from a2d_tf.video.views import pages

    folders = [pathlib.Path(folder) for folder in _PREDICTION.value]
    if _LIBRARY.value:
        folders = pages.predictions(_LIBRARY.value)
    for folder in folders:
        print(printable(str(pages.write_page(folder))))
    if _LIBRARY.value:
        failed = failures(os.path.join(_LIBRARY.value, FAILED))
        path = pages.write_library_page(_LIBRARY.value, failed=failed)
        print(printable(str(path)))


run = command_line.command(main)


if __name__ == "__main__":
    run()
