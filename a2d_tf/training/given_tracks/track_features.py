"""The features that are kept of a video's given tracks, pooled in their instances.

They take some 10 kB an instance. With them, labels are fitted again, to more coded
times, without decoding the video.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from a2d_tf.core import files
from a2d_tf.core.errors import InputError

_GROUP = "group_"  # begins the names of the groups of features in a file


@dataclasses.dataclass(frozen=True)
class TrackFeatures:
    """The features of the N instances in the answered frames of a video.

    Attributes:
      digest: digest of all that the features depend on, such as the video, the tracks
        and the weights.
      seconds: seconds of the video that each answered frame stands for.
      numbers: int32 [N], the 1-based number of each instance's frame; ascending.
      tracks: int64 [N], the number of each instance's track.
      groups: {group of features: float16 [N, 2 D]}, the means over the upper half of
        the instance's box, then over the lower half; the groups are the appearance and
        the kinds of motion maps, as in `ReadoutInstances.features`.
    """

    digest: str
    seconds: float
    numbers: np.ndarray
    tracks: np.ndarray
    groups: dict[str, np.ndarray]

    def rows(self, number: int, tracks: np.ndarray) -> np.ndarray:
        """Return the rows of some instances of a frame.

        Args:
          number: 1-based number of the frame.
          tracks: int [n], the numbers of the instances' tracks.

        Returns:
          int [n], the row of each instance in the arrays of this object, in the order
          of `tracks`.

        Raises:
          KeyError: the frame has no features of one of these tracks.
        """
        first, end = np.searchsorted(self.numbers, [number, number + 1])
        row_of = {int(self.tracks[row]): row for row in range(first, end)}
        return np.array([row_of[int(track)] for track in tracks], int)

    def write(self, path: str | os.PathLike) -> None:
        """Write the features as an .npz file, whole or not at all; `read` reads it."""
        arrays = {f"{_GROUP}{name}": values for name, values in self.groups.items()}
        files.write_file(
            path,
            lambda file: np.savez(
                file,
                digest=self.digest,
                seconds=self.seconds,
                numbers=self.numbers,
                tracks=self.tracks,
                **arrays,
            ),
        )


def read(path: str | os.PathLike, digest: str) -> TrackFeatures | None:
    """Read the features that `TrackFeatures.write` has written.

    Args:
      path: the file.
      digest: the digest that its features should have.

    Returns:
      the features; None if the file is missing, damaged or has another digest.
    """
    if not os.path.exists(path):
        return None
    try:
        stored = files.read_npz(path)
        if str(stored["digest"]) != digest:
            return None
        groups = {}
        for name, values in stored.items():
            if name.startswith(_GROUP):
                groups[name[len(_GROUP) :]] = values
        return TrackFeatures(
            digest=digest,
            seconds=float(stored["seconds"]),
            numbers=stored["numbers"],
            tracks=stored["tracks"],
            groups=groups,
        )
    except (InputError, *files.UNREADABLE):
        return None
