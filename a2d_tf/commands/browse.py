"""Show the frames of an evaluated split, truth beside prediction, on one HTML page.

  a2d browse --run RUN --records RECORDS --split test

The split must have been evaluated by `a2d evaluate`. The page sorts by error and
filters by actor and action.
"""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.runs import scores

FLAGS = command_line.Register()
_RUN = FLAGS.define_string("run", None, "Run folder of a2d train.")
_RECORDS = FLAGS.define_string(
    "records", None, "Folder of records that contain the frames."
)
_SPLITS = ["train", "val", "test", "train_best", "val_best", "test_best"]
_SPLIT = FLAGS.define_enum(
    "split",
    "test",
    _SPLITS,
    "Split to show; <split>_best is that of a2d evaluate --checkpoint=best.",
)
_OUTPUT = FLAGS.define_string(
    "output", None, "HTML file; by default browse.html beside the scores."
)
_LIMIT = FLAGS.define_integer(
    "limit", 200, "Maximum number of frames, worst first; about 40 kB each.", 1
)


def main(argv: list[str]) -> None:
    """Write the page of an evaluated split, and print where it is."""
    command_line.require(argv, run=_RUN.value, records=_RECORDS.value)
    workdir = pathlib.Path(_RUN.value)
    split = _SPLIT.value.removesuffix("_best")
    folder = scores.folder_of(workdir, _SPLIT.value)
    if not folder.is_dir():
        command = f"a2d evaluate --workdir={workdir} --split={split}"
        if split != _SPLIT.value:
            command += " --checkpoint=best"
        raise InputError(f"{folder}: no such folder; run {command}")
    from a2d_tf.data.record_folder.manifest import Manifest
    from a2d_tf.evaluation.reports import frame_browser

    manifest = Manifest.load(_RECORDS.value)
    title = (
        f"{os.path.basename(os.path.abspath(workdir))}: frames of split {_SPLIT.value}"
    )
    page = frame_browser.page(
        title, folder, manifest.label_space, manifest, split=split, limit=_LIMIT.value
    )
    output = _OUTPUT.value or str(folder / "browse.html")
    write_text(output, page.text)
    megabytes = len(page.text.encode()) / 1e6
    counts = f"{page.shown_count} of {page.frame_count} frames"
    print(f"{counts}, {megabytes:.1f} MB -> {output}")


run = command_line.command(main, FLAGS)
