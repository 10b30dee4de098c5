"""Reader of DeepLabCut's tables of poses in a video: CSV, or HDF5 of pandas.

```
clip1DLC_resnet50_mice_el.csv     scorer,DLC_resnet50_mice,DLC_resnet50_mice,…
                                  individuals,Ann,Ann,Ann,Ann,…
                                  bodyparts,nose,nose,nose,tail,…
                                  coords,x,y,likelihood,x,…
                                  0,102.5,40.1,0.99,130.2,…
```

Rows are frames, counted from 0. A project of a single animal has no row `individuals`.
The individual `single` stands for the scene. A point counts as missing if its
likelihood is below `LIKELIHOOD`.

Source: DeepLabCut `pose_estimation_pytorch/apis/utils.py`; pandas `io/pytables.py`.
"""

from __future__ import annotations

import csv
import io
import pathlib
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np

from a2d_tf.annotations.documents.conventions import DEEPLABCUT
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.numbering import Counted, FrameName, Numbering
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers import poses
from a2d_tf.annotations.readers.container import File
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import UNREADABLE

LIKELIHOOD = 0.6
"""The least likelihood of a point that counts; DeepLabCut's own `pcutoff`."""
HDF5 = b"\x89HDF\r\n\x1a\n"
_LEVELS = ("scorer", "individuals", "bodyparts", "coords")
_NEEDED_LEVELS = ("scorer", "bodyparts", "coords")
_OF_SCENE = "single"
_REMEDY = "analyze the video again, with save_as_csv=True"
_FROM_0 = Numbering(
    Counted.VIDEO_FRAMES, "DeepLabCut counts from 0: its row 5 is frame 6 of the video"
)


class _Table(NamedTuple):
    """The table of a video.

    Attributes:
      columns: for each column, {one of `_LEVELS`: name}.
      frames: the number of each row as in the file, from 0.
      values: float64 [rows, columns].
    """

    columns: list[dict[str, str]]
    frames: list[int]
    values: np.ndarray


def matches(content: Any) -> bool:
    """Return whether a file is a table of DeepLabCut, even if it is cut off.

    Args:
      content: the bytes of the file, a CSV or HDF5.
    """
    if not content.startswith(HDF5):
        return content.startswith(b"scorer,")
    try:
        with h5py.File(io.BytesIO(content)) as hdf5:
            return _stored_frame(hdf5) is not None
    except UNREADABLE:  # the reader says what is wrong
        return True


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read DeepLabCut's table of one video, a CSV or HDF5.

    The name of the file names the video, and the rows are its frames from 0. An
    individual becomes an instance with the box around its points.

    Args:
      file: the file.
      options: the actor of the individuals, and whether frames without poses count.

    Returns:
      a list of one document with the annotated frames. The tracks have the order of the
      individuals in the table.

    Raises:
      InputError: the table is damaged, its rows are images, it has no points, or the
        user does not state its actor.
    """
    with file.at("", _REMEDY):
        if file.content.startswith(HDF5):
            table = _read_hdf5(file.content)
        else:
            table = _read_csv(file.text())
        missing = set(_NEEDED_LEVELS).difference(*table.columns[:1])
        if missing:
            raise ValueError(f"the columns have no {', '.join(sorted(missing))}")
    document = Document(file.path, "deeplabcut")
    names: list[str | None] = []
    for column in table.columns:
        name = column.get("individuals")
        if name not in names:
            names.append(name)
    if len(names) > 1 and _OF_SCENE in names:
        names.remove(_OF_SCENE)
        document.left_out[f"points of {quoted(_OF_SCENE)}, which are of the scene"] += 1
    boxes = {}
    for name in names:
        boxes[name] = poses.boxes_around(_points(file, table, name))
    video = _video(file, table)
    for row, number in enumerate(table.frames):
        where = f"row {number}"
        poses_of_frame = []
        for track, name in enumerate(names):
            pose = poses.Pose(file.place(where), name, track, boxes[name][row])
            poses_of_frame.append(pose)
        frame_name = FrameName(video, DEEPLABCUT.frame(number), _FROM_0)
        with file.at(where):
            poses.add_frame(document, where, frame_name, poses_of_frame, options)
    poses.check_any(file, document, options)
    return [document]


def _read_csv(text: str) -> _Table:
    """Return the table in a CSV.

    Raises:
      ValueError: a row is broken. The message does not name the file.
    """
    levels: dict[str, list[str]] = {}
    frames = []
    rows = []
    for cells in csv.reader(io.StringIO(text, newline="")):
        if not cells:
            continue
        if cells[0] in _LEVELS:
            levels[cells[0]] = cells[1:]
            continue
        if len(cells) - 1 != len(levels.get("coords", ())):
            raise ValueError(
                f"the row {quoted(cells[0])} has {len(cells) - 1} values, and the"
                f" columns are {len(levels.get('coords', ()))}"
            )
        frames.append(_frame_number(cells[0]))
        rows.append([float(cell or "nan") for cell in cells[1:]])
    columns = []
    for names in zip(*levels.values()):
        columns.append(dict(zip(levels, names)))
    values = np.array(rows, np.float64).reshape(len(rows), len(columns))
    return _Table(columns, frames, values)


def _read_hdf5(content: bytes) -> _Table:
    """Return the table in an HDF5 file.

    Raises:
      InputError, ValueError: it is broken. The message does not name the file.
    """
    try:
        with h5py.File(io.BytesIO(content)) as hdf5:
            group = _stored_frame(hdf5)
            if group is None:
                raise ValueError("has no table of pandas")
            levels = _unpickled(group.attrs["info"])[1]["names"]
            table = group["table"]
            index = table["index"].tolist()
            columns = []
            blocks = []
            for field in table.dtype.names:
                if field.startswith("values_block_"):
                    blocks.append(table[field])
                    for names in _unpickled(table.attrs[f"{field}_kind"]):
                        columns.append(dict(zip(levels, names)))
    except (*UNREADABLE, AttributeError) as error:
        raise InputError(f"cannot be read ({error}); export it again") from error
    frames = [_frame_number(str(number)) for number in index]
    values = np.concatenate(blocks, axis=1).astype(np.float64)
    return _Table(columns, frames, values)


def _stored_frame(hdf5: h5py.File) -> h5py.Group | None:
    """Return the group of an HDF5 file with a pandas table; None if there is none."""
    for group in hdf5.values():
        if "pandas_type" in group.attrs:
            return group
    return None


class _PlainUnpickler(pickle.Unpickler):
    """Reads a pickle of lists, dictionaries, texts and numbers.

    It refuses objects of classes, which could run code.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Raise ValueError, since the pickle contains an object of a class."""
        raise ValueError(f"contains {module}.{name}, not names alone")


def _unpickled(value: bytes) -> Any:
    """Return the value of an attribute that pandas has pickled."""
    try:
        return _PlainUnpickler(io.BytesIO(bytes(value))).load()
    except (pickle.UnpicklingError, EOFError, IndexError) as error:
        raise ValueError(f"broken names of columns ({error})") from error


def _frame_number(text: str) -> int:
    """Return the number of a row; ValueError if the row is an image for training."""
    if not text.isdecimal():
        raise ValueError(f"the row {quoted(text)} is no frame of a tracked video")
    return int(text)


def _video(file: File, table: _Table) -> str | None:
    """Return the part of the file's name before the scorer; None without a scorer."""
    stem = pathlib.PurePosixPath(file.name).name.rpartition(".")[0]
    video, _, _ = stem.partition(table.columns[0]["scorer"])
    return video if video != stem else None


def _points(file: File, table: _Table, individual: str | None) -> np.ndarray:
    """Return the points of an individual, float64 [rows, P, 2] of x, y in pixels.

    A missing point is NaN.

    Args:
      file: the file, for errors.
      table: its table.
      individual: the name of the individual; None in a project of a single animal.
    """
    columns_of_part: dict[str, dict[str, int]] = {}  # by coordinate
    for index, column in enumerate(table.columns):
        if column.get("individuals") == individual:
            columns = columns_of_part.setdefault(column["bodyparts"], {})
            columns[column["coords"]] = index
    points = []
    for part, columns in columns_of_part.items():
        with file.at(part, _REMEDY):
            points.append(_points_of_part(table.values, columns))
    return np.stack(points, axis=1)


def _points_of_part(values: np.ndarray, columns: Mapping[str, int]) -> np.ndarray:
    """Return the points of a body part, float64 [rows, 2] of x, y; NaN if missing.

    Args:
      values: the values of the table, float64 [rows, columns].
      columns: {'x', 'y' or 'likelihood': index of the column}.
    """
    points = values[:, [columns["x"], columns["y"]]]
    if "likelihood" in columns:
        is_found = values[:, columns["likelihood"]] >= LIKELIHOOD
        points[~is_found] = np.nan
    return points
