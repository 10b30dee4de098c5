"""Reader of MOT Challenge's CSV of a video: a row for each box of a track.

```
clip1.txt         1,3,120.5,80,40,60,1,-1,-1,-1
clip1/gt/gt.txt   1,3,120.5,80,40,60,1,2,0.8
```

The columns are frame, id, left, top, width, height and conf. Three world coordinates
may follow, or the number of a class and the visible share; -1 stands for no value. In a
ground truth, gt.txt, rows with a conf of 0 are ignored; elsewhere it is a score. CVAT
writes the names of classes into gt/labels.txt, a line each; without it classes have
numbers alone. det.txt has detections, which are no tracks.

Source: motchallenge.net/instructions; cvat-ai/cvat `docs/manual/advanced/formats`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from a2d_tf.annotations.documents.conventions import MOT
from a2d_tf.annotations.documents.document import Document, ToolLabel
from a2d_tf.annotations.documents.instance import Instance, check_tracks_differ
from a2d_tf.annotations.documents.numbering import Counted, FrameName, Numbering
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.container import File
from a2d_tf.core.errors import quoted

_TRUTH = "gt.txt"
_DETECTIONS = "det.txt"
_CLASSES = "labels.txt"
_COLUMNS = "frame,id,left,top,width,height,conf"
_FEWEST_COLUMNS = 6
_CLASS = 7
"""Index of the class, in rows of `_COLUMNS_WITH_CLASS` columns."""
_COLUMNS_WITH_CLASS = (8, 9)
_ROW = re.compile(rb"\s*[0-9]+\s*,\s*-?[0-9]+\s*(,\s*[-+.0-9eE]+\s*){4,8}([\r\n]|$)")


class _Row(NamedTuple):
    """A row of the file.

    Attributes:
      frame: the number of the frame as in the file.
      track: the number of the track; None if the row has none.
      box: [x, y, width, height] in pixels.
      is_ignored: whether its conf is 0.
      class_number: the number of its class as text; None if it has none.
    """

    frame: int
    track: int | None
    box: list[float]
    is_ignored: bool
    class_number: str | None

    @classmethod
    def parse(cls, line: str) -> _Row:
        """Parse a line; ValueError, without the file's name, if it is not a row."""
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < _FEWEST_COLUMNS:
            raise ValueError(f"{quoted(line)} is not {_COLUMNS}")
        track = int(cells[1])
        numbers = [float(cell) for cell in cells[2:_CLASS]]
        class_number = None
        if len(cells) in _COLUMNS_WITH_CLASS and int(cells[_CLASS]) >= 0:
            class_number = cells[_CLASS]
        return cls(
            frame=int(cells[0]),
            track=track if track >= 0 else None,
            box=numbers[:4],
            is_ignored=numbers[4:] == [0],
            class_number=class_number,
        )


def matches(content: Any) -> bool:
    """Return whether a file begins with a row of MOT: 'frame,id,left,top,width,height'.

    Args:
      content: the bytes of the file.
    """
    return _ROW.match(content) is not None


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read MOT's table of the boxes in one video; the path of the file names the video.

    Args:
      file: the table. A file det.txt of detections without tracks is left out.
      options: the number of the first frame, by default 1, and the actor of rows
        without a named class.

    Returns:
      a list of one document with an annotated frame for each number in the table.

    Raises:
      InputError: a row is broken, its class is not listed, the user does not state the
        actor of rows without a class, or a frame has a track twice.
    """
    document = Document(file.path, "mot")
    file_name = posixpath.basename(file.name).lower()
    if file_name == _DETECTIONS:
        document.left_out[f"files {_DETECTIONS} of detections without tracks"] += 1
        return [document]
    class_names = _class_names(file)
    frames: dict[int, list[Instance]] = {}
    for line_number, line in enumerate(file.text().splitlines(), 1):
        if not line.strip():
            continue
        place = f"line {line_number}"
        with file.at(place):
            row = _Row.parse(line)
            if file_name == _TRUTH and row.is_ignored:
                document.left_out["rows with a conf of 0, which is to be ignored"] += 1
                continue
            label = _label(row, class_names, options)
            instance = Instance(
                label=label.label,
                action=label.action,
                parts=(),
                where=file.place(place),
                track=row.track,
                box=row.box,
            )
        frames.setdefault(row.frame, []).append(instance)
    first_frame = MOT.first_frame
    if options.first_frame is not None:
        first_frame = options.first_frame
    numbering = Numbering(
        Counted.VIDEO_FRAMES, f"MOT's first frame of a video is {first_frame}"
    )
    for number, instances in sorted(frames.items()):
        check_tracks_differ(instances)
        name = FrameName(None, number - first_frame + 1, numbering)
        document.add(f"frame {number}", name, None, instances)
    return [document]


def _class_names(file: File) -> dict[str, str] | None:
    """Return {number as text: name} of the classes; None if there is no labels.txt."""
    name = posixpath.join(posixpath.dirname(file.name), _CLASSES)
    if name not in file.container.names:
        return None
    names = {}
    for number, line in enumerate(file.container.text(name).splitlines(), 1):
        names[str(number)] = line.strip()
    return names


def _label(
    row: _Row, class_names: Mapping[str, str] | None, options: ReadOptions
) -> ToolLabel:
    """Return the label of a row: the name of its class, or the user's actor.

    Args:
      row: the row.
      class_names: {number of a class as text: name}; None if the file has no names.
      options: states the actor. Without one the label is the number of the class.
    """
    if row.class_number is None or class_names is None:
        return options.label(row.class_number)
    return ToolLabel(class_names[row.class_number])
