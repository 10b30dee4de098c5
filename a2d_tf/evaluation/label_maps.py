"""Label maps as files: PNGs of codes, or in the colours of the label space."""

from __future__ import annotations

import collections
import os
import pathlib

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_bytes
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import video_frames


def frames_of(folder: pathlib.Path) -> list[str]:
    """Return the frames of an evaluated split, `<VID>/<%05d>`, in order."""
    maps = folder / "label_truth"
    paths = sorted(
        path.relative_to(maps).with_suffix("") for path in maps.glob("*/*.png")
    )
    return [path.as_posix() for path in paths]


def read_maps(
    folder: pathlib.Path, frame: str, label_space: LabelSpace
) -> list[np.ndarray]:
    """Read the label maps of a frame of an evaluated split: truth and prediction."""
    paths = (folder / kind / f"{frame}.png" for kind in ("label_truth", "label_maps"))
    return [read_label_map(path, label_space) for path in paths]


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image; errors as of `write_bytes`."""
    write_bytes(path, cv2.imencode(".png", image)[1].tobytes())


def read_label_map(path: str | os.PathLike, label_space: LabelSpace) -> np.ndarray:
    """Read a label map from a PNG.

    Single-channel images hold codes, RGB images the label space's colours. A paletted
    image counts as RGB if all its pixels have known colours, and else its indices are
    the codes.

    Returns:
      Codes uint8 or uint16 [H, W].

    Raises:
      InputError: no whole PNG, larger than MAX_PIXELS, or a colour or a code beyond the
        label space.
      OSError: the file cannot be read.
    """
    data = pathlib.Path(path).read_bytes()
    found = _codes(
        *video_frames.decode_png(data, path, "write the file again"), path, label_space
    )
    if found.max() > label_space.max_code:
        problem = (
            f"code {found.max()} is beyond the label space's {label_space.max_code}"
        )
        raise InputError(f"{path}: {problem}; pass the --labels of the map")
    return found


def _codes(image, indices, path, label_space):
    """The codes of a PNG as `video_frames.decode_png` has it."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    colours, place = np.unique(
        image.view("<u4")[..., 0] & 0xFFFFFF, return_inverse=True
    )
    known = _codes_of_colours(label_space)
    codes = [known.get(colour) for colour in colours.tolist()]
    if None not in codes:
        return np.array(codes, label_space.code_dtype)[place].reshape(image.shape[:2])
    if indices is not None:
        return indices
    wrong = int(colours[codes.index(None)])
    colour = (wrong >> 16, wrong >> 8 & 255, wrong & 255)
    raise InputError(
        f"{path}: colour (R, G, B) = {colour} matches no code, or two codes"
    )


def _codes_of_colours(label_space):
    """Return {24-bit RGB: code}; a valid pair has a colour rather than others."""
    every = label_space.encode(*np.indices(label_space.valid.shape)).ravel()
    valid = [0, *label_space.codes]
    codes = [*np.setdiff1d(every, valid).tolist(), *valid]
    keys = (label_space.palette[codes].astype(np.int64) @ [1 << 16, 1 << 8, 1]).tolist()
    counts = collections.Counter(keys[-len(valid) :])
    return {key: code for key, code in zip(keys, codes) if counts[key] < 2}
