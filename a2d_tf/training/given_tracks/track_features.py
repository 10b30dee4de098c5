"""What is kept of the given tracks of a video: pooled features of their instances.

They are some 10 kB an instance, so that a fit to more coded times needs no video.
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
      digest: of what they depend on.
      seconds: how long each answered frame stands for.
      numbers: int32 [N], 1-based, of the frames; ascending.
      tracks: int64 [N], the numbers of the tracks.
      groups: {name: float16 [N, 2 D]}, as `ReadoutInstances.features`.
    """

    digest: str
    seconds: float
    numbers: np.ndarray
    tracks: np.ndarray
    groups: dict[str, np.ndarray]

    def rows(self, number: int, tracks: np.ndarray) -> np.ndarray:
        """Return the rows of the instances of a frame, in the order of their tracks."""
        first, end = np.searchsorted(self.numbers, [number, number + 1])
        row_of = {int(self.tracks[row]): row for row in range(first, end)}
        return np.array([row_of[int(track)] for track in tracks], int)

    def write(self, path: str | os.PathLike) -> None:
        """Write them as a file, whole or not at all."""
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
    """Read a file of `TrackFeatures.write`; None if there is none of this digest.

    A damaged file counts as none.
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
