"""Segmentation metrics of Tables 1 and 3: one confusion matrix over the whole set of frames.

Background is a class for actors, actions and pairs alike. The actor and the action of a pixel are
the digits of its code, so a predicted pair that does not exist is a miss as a pair and still
counts for its actor and its action.
"""

from __future__ import annotations

import functools
import os
import pathlib

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import frames

_CODES = 65536  # of a 16-bit label map
_STEPS = {"1": 255, "L;2": 85, "L;4": 17}  # between the grey levels that OpenCV makes of few bits


class Confusion:
    """Pixel counts of (true code, predicted code), added up over frames."""

    def __init__(self, label_space: LabelSpace):
        self.label_space = label_space
        self._classes = np.array((0, *label_space.codes))
        self._row = np.full(_CODES, -1, np.int32)
        self._row[self._classes] = np.arange(len(self._classes))
        # A code above the last actor's is no class, yet its last digit is an action: it goes to
        # the column of that digit behind the actors.
        base, codes = label_space.base, np.arange(_CODES)
        beyond = base * (len(label_space.actors) + 1)
        self._column = np.where(codes < beyond, codes, beyond + codes % base)
        self._counts = np.zeros((len(self._classes), beyond + base), np.int64)

    def update(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Add one frame.

        Args:
          truth: integer codes [H, W], valid pairs or 0.
          predicted: integer codes [H, W], any.

        Raises:
          InputError: a map is no [H, W] array of 16-bit codes, the shapes differ, or the truth
            holds a code that is no valid pair.
        """
        truth, predicted = _codes(truth, "truth"), _codes(predicted, "prediction")
        if truth.shape != predicted.shape:
            raise InputError(
                f"label maps differ in size: truth is {truth.shape[0]}x{truth.shape[1]}, "
                f"prediction is {predicted.shape[0]}x{predicted.shape[1]} (height x width); "
                "both must be in native pixels"
            )
        self.add(*pairs(truth, predicted))

    def add(self, truth: np.ndarray, predicted: np.ndarray, pixels: np.ndarray) -> None:
        """Add the `pairs` of a frame; InputError where a true code is no valid pair."""
        rows = self._row[truth]
        if (rows < 0).any():
            code = truth[rows < 0][0]
            raise InputError(f"truth label map: code {code} is no valid pair of the label space")
        np.add.at(self._counts, (rows, self._column[predicted]), pixels)

    def merge(self, other: Confusion) -> None:
        """Add another confusion's counts; InputError where its label space differs."""
        if other.label_space != self.label_space:
            raise InputError("confusions of different label spaces cannot be merged")
        self._counts += other._counts

    def matrix(self, kind: str) -> np.ndarray:
        """Return the pixel counts int64 [C, C + 1], rows truth, columns prediction.

        The classes are in code order, background first. The last column counts predictions that
        are no class: pairs that do not exist, actors or actions beyond the last one.

        Args:
          kind: "actor", "action" or "joint".
        """
        row_actor, row_action = self.label_space.split(self._classes)
        actor, action = self.label_space.split(np.arange(self._counts.shape[1]))
        if kind == "joint":
            rows, size = np.arange(len(self._classes)), len(self._classes)
            columns = self._row[: self._counts.shape[1]]
        elif kind == "actor":
            rows, columns, size = row_actor, actor, len(self.label_space.actors) + 1
        elif kind == "action":
            rows, columns, size = row_action, action, len(self.label_space.actions) + 1
        else:
            raise ValueError(f"kind must be actor, action or joint, not {kind!r}")
        columns = np.where((columns < 0) | (columns >= size), size, columns)
        matrix = np.zeros((size, size + 1), np.int64)
        np.add.at(matrix, (rows[:, None], columns[None]), self._counts)
        return matrix

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return {"actor" | "action" | "joint": {"ave", "glo", "miou"}} in percent.

        ave is the mean over classes of correct / ground-truth pixels, glo correct / all pixels,
        mIoU the mean over classes of TP / (row + column - TP); both means run over the classes,
        background among them, that have ground-truth pixels.

        Raises:
          InputError: no pixel was counted.
        """
        if not self._counts.any():
            raise InputError("segmentation: no frame to score")
        return {
            kind: {name: float(value) for name, value in metrics_of(self.matrix(kind)).items()}
            for kind in ("actor", "action", "joint")
        }


def _codes(label_map, what):
    label_map = np.asarray(label_map)
    if label_map.ndim != 2 or label_map.dtype.kind not in "iu":
        raise InputError(f"{what} label map must be integer codes [height, width]")
    if label_map.dtype.itemsize > 2 or label_map.dtype.kind == "i":
        if label_map.size and not 0 <= label_map.min() <= label_map.max() < _CODES:
            raise InputError(f"{what} label map: codes must lie in 0..{_CODES - 1}")
    return label_map


def pairs(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the pairs of codes of two maps: (true, predicted, pixels), each int64 [n]."""
    width = int(predicted.max(initial=0)) + 1
    index = (truth.astype(np.int64) * width + predicted.astype(np.int64)).ravel()
    if (int(truth.max(initial=0)) + 1) * width <= 1 << 20:
        pixels = np.bincount(index)
        used = np.flatnonzero(pixels)
        pixels = pixels[used]
    else:
        used, pixels = np.unique(index, return_counts=True)
    return used // width, used % width, pixels


def metrics_of(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return {"ave", "glo", "miou"} in percent, [...] each.

    Args:
      matrix: [..., C, C + 1] as `Confusion.matrix` returns them.
    """
    correct = np.diagonal(matrix, axis1=-2, axis2=-1)
    truth, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)[..., :-1]
    present = truth > 0

    def mean(parts, wholes):
        ratios = np.divide(parts, wholes, out=np.zeros(parts.shape), where=present)
        return 100 * ratios.sum(axis=-1) / present.sum(axis=-1)

    return {
        "ave": mean(correct, truth),
        "glo": 100 * correct.sum(axis=-1) / truth.sum(axis=-1),
        "miou": mean(correct, truth + predicted - correct),
    }


def frames_of(folder: pathlib.Path) -> list[str]:
    """Return the frames of an evaluated split, `<VID>/<%05d>`, in order."""
    maps = folder / "label_truth"
    paths = sorted(path.relative_to(maps).with_suffix("") for path in maps.glob("*/*.png"))
    return [path.as_posix() for path in paths]


def read_maps(folder: pathlib.Path, frame: str, label_space: LabelSpace) -> list[np.ndarray]:
    """Read the label maps of a frame of an evaluated split: truth and prediction."""
    return [
        read_label_map(folder / kind / f"{frame}.png", label_space)
        for kind in ("label_truth", "label_maps")
    ]


def read_label_map(path: str | os.PathLike, label_space: LabelSpace) -> np.ndarray:
    """Read a label map from a PNG.

    Single-channel images hold codes, RGB images the label space's colours. A paletted image counts
    as RGB if all its pixels have known colours, and else its indices are the codes.

    Returns:
      Codes uint8 or uint16 [H, W].

    Raises:
      InputError: the file is missing, no whole PNG, larger than MAX_PIXELS, or has a colour that
        the label space does not know.
    """
    path = os.fspath(path)
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    header = frames.open_image(data, path, "write the file again")
    if header is None or header.format != "PNG":
        raise InputError(f"{path}: not a PNG, or damaged; label maps are PNG files")
    image = frames.decode_image(data, cv2.IMREAD_UNCHANGED, path, "write the file again")
    if image is None:
        raise InputError(f"{path}: damaged PNG; write the file again")
    layout = str(header.tile[0][3])  # such as "L;4" or "RGB;16B": channels, and bits where not 8
    if layout in ("RGB;16B", "RGBA;16B"):
        raise InputError(f"{path}: colours must have 8 bits a channel")
    if not layout.startswith(("RGB", "P")):  # greyscale, maybe with alpha
        grey = image if image.ndim == 2 else image[..., 0]
        return grey // _STEPS[layout] if layout in _STEPS else grey
    codes, unknown = _from_colours(image, label_space, path)
    if unknown is None:
        return codes
    if header.mode == "P":
        return np.array(header)
    raise InputError(f"{path}: colour (R, G, B) = {unknown} is not in the label space")


def _from_colours(image, label_space, path):
    """Codes [H, W] of BGR(A) uint8 [H, W, 3 | 4], and None; or None and an unknown (R, G, B)."""
    if image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    keys = image.view("<u4")[..., 0] & 0xFFFFFF
    table, codes = _colour_table(label_space)
    indices = table[keys]
    special = indices < 2
    if not special.any():
        return codes[indices], None
    key = int(keys[special][0])
    colour = (key >> 16, key >> 8 & 255, key & 255)
    if table[key] == 1:
        raise InputError(f"{path}: colour (R, G, B) = {colour} belongs to two codes")
    return None, colour


@functools.lru_cache(maxsize=1)
def _colour_table(label_space):
    """Look-up tables of every 24-bit RGB.

    Returns:
      (table uint16 [2^24]: 0 unknown, 1 of two codes, else an index into the codes; codes [K]).
    """
    known, shared = _palette_keys(label_space)
    table = np.zeros(1 << 24, np.uint16)
    table[list(known)] = np.arange(2, len(known) + 2)
    table[np.array(list(shared), int)] = 1
    return table, np.array([0, 0, *known.values()], label_space.code_dtype)


def _palette_keys(label_space):
    """{24-bit RGB: code} of all pairs, and the set of colours that two valid codes share."""
    known, shared, valid = {}, set(), {0, *label_space.codes}
    actors, actions = np.indices((len(label_space.actors), len(label_space.actions)))
    for code in (0, *label_space.encode(actors, actions).ravel().tolist()):
        red, green, blue = label_space.palette[code].tolist()
        key = red << 16 | green << 8 | blue
        if known.get(key) in valid and code in valid:
            shared.add(key)
        if known.get(key) not in valid:
            known[key] = code
    return known, shared
