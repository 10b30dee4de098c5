"""An A2D release on disk: the list of videos, the frames, the annotations.

The layout is that of the published data set (Xu et al., CVPR 2015), and of users' data that follow
it: `videoset.csv`, `clips320H/<VID>.mp4`, `Annotations/mat/<VID>/<%05d>.mat`. Frame numbers are
1-based everywhere: `00030.mat` belongs to the 30th decoded frame.
"""

import csv
import dataclasses
import os
import pathlib
import re

# OpenCV's own complaints would bury the one clear message; it reads these when it is imported.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import h5py
import numpy as np

from a2d_tf.errors import InputError
from a2d_tf.labels import A2D

_COLUMNS = ("vid", "label", "start", "end", "height", "width", "frames", "annotated", "usage")
_NUMBERS = ("label", "height", "width", "frames", "annotated", "usage")
_MAX_INSTANCES = 1000  # A2D's most is 19; a larger claim is a damaged file, not worth the memory


@dataclasses.dataclass(frozen=True)
class Video:
    """One row of `videoset.csv`; `usage` is 0 for train and 1 for test."""

    vid: str
    label: int
    start: str
    end: str
    height: int
    width: int
    frames: int
    annotated: int
    usage: int


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The truth of one frame, at the size of the video.

    Attributes:
      label_map: codes [H, W], in the label space's `code_dtype`; 0 is background.
      masks: bool [N, H, W], one mask per instance; they may overlap.
      codes: int32 [N].
      boxes: float32 [N, 4], y1, x1, y2, x2, pixels, 0-based half-open, inside the frame.
    """

    label_map: np.ndarray
    masks: np.ndarray
    codes: np.ndarray
    boxes: np.ndarray


class Release:
    """Reads a release; whatever is broken raises an InputError that names file and field.

    Attributes:
      root: the folder that holds `videoset.csv`.
      label_space: what the codes of the annotations mean.
      videos: tuple of `Video`, in the order of `videoset.csv`.
    """

    def __init__(self, root, label_space=A2D):
        self.root = pathlib.Path(root)
        self.label_space = label_space
        self.videos = _read_videoset(self.root / "videoset.csv")
        self._videos = {video.vid: video for video in self.videos}

    def video_path(self, vid):
        return self.root / "clips320H" / f"{vid}.mp4"

    def annotation_folder(self, vid):
        return self.root / "Annotations" / "mat" / vid

    def annotation_path(self, vid, frame):
        return self.annotation_folder(vid) / f"{frame:05d}.mat"

    def split(self, video):
        """'train' or 'test'."""
        return "test" if video.usage else "train"

    def annotated_frames(self, vid):
        """The annotated frames of a video: ascending tuple of 1-based frame numbers."""
        folder = self.annotation_folder(vid)
        names = [path.name for path in folder.glob("*.mat") if not path.name.startswith(".")]
        for name in names:
            if not re.fullmatch(r"\d{5}\.mat", name) or name == "00000.mat":
                raise InputError(
                    f"{folder / name}: annotations are named by their 1-based frame, such as "
                    "00001.mat; rename or remove it"
                )
        if not names and self._videos[vid].annotated:
            raise InputError(
                f"{folder}: no annotation here, yet videoset.csv says "
                f"{self._videos[vid].annotated}; restore the folder or set 'annotated' to 0"
            )
        frames = tuple(sorted(int(name[:5]) for name in names))
        if frames and frames[-1] > self._videos[vid].frames:
            raise InputError(
                f"{self.annotation_path(vid, frames[-1])}: annotates frame {frames[-1]}, but "
                f"videoset.csv gives the video {self._videos[vid].frames}; correct 'frames' there"
            )
        return frames

    def read_annotation(self, vid, frame, size=None):
        """Read one `.mat` (MATLAB v7.3, that is HDF5, where every array is transposed).

        Args:
          vid: the video.
          frame: 1-based frame number.
          size: (height, width) of the decoded frames; by default what `videoset.csv` says.

        Returns:
          An `Annotation`.
        """
        video = self._videos[vid]
        path = self.annotation_path(vid, frame)
        if not path.is_file():
            raise InputError(f"{path}: no such file; restore it from the release")
        try:
            with h5py.File(path, "r") as file:
                mat = _Mat(path, file, size or (video.height, video.width))
                return mat.annotation(self.label_space)
        except (OSError, RuntimeError, KeyError) as error:
            raise InputError(
                f"{path}: not a readable HDF5 file; save it again from MATLAB with -v7.3, or "
                f"restore it from the release ({error})"
            ) from error

    def read_frames(self, vid, frames):
        """Decode the wanted frames in one pass that stops after the last of them.

        Args:
          vid: the video.
          frames: 1-based frame numbers, in any order.

        Yields:
          (frame number, RGB uint8 [H, W, 3]), ascending.
        """
        wanted = sorted(set(frames))
        path = self.video_path(vid)
        if not path.is_file():
            raise InputError(f"{path}: no such video; restore it, or remove it from videoset.csv")
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        try:
            if not capture.isOpened():
                raise InputError(
                    f"{path}: cannot be decoded (truncated, or no video); restore it from the "
                    "release or re-encode it"
                )
            position = 0
            for frame in wanted:
                picture = None
                while position < frame and capture.grab():
                    position += 1
                if position == frame:
                    _, picture = capture.retrieve()
                if picture is None:
                    raise InputError(
                        f"{path}: decoding ends after {position} frames, but frame {frame} is "
                        f"wanted (videoset.csv says {self._videos[vid].frames}); the file is "
                        "truncated or 'frames' is wrong: restore it"
                    )
                yield frame, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()


def _read_videoset(path):
    """The rows of videoset.csv as a tuple of Video."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file; --release must name the folder with videoset.csv, clips320H "
            "and Annotations"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from error
    # The published list has no header line; some copies of it do.
    if rows and not any(re.fullmatch(r"\s*-?\d+\s*", cell) for cell in rows[0][1][4:]):
        rows = rows[1:]
    if not rows:
        raise InputError(f"{path}: lists no video; restore it from the release")
    videos, seen = [], {}
    for number, row in rows:
        video = _parse_row(f"{path}, line {number}", row)
        if video.vid in seen:
            raise InputError(
                f"{path}, line {number}: vid '{video.vid}' is also on line {seen[video.vid]}; "
                "remove one of them"
            )
        seen[video.vid] = number
        videos.append(video)
    return tuple(videos)


def _parse_row(where, row):
    """One Video from the cells of a row; `where` starts each message."""
    if len(row) != len(_COLUMNS):
        raise InputError(
            f"{where}: {len(row)} columns instead of {len(_COLUMNS)} ({','.join(_COLUMNS)})"
        )
    fields = {column: cell.strip() for column, cell in zip(_COLUMNS, row)}
    vid = fields["vid"]
    # The VID becomes part of paths, here and in every output folder.
    if not vid or vid in (".", "..") or re.search(r"[/\\\x00-\x1f]", vid):
        raise InputError(f"{where}: vid {vid!r} cannot be a file name; rename the video")
    for column in _NUMBERS:
        if not re.fullmatch(r"\d{1,9}", fields[column]):
            raise InputError(f"{where}: {column} '{fields[column]}' is not a whole number")
        fields[column] = int(fields[column])
    for column in ("height", "width", "frames"):
        if fields[column] == 0:
            raise InputError(f"{where}: {column} is 0; give the video's own")
    if fields["usage"] not in (0, 1):
        raise InputError(f"{where}: usage {fields['usage']} is neither 0 (train) nor 1 (test)")
    return Video(**fields)


class _Mat:
    """An open annotation file, of a frame of `size` (height, width)."""

    def __init__(self, path, file, size):
        self._path, self._file, self._size = path, file, size

    def annotation(self, label_space):
        """The file's `Annotation`."""
        height, width = self._size
        count = int(np.prod(self._shape("id")))
        if count > _MAX_INSTANCES:
            raise self._error("id", f"claims {count} instances, more than {_MAX_INSTANCES}")
        codes = self._read("id", count, (1, count), (count, 1), (count,)).reshape(count)
        self._check_codes("id", codes, label_space.codes)

        label_map = self._read("reS_id", count, (width, height)).T
        self._check_codes("reS_id", label_map, (0, *label_space.codes))

        # MATLAB drops a last dimension of one, so a single mask comes without its N axis.
        squeezed = [(width, height)] if count == 1 else []
        masks = self._read("reMask", count, (count, width, height), *squeezed)
        masks = masks.reshape(count, width, height).transpose(0, 2, 1) != 0
        for i in np.flatnonzero(~masks.any(axis=(1, 2))):
            raise self._error("reMask", f"the mask of instance {i + 1} is empty")

        corners = self._read("reBBox", count, (4, count)).T
        return Annotation(
            np.ascontiguousarray(label_map, label_space.code_dtype),
            np.ascontiguousarray(masks),
            codes.astype(np.int32),
            self._boxes(corners),
        )

    def _error(self, field, problem):
        return InputError(
            f"{self._path}: '{field}': {problem}; mend the file or restore it from the release"
        )

    def _shape(self, field):
        data = self._file.get(field)
        if data is None:
            raise self._error(field, "field missing")
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "buif":
            raise self._error(field, "not an array of numbers")
        # MATLAB writes an empty array as the list of its dimensions, marked by this attribute.
        return (0,) if data.attrs.get("MATLAB_empty", 0) else data.shape

    def _read(self, field, count, *shapes):
        """The array, only if its claimed shape is one of `shapes`; the first is the usual one."""
        shape = self._shape(field)
        if 0 in shapes[0] and 0 in shape:
            return np.zeros(shapes[0])
        if shape not in shapes:
            raise self._error(
                field,
                f"has HDF5 shape {shape}, not {shapes[0]} as {count} instances ('id') in a frame "
                f"of width {self._size[1]} and height {self._size[0]} need",
            )
        try:
            return self._file[field][()]
        except (OSError, RuntimeError) as error:
            raise self._error(field, f"cannot be read ({error})") from error

    def _check_codes(self, field, codes, known):
        unknown = codes[~np.isin(codes, known)]
        if unknown.size:
            raise self._error(
                field, f"code {unknown.flat[0]:g} is not in the label space (see --labels)"
            )

    def _boxes(self, corners):
        """Half-open boxes, cut to the frame, from 1-based inclusive x1, y1, x2, y2."""
        height, width = self._size
        if not np.isfinite(corners).all():
            raise self._error("reBBox", "a corner is not finite")
        x1, y1, x2, y2 = corners.astype(np.float64).T
        boxes = np.stack([y1 - 1, x1 - 1, y2, x2], axis=1)
        boxes = np.clip(boxes, 0, [height, width, height, width]).astype(np.float32)
        for i in np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1)):
            raise self._error(
                "reBBox",
                f"box {corners[i].tolist()} (x1, y1, x2, y2) of instance {i + 1} leaves nothing "
                f"inside the frame of width {width} and height {height}",
            )
        return boxes
