"""Label maps as files: PNGs of codes, or in the colours of the label space."""

from __future__ import annotations

import collections
import os
import pathlib
from typing import NamedTuple

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_bytes
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.decoding import image_files

TRACK_MAPS = "track_maps"
"""In a folder of scores: label maps of tracks, `<VID>/<%05d>.png`, as `a2d score
objects` writes them.
"""


def frames_of(folder: pathlib.Path) -> list[str]:
    """Return the names of the frames that have a true label map, in order.

    Args:
      folder: a folder of scores; the true label maps are in `label_truth/`.

    Returns:
      names `<VID>/<frame>`, such as "clip1/00012".
    """
    maps = folder / "label_truth"
    frames = []
    for path in maps.glob("*/*.png"):
        frames.append(path.relative_to(maps).with_suffix(""))
    return [frame.as_posix() for frame in sorted(frames)]


class LabelMaps(NamedTuple):
    """The two label maps of a frame.

    Attributes:
      truth: integers [H, W], the code of the true actor and action of each pixel; 0 for
        background.
      prediction: integers [H, W], the predicted codes, likewise.
    """

    truth: np.ndarray
    prediction: np.ndarray


def write_maps(
    folder: pathlib.Path,
    frame: str,
    *,
    truth: np.ndarray | None,
    prediction: np.ndarray,
) -> None:
    """Write the label maps of a frame into a folder of scores.

    The files are `label_maps/<VID>/<frame>.png` and `label_truth/<VID>/<frame>.png`.

    Args:
      folder: the folder of scores.
      frame: name of the frame, `<VID>/<frame>`.
      truth: true codes, uint8 or uint16 [H, W]; None writes no file, because not every
        instance has a mask.
      prediction: predicted codes, uint8 or uint16 [H, W].
    """
    write_png(folder / "label_maps" / f"{frame}.png", prediction)
    if truth is not None:
        write_png(folder / "label_truth" / f"{frame}.png", truth)


def read_maps(folder: pathlib.Path, frame: str, label_space: LabelSpace) -> LabelMaps:
    """Read the label maps of a frame from a folder of scores, as `write_maps` wrote it.

    Args:
      folder: the folder of scores.
      frame: name of the frame, `<VID>/<frame>`.
      label_space: the label space of the codes.

    Raises:
      InputError: a map is damaged, or holds a code beyond the label space.
      OSError: a map is missing.
    """
    return LabelMaps(
        truth=read_label_map(folder / "label_truth" / f"{frame}.png", label_space),
        prediction=read_label_map(folder / "label_maps" / f"{frame}.png", label_space),
    )


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image as a PNG, whole or not at all.

    Args:
      path: the file.
      image: uint8 or uint16 [H, W], or [H, W, 3] in the order blue, green, red.

    Raises:
      InputError: the file cannot be written.
    """
    write_bytes(path, cv2.imencode(".png", image)[1].tobytes())


def read_label_map(path: str | os.PathLike, label_space: LabelSpace) -> np.ndarray:
    """Read a label map from a PNG, this package's or that of another tool.

    A grey image holds codes, an RGB image the label space's colours. A paletted image
    counts as RGB if all its pixels have known colours; else its indices are the codes.

    Args:
      path: the PNG.
      label_space: says which codes and colours there are.

    Returns:
      the code of each pixel, uint8 or uint16 [H, W].

    Raises:
      InputError: the file is no whole PNG or is larger than MAX_PIXELS, or a colour or
        a code is not in the label space.
      OSError: the file cannot be read.
    """
    data = pathlib.Path(path).read_bytes()
    image, indices = image_files.decode_png(data, path, "write the file again")
    codes = _codes(image, indices, path, label_space)
    if codes.max() > label_space.max_code:
        problem = (
            f"code {codes.max()} is beyond the label space's {label_space.max_code}"
        )
        raise InputError(f"{path}: {problem}; pass the --labels of the map")
    return codes


def _codes(
    image: np.ndarray,
    indices: np.ndarray | None,
    path: str | os.PathLike,
    label_space: LabelSpace,
) -> np.ndarray:
    """Return the code of each pixel of a PNG.

    Args:
      image: the decoded image, [H, W], or [H, W, 3 or 4] in the order blue, green, red.
      indices: [H, W], the indices of a paletted image; None for another image.
      path: the file, for messages.
      label_space: says which codes and colours there are.
    """
    if image.ndim == 2:
        return image
    if image.dtype != np.uint8:
        raise InputError(f"{path}: {8 * image.itemsize} bits a colour; write 8")
    if image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    colours, colour_of_pixel = np.unique(
        image.view("<u4")[..., 0] & 0xFFFFFF, return_inverse=True
    )
    code_of_colour = _codes_of_colours(label_space)
    codes = [code_of_colour.get(colour) for colour in colours.tolist()]
    if None not in codes:
        dtype = label_space.code_dtype
        return np.array(codes, dtype)[colour_of_pixel].reshape(image.shape[:2])
    if indices is not None:
        return indices
    wrong = int(colours[codes.index(None)])
    colour = (wrong >> 16, wrong >> 8 & 255, wrong & 255)
    raise InputError(
        f"{path}: colour (R, G, B) = {colour} matches no code, or two codes"
    )


def _codes_of_colours(label_space: LabelSpace) -> dict[int, int]:
    """Return the code of each colour of a label space: {24-bit RGB: code}.

    If one valid pair and some invalid pairs have a colour, it stands for the valid one.
    A colour of two valid pairs is left out.
    """
    all_codes = label_space.encode(*np.indices(label_space.valid.shape)).ravel()
    valid = [0, *label_space.codes]
    # The valid codes come last, so that they win.
    codes = [*np.setdiff1d(all_codes, valid).tolist(), *valid]
    palette = label_space.palette[codes].astype(np.int64)
    colours = (palette @ [1 << 16, 1 << 8, 1]).tolist()
    counts = collections.Counter(colours[-len(valid) :])
    code_of_colour = {}
    for colour, code in zip(colours, codes):
        if counts[colour] < 2:
            code_of_colour[colour] = code
    return code_of_colour
