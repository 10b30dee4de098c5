"""Files: read no further than is sound, written in one step.

A reader finds the old file or the new one, never a part. What is read is a regular file (a pipe or
a device would never end) of a limited size, and lies where it says that it lies.
"""

import contextlib
import json
import os
import re
import secrets
import stat

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_NAME, MAX_TEXT_BYTES


def check_regular(path):
    """ValueError where a path is not of a regular file, OSError where nothing is there.

    To be asked before the file is opened: to open a pipe may take for ever.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("a folder, a pipe or a device, no file")


def read_bytes(path, limit):
    """The contents of a regular file.

    Raises:
      OSError: no such file, or it cannot be read.
      ValueError: no regular file, or one of more than `limit` bytes.
    """
    check_regular(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ValueError(f"{size} bytes, more than {limit}")
        return file.read(size)  # Python takes memory for as many bytes as it is told


def read_text(path, limit=MAX_TEXT_BYTES):
    """The contents of a UTF-8 text file, without a byte order mark; errors as of `read_bytes`."""
    return read_bytes(path, limit).decode("utf-8-sig")


def read_json(path, limit=MAX_TEXT_BYTES):
    """The contents of a JSON file; errors as of `read_bytes`, ValueError where it is no JSON."""
    try:
        return json.loads(read_text(path, limit))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def is_file_name(name):
    """Whether a video may be named so: the name becomes part of paths, here and in every output."""
    return (
        name not in ("", ".", "..")
        and not re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff]", name)
        and len(name.encode()) <= MAX_NAME
    )


def is_frame_name(name):
    """Whether it is `<video>/<frame>`, as frames are named in files of truth and detections."""
    video, _, frame = name.rpartition("/")
    return is_file_name(video) and is_file_name(frame)


def check_inside(path, folder, remedy):
    """InputError, which ends with the remedy, where a link leads a path out of the folder."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, root]) != root:
        raise InputError(f"{path}: a link that leads out of {folder}; {remedy}")


def check_tree(folder):
    """Refuse a folder from somebody else that has more in it than files and folders of its own.

    Raises:
      InputError: a link there leads out of the folder, something is neither file nor folder, or
        a folder cannot be listed.
    """

    def unlisted(error):
        if not isinstance(error, FileNotFoundError):
            raise InputError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    for parent, folders, files in os.walk(folder, onerror=unlisted):
        for name in folders + files:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                check_inside(path, folder, "put what it leads to in its place")
            try:
                mode = os.stat(path).st_mode
            except FileNotFoundError:  # a run that is at work renames and removes
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError(f"{path}: a pipe or a device, no file; remove it")


def write_file(path, write):
    """Create or replace a file: `write(file)` fills a temporary binary file beside it.

    Missing parent folders are made.

    Raises:
      InputError: the file cannot be written, or the path is of a folder, a pipe or a device.
    """
    path = os.fspath(path)
    try:
        with contextlib.suppress(OSError):  # nothing there, or what is wrong shows below
            check_regular(path)
    except ValueError as error:
        raise InputError(f"{path}: a folder, a pipe or a device is there; name a file") from error
    # Process numbers alone may be the same on two machines that share a disk.
    temporary = f"{path}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                write(file)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def write_text(path, text):
    """Create or replace a UTF-8 text file; InputError where it cannot be."""
    write_file(path, lambda file: file.write(text.encode()))


def write_json(path, value, sort_keys=False):
    """Create or replace a JSON file, indented; InputError where it cannot be."""
    text = json.dumps(value, indent=1, sort_keys=sort_keys, allow_nan=False)
    write_text(path, text + "\n")
