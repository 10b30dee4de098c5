"""Folders of masks, as DAVIS, SAM 2 and Cutie write them, and a list of their objects.

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
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import File
from a2d_tf.annotations.document import Document, Instance, ReadOptions
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.data.video_frames import decode_png

LIST = "objects.csv"
# the last two are optional
COLUMNS = ("video", "object", "actor", "action", "first", "last")

_NUMBERS = {"object": "0*[1-9][0-9]{0,8}", "first": "[0-9]{0,9}", "last": "[0-9]{0,9}"}


class _Row(NamedTuple):
    """What an object does from a frame to another, as `line` says."""

    line: str
    actor: str
    action: str
    first: int
    last: int


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read the list and all PNGs in the folders beside it.

    Raises:
      InputError: a row or a PNG is broken, or rows and folders do not fit together.
    """
    listed, folders = _rows(file), _folders(file)
    document = Document(file.path, "masks")
    if without := listed.keys() - folders.keys():
        problem = (
            f"no PNG folder for {', '.join(map(quoted, sorted(without)))} next to this"
            " file"
        )
        raise file.error(
            "video", f"{problem}; correct the name, or pass the folder with both"
        )
    for video, names in folders.items():
        _add_video(document, file, video, names, listed.get(video, {}))
    return [document]


def _folders(file):
    """Return {video: names of its PNGs in the container}; those beside the list are
    no masks.
    """
    prefix, folders = file.name[: -len(LIST)], collections.defaultdict(list)
    for name in file.container.names:
        video = name[len(prefix) :].rpartition("/")[0]
        if name.startswith(prefix) and name.lower().endswith(".png") and video:
            folders[video].append(name)
    return folders


def _rows(file):
    """Return {video: {object: its rows by time}}."""
    table = csv.DictReader(io.StringIO(file.container.text(file.name), newline=""))
    listed: dict[str, dict[int, list[_Row]]] = {}
    table.fieldnames = [name.strip().lower() for name in table.fieldnames or ()]
    missing = [name for name in COLUMNS[:4] if name not in table.fieldnames]
    if missing:
        problem = f"missing column {', '.join(missing)}; expected {','.join(COLUMNS)}"
        raise file.error("line 1", problem)
    for entry in table:
        line = f"line {table.line_num}"
        fields = {name: (entry.get(name) or "").strip() for name in COLUMNS}
        if any(fields.values()):
            number, row = _row(file, line, fields)
            listed.setdefault(fields["video"], {}).setdefault(number, []).append(row)
    for objects in listed.values():
        for number, rows in objects.items():
            rows.sort(key=lambda row: row.first)
            for row, after in zip(rows, rows[1:]):
                if after.first <= row.last:
                    problem = (
                        f"object {number} is also in {row.line} for some of these"
                        " frames"
                    )
                    raise file.error(
                        after.line, f"{problem}; make their frame ranges disjoint"
                    )
    return listed


def _row(file, line, fields):
    """Return the object and the `_Row` of a line."""
    for name, wanted in _NUMBERS.items():
        if not re.fullmatch(wanted, fields[name]):
            problem = f"{quoted(fields[name])} is not a valid number; correct it"
            raise file.error(f"{line}.{name}", problem)
    first, last = int(fields["first"] or 0), int(fields["last"] or 10**9)
    if first > last:
        raise file.error(f"{line}.last", f"{last} is before 'first'; correct it")
    return int(fields["object"]), _Row(
        line, fields["actor"], fields["action"], first, last
    )


def _add_video(document, file, video, names, objects):
    """Add the frames of a video; `objects` are {object: its rows}."""
    certain = any(
        found and found[1] == 0 for found in map(frame_names.split_frame_name, names)
    )
    seen: set[int] = set()
    for name in names:
        frame = frame_names.from_0(name, certain)
        if not frame:
            document.left_out["PNGs whose names do not end in a number"] += 1
            continue
        number = frame.number - 1  # as in the names
        values, instances = _values(file, name), []
        for value in np.flatnonzero(np.bincount(values.ravel())).tolist():
            rows = [
                row for row in objects.get(value, ()) if row.first <= number <= row.last
            ]
            seen.add(value)
            if rows:
                actor, action, where = rows[0].actor, rows[0].action, rows[0].line
                where = f"{file.place(where)} ({video}, frame {number})"
                mask = encode_mask(values == value)
                instances.append(
                    Instance(actor, (mask,), where, actor, action, track=value)
                )
            elif value:
                document.left_out[f"masks without a row in {LIST}"] += 1
        frame = frame._replace(video=video, folder="")
        document.add(
            name, frame, values.shape, instances, scaled=True, keeps_shape=True
        )
    # alone in a video it is an object
    unclear = {255} if seen & objects.keys() else set()
    others, absent = (
        sorted(seen - {0, *unclear, *objects}),
        sorted(objects.keys() - seen),
    )
    if others and (absent or not objects):
        problem = (
            f"PNGs of {quoted(video)} contain objects {others}, but the rows list"
            f" {absent}"
        )
        raise file.error("object", f"{problem}; correct the numbers")


def _values(file, name):
    """Return the objects of a PNG's pixels: uint8 or uint16 [H, W]."""
    path, remedy = file.container.locate(name), "save it again as palette or grey PNG"
    image, indices = decode_png(file.container.read(name), path, remedy)
    values = image if indices is None else indices
    if values.ndim != 2:
        raise InputError(f"{path}: is an RGB image, not one number per pixel; {remedy}")
    return values
