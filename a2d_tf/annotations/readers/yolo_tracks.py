"""The text files of `yolo track` with save_txt: labels/clip1_5.txt for frame 5.

Without data.yaml, classes have numbers and no names.

Source: ultralytics `engine/results.py`.
"""

from __future__ import annotations

import pathlib
import posixpath
import re
from typing import Any

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers import yolo
from a2d_tf.annotations.readers.container import File
from a2d_tf.annotations.readers.yolo_labels import (
    is_named_by_cvat,
    read_instances,
)

_LINE = re.compile(rb"\s*[0-9]+([ \t]+[-+.0-9eE]+){4,}[ \t]*([\r\n]|$)")


def matches(content: Any) -> bool:
    """Return whether a text file begins with YOLO's line of a class and its shape.

    Args:
      content: the bytes of the file.
    """
    return _LINE.match(content) is not None


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read all text files of `yolo track` in the folder of one of them.

    The name of each file, such as clip1_5.txt, names the video and the frame.

    Args:
      file: any of the text files.
      options: the actor of the instances; if there is none, their label is the number
        of their class.

    Returns:
      a list of one document; an empty list if this folder or one above it has a
      data.yaml, because the reader `yolo` reads the files then.

    Raises:
      InputError: a line is broken, or a file's name has no frame number.
    """
    folder = posixpath.dirname(file.name)
    folders_above = {"", *map(str, pathlib.PurePosixPath(file.name).parents)}
    names = []
    for name in file.container.names:
        above, _, last = name.rpartition("/")
        if last.lower() in yolo.YAMLS and above in folders_above:
            return []
        if above == folder and last.lower().endswith(".txt"):
            names.append(name)
    document = Document(file.path.parent, "yolo_track")
    for name in names:
        label_file = File.open(file.container, name)
        if label_file.content.strip() and not matches(label_file.content):
            document.left_out["text files without boxes and polygons"] += 1
            continue
        stem = posixpath.splitext(posixpath.basename(name))[0]
        if is_named_by_cvat(stem):
            problem = "is named as in CVAT; export 'Ultralytics YOLO' there"
            raise label_file.error("", problem)
        frame_name = frame_names.parse_cvat(f"{stem}.txt")
        if frame_name is None:
            raise label_file.error("", frame_names.not_a_frame_message(name))
        instances = read_instances(label_file, options.label)
        document.add(name, frame_name, (1, 1), instances, scaled=True)
    return [document]
