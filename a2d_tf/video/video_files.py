"""Read and write video with OpenCV, as RGB frames."""

from __future__ import annotations

import itertools
import math
import os
import pathlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.sources import frames

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
DEFAULT_FPS = 25.0
# There is a cut between two frames where the distance of their colours is above the first and the
# correlation of their grey levels below the second. Brighter light changes the first alone, motion
# the second. In ten clips of A2D this holds for no two frames up to 15 apart, nor for a frame and
# itself 1.5 times as bright; and for 98 % of the pairs of one clip's end and another's beginning.
CUT_COLOURS, CUT_LEVELS = 0.4, 0.7
CUT_REACH = 15  # frames; further apart, motion alone may look like a cut


class Reader:
    """Reader of a video file, of a folder of images (in the order of their names), or of a camera.

    Iterate once: RGB uint8 [H, W, 3], all of one size; frames of a video that change their size are
    resized to that of the first.

    Args:
      path: file or folder; or digits that name no file, the index of a camera, which ends only
        when it is unplugged.

    Attributes:
      size: (height, width).
      fps: frames a second; 25 where the source does not say.
      count: how many frames the source claims to have, or None.
      length: how many frames it has; None until that is known.
      name: name of the file or folder, or the index of the camera.
      images: names of the images of a folder; None for another source.

    Raises:
      InputError: no such file or camera, not one frame in it, a frame that is too large, or an
        image that is unreadable or of another size.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._path = pathlib.Path(path)
        self.fps, self.count = DEFAULT_FPS, None
        self.length: int | None = None
        self.name = os.path.basename(os.path.abspath(path))
        self.images: tuple[str, ...] | None = None
        self._is_needed: Callable[[int], bool] = _always
        remedy = "re-encode it"
        if self._path.is_dir():
            self._frames = self._images()
        elif self._path.exists():
            self._frames = self._decoded(self._path, remedy)
        elif str(path).isdigit():
            remedy = "give the index of a camera that works and is not in use, or a file"
            self._frames = self._decoded(int(str(path)), remedy)
        else:
            raise InputError(
                f"{path}: no such video; --video names a file, a folder of images or a camera (0)"
            )
        self._first = next(self._frames, None)
        if self._first is None:
            raise InputError(f"{path}: not one frame can be decoded; {remedy}")
        self.size = self._first.shape[:2]

    def __iter__(self) -> Iterator[np.ndarray | None]:
        return self.frames()

    def frames(self, is_needed: Callable[[int], bool] | None = None) -> Iterator[np.ndarray | None]:
        """Iterate, with None in place of the frames that are not needed, which costs less.

        Args:
          is_needed: 0-based index of a frame -> bool; by default all are.
        """
        self._is_needed = is_needed or _always
        yield self._first if self._is_needed(0) else None
        yield from self._frames

    def _decoded(self, source, remedy):
        with frames.Capture(source, remedy) as capture:
            fps, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
            # Streams of variable rate claim 0 or the tick of their clock, 600 or more a second.
            self.fps = fps if 0.01 <= fps < 600 else DEFAULT_FPS
            self.count = int(count) if math.isfinite(count) and count >= 1 else None
            size = None
            for index in itertools.count():
                if not capture.grab():
                    self.length = index
                    return
                if not self._is_needed(index):
                    yield None
                    continue
                frame = capture.retrieve()
                if frame is None:
                    self.length = index
                    return
                size = size or frame.shape[1::-1]
                if frame.shape[1::-1] != size:
                    frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def _images(self):
        paths = frames.files(self._path, IMAGES)
        if not paths:
            raise InputError(f"{self._path}: no image in this folder ({', '.join(IMAGES)})")
        self.count = self.length = len(paths)
        self.images, size = tuple(path.name for path in paths), None
        for index, path in enumerate(paths):
            if not self._is_needed(index):
                yield None
                continue
            frame = frames.read_image(path, "remove or replace it")
            size = size or frame.shape[:2]
            if frame.shape[:2] != size:
                raise InputError(
                    f"{path}: {frame.shape[0]}x{frame.shape[1]} pixels, but the images before it "
                    f"{size[0]}x{size[1]}; the frames of a video are of one size"
                )
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _always(index):
    return True


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a film was cut between two frames, RGB uint8 [H, W, 3], at most CUT_REACH apart.

    A cut between views of one place may go unseen, and in a film without colours most do (58 % of
    those between ten clips of A2D).
    """
    small = [cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in (before, after)]
    colours = [cv2.calcHist([frame], [0, 1, 2], None, [8] * 3, [0, 256] * 3) for frame in small]
    if cv2.compareHist(colours[0], colours[1], cv2.HISTCMP_BHATTACHARYYA) <= CUT_COLOURS:
        return False
    levels = [np.float64(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in small]
    deviations = [each - each.mean() for each in levels]
    spread = np.prod([np.sqrt((each**2).mean()) for each in deviations])
    if spread < 4**2:  # hardly more than noise: there is nothing to correlate
        return bool(abs(levels[0].mean() - levels[1].mean()) > 64)
    return bool((deviations[0] * deviations[1]).mean() < CUT_LEVELS * spread)


class Writer:
    """Writer of VP9 in mp4, which browsers play; the file is playable once `close` was called.

    VP9 takes even sides only: the last row or column of an odd frame is repeated. The rate is at
    least a frame in ten seconds, since OpenCV rounds it to thousandths of a frame a second.

    Raises:
      InputError: OpenCV cannot write there.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float, size: tuple[int, int]):
        height, width = size
        self._padding = (height % 2, width % 2)
        even = (width + self._padding[1], height + self._padding[0])
        codec = cv2.VideoWriter.fourcc(*"vp09")
        self._writer = cv2.VideoWriter(str(path), codec, max(fps, 0.1), even)
        if not self._writer.isOpened():
            raise InputError(f"{path}: OpenCV cannot write VP9 video; install opencv-python by pip")

    def write(self, frame: np.ndarray) -> None:
        """Append an RGB frame, uint8 [height, width, 3]."""
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        if any(self._padding):
            rows, columns = self._padding
            frame = cv2.copyMakeBorder(frame, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        self._writer.write(frame)

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
