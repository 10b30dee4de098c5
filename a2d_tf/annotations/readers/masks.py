"""Reader of the mask folders of DAVIS, SAM 2 and Cutie, with a list of objects.

```
objects.csv      video,object,actor,action,first,last
                 clip1,1,mouse,run,,41
                 clip1,1,mouse,rest,42,
clip1/00000.png  the number of an object in each of its pixels, 0 in others
```

PNGs are paletted, where the index counts, or grey of up to 16 bits. A frame without a
PNG is not annotated, and a PNG of zeros shows background alone. `first` and `last` are
numbers as in the names of PNGs, both included; they may be empty or missing. Masks that
no row names are left out, such as those of the value 255, which marks unclear pixels in
some sets.

Source: facebookresearch/sam2 `tools/vos_inference.py`; DAVIS 2016 and 2017.
"""

from __future__ import annotations

import collections
import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.conventions import MASKS
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.container import File
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.data.decoding.image_files import decode_png
from a2d_tf.data.segmentations import encode_mask

LIST = "objects.csv"
COLUMNS = ("video", "object", "actor", "action", "first", "last")
_REQUIRED_COLUMNS = COLUMNS[:4]

_NUMBERS = {"object": "0*[1-9][0-9]{0,8}", "first": "[0-9]{0,9}", "last": "[0-9]{0,9}"}
_UNCLEAR = 255


class _Row(NamedTuple):
    """A row of the list: a period in which an object has one actor and one action.

    Attributes:
      line: the place in the list, for errors: 'line 2'.
      video: the name of the video.
      object: the value of the object's pixels.
      actor, action: its names.
      first, last: numbers of frames as in the names of PNGs, both included.
    """

    line: str
    video: str
    object: int
    actor: str
    action: str
    first: int
    last: int


_RowsByObject = dict[int, list[_Row]]


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a list of objects, objects.csv, and all masks in the folders beside it.

    The masks are PNGs whose pixels hold the number of an object, 0 for background. The
    number of the object becomes the track of its instances.

    Args:
      file: the list.
      options: ignored, since a frame with a PNG is annotated.

    Returns:
      a list of one document with the frames of all videos.

    Raises:
      InputError: a row or a PNG is broken, or rows and folders contradict each other.
    """
    rows = _rows_by_video(file)
    folders = _png_folders(file)
    document = Document(file.path, "masks")
    videos_without_folder = sorted(rows.keys() - folders.keys())
    if videos_without_folder:
        names = ", ".join(map(quoted, videos_without_folder))
        raise file.error(
            "video",
            f"no PNG folder for {names} next to this file; correct the name, or pass"
            " the folder with both",
        )
    for video, png_names in folders.items():
        _add_video(document, file, video, png_names, rows.get(video, {}))
    return [document]


def _png_folders(file: File) -> dict[str, list[str]]:
    """Return {video: names of its PNGs in the container}.

    PNGs in the folder of the list itself are not masks.
    """
    prefix = file.name[: -len(LIST)]
    folders = collections.defaultdict(list)
    for name in file.container.names:
        if name.startswith(prefix) and name.lower().endswith(".png"):
            video = name[len(prefix) :].rpartition("/")[0]
            if video:
                folders[video].append(name)
    return folders


def _rows_by_video(file: File) -> dict[str, _RowsByObject]:
    """Return {video: {object: its rows by time}}.

    Raises:
      InputError: the list is not a CSV, a column is missing, a row is broken, or two
        rows of an object overlap in time.
    """
    videos: dict[str, _RowsByObject] = {}
    for row in _read_rows(file):
        videos.setdefault(row.video, {}).setdefault(row.object, []).append(row)
    for objects in videos.values():
        for rows in objects.values():
            rows.sort(key=lambda row: row.first)
            _check_disjoint(file, rows)
    return videos


def _read_rows(file: File) -> list[_Row]:
    """Return the rows of the list in their order, without empty lines."""
    rows = []
    table = csv.DictReader(io.StringIO(file.text(), newline=""))
    try:
        columns = [name.strip().lower() for name in table.fieldnames or ()]
        table.fieldnames = columns
        missing = [name for name in _REQUIRED_COLUMNS if name not in columns]
        if missing:
            raise file.error(
                "line 1",
                f"missing column {', '.join(missing)}; expected {','.join(COLUMNS)}",
            )
        for cells in table:
            fields = {name: (cells.get(name) or "").strip() for name in COLUMNS}
            if any(fields.values()):
                rows.append(_row(file, f"line {table.line_num}", fields))
    except csv.Error as error:  # such as a quote that never ends
        raise file.error(
            f"line {table.line_num}", f"{error}; save it again as CSV"
        ) from error
    return rows


def _row(file: File, line: str, fields: Mapping[str, str]) -> _Row:
    """Return the row of a line; InputError if a number in it is broken."""
    for name, pattern in _NUMBERS.items():
        if not re.fullmatch(pattern, fields[name]):
            problem = f"{quoted(fields[name])} is not a valid number; correct it"
            raise file.error(f"{line}.{name}", problem)
    first = int(fields["first"] or 0)
    last = int(fields["last"] or 10**9)
    if first > last:
        raise file.error(f"{line}.last", f"{last} is before 'first'; correct it")
    return _Row(
        line=line,
        video=fields["video"],
        object=int(fields["object"]),
        actor=fields["actor"],
        action=fields["action"],
        first=first,
        last=last,
    )


def _check_disjoint(file: File, rows: Sequence[_Row]) -> None:
    """Raise InputError if two rows overlap in time.

    Args:
      rows: the rows of an object, in the order of time.
    """
    for row, following in zip(rows, rows[1:]):
        if following.first <= row.last:
            problem = (
                f"object {row.object} is also in {row.line} for some of these frames"
            )
            raise file.error(
                following.line, f"{problem}; make their frame ranges disjoint"
            )


def _add_video(
    document: Document,
    file: File,
    video: str,
    png_names: Sequence[str],
    rows_by_object: _RowsByObject,
) -> None:
    """Add the frames of a video to the document.

    Raises:
      InputError: a PNG is broken, or PNGs and rows have different objects.
    """
    certain = frame_names.has_number_0(png_names)
    values_in_pngs: set[int] = set()
    for png_name in png_names:
        frame = frame_names.parse_from_0(png_name, certain)
        if not frame:
            document.left_out["PNGs whose names do not end in a number"] += 1
            continue
        number = MASKS.number(frame.number)
        pixels = _read_pixels(file, png_name)
        height, width = pixels.shape
        instances = []
        for value in np.flatnonzero(np.bincount(pixels.ravel())).tolist():
            values_in_pngs.add(value)
            row = _row_at(rows_by_object.get(value, ()), number)
            if row:
                where = f"{file.place(row.line)} ({video}, frame {number})"
                mask = encode_mask(pixels == value)
                instance = Instance(
                    label=row.actor,
                    parts=(mask,),
                    where=where,
                    actor=row.actor,
                    action=row.action,
                    track=value,
                    number=value,
                )
                instances.append(instance)
            elif value != 0:
                document.left_out[f"masks without a row in {LIST}"] += 1
        document.add(
            png_name,
            frame._replace(video=video, folder=""),
            (height, width),
            instances,
            scaled=True,
            keeps_shape=True,
        )
    _check_objects(file, video, values_in_pngs, set(rows_by_object))


def _row_at(rows: Sequence[_Row], number: int) -> _Row | None:
    """Return the row of an object for a frame; None if there is none.

    Args:
      rows: the rows of the object.
      number: the number of the frame, as in the name of its PNG.
    """
    for row in rows:
        if row.first <= number <= row.last:
            return row
    return None


def _check_objects(
    file: File, video: str, values_in_pngs: set[int], objects: set[int]
) -> None:
    """Raise InputError if PNGs and rows seem to number objects differently.

    This is so if the PNGs contain objects without a row, and rows name objects that the
    PNGs lack, or there are no rows at all.

    Args:
      video: the name of the video.
      values_in_pngs: the values of pixels in its PNGs.
      objects: the objects in its rows.
    """
    background = {0}
    if values_in_pngs & objects:  # otherwise 255 may be the number of an object
        background.add(_UNCLEAR)
    without_row = sorted(values_in_pngs - background - objects)
    without_mask = sorted(objects - values_in_pngs)
    if without_row and (without_mask or not objects):
        raise file.error(
            "object",
            f"PNGs of {quoted(video)} contain objects {without_row}, but the rows list"
            f" {without_mask}; correct the numbers",
        )


def _read_pixels(file: File, name: str) -> np.ndarray:
    """Return the pixels of a PNG, numbers of objects: uint8 or uint16 [H, W].

    Raises:
      InputError: it is damaged, or an RGB image.
    """
    path = file.container.locate(name)
    remedy = "save it again as palette or grey PNG"
    image, indices = decode_png(file.container.read(name), path, remedy)
    pixels = image if indices is None else indices
    if pixels.ndim != 2:
        raise InputError(f"{path}: is an RGB image, not one number per pixel; {remedy}")
    return pixels
