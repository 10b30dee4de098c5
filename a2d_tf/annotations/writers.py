"""The file, zip or folder of an export, written whole or not at all."""

from __future__ import annotations

import pathlib
import zipfile

from a2d_tf.annotations import write_coco as coco
from a2d_tf.annotations import write_cvat as cvat
from a2d_tf.annotations import write_labelme as labelme
from a2d_tf.annotations.tracked_video import TrackedVideo
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import whole_folder, write_file

WRITERS = {"cvat": cvat, "coco": coco, "labelme": labelme}
"""Each has `write`, the SUFFIX of its file ('' for a folder), and whether its tracks need the
frames BETWEEN key frames."""


def check_output(output: str, form: str) -> None:
    """Raise InputError unless `output` ends in .zip or in the suffix of a format of `WRITERS`."""
    suffix, own = pathlib.PurePath(output).suffix.lower(), WRITERS[form].SUFFIX
    if suffix != ".zip" and (suffix != own if own else suffix in (".json", ".xml")):
        what = f"a {own}" if own else "a folder"
        raise InputError(f"--output={output}: --format={form} is {what} or a .zip")


def save(video: TrackedVideo, output: str, form: str, masks: bool) -> None:
    """Write an export; a file that is there is replaced, a folder must be new or empty.

    Args:
      video: what to write.
      output: path of a file, a zip or a folder.
      form: one of `WRITERS`.
      masks: whether shapes are masks; else polygons.

    Raises:
      InputError: it cannot be written, or not there.
    """
    check_output(output, form)
    members = WRITERS[form].write(video, masks)
    if output.lower().endswith(".zip"):
        write_file(output, lambda file: _zip(file, members))
    elif WRITERS[form].SUFFIX:
        ((_, content),) = members
        write_file(output, lambda file: file.write(content))
    else:
        with whole_folder(output, replace=False) as folder:
            for name, content in members:
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def _zip(file, members):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
