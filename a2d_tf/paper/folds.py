"""Folds of the videos: each fold is the test split of runs of its own."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.files import is_file_name, read_text, write_csv


class Fold(NamedTuple):
    """A fold of a reproduction.

    Attributes:
      workdir: the folder of the reproduction.
      name: the name of the fold; "" for the data set's own test split.
    """

    workdir: str
    name: str = ""

    @property
    def folder(self) -> str:
        """The folder of its records and runs."""
        name = f"fold_{self.name}" if self.name else ""
        return os.path.join(self.workdir, name)

    @property
    def records(self) -> str:
        """The folder of its records, in which this fold is the test split."""
        return os.path.join(self.folder, "records")


def test_videos_flag(videos: Iterable[str]) -> str:
    """Return the flag of `a2d records` that makes some videos the test split."""
    names = []
    for video in videos:
        names.append(f'"{video}"' if "," in video else video)
    return f"--test_videos={','.join(names)}"


def write_folds(path: str | os.PathLike, folds: Mapping[str, Iterable[str]]) -> None:
    """Write folds as a CSV that `read_folds` reads.

    Args:
      folds: {name of a fold: its videos}.
    """
    rows = [("video", "fold")]
    for fold, videos in folds.items():
        rows.extend((video, fold) for video in videos)
    write_csv(path, rows)


def read_folds(path: str, tested: Sequence[str] = ()) -> dict[str, list[str]]:
    """Read folds from a CSV with the columns video and fold.

    Args:
      path: the CSV.
      tested: the names of folds that it must contain.

    Returns:
      {name of a fold: its videos}.

    Raises:
      InputError: the file cannot be read, a column or a fold of `tested` is missing, or
        a video has two rows.
    """
    folds: dict[str, list[str]] = {}
    videos = set()
    try:
        for row in csv.DictReader(read_text(path).splitlines()):
            fold = (row.get("fold") or "").strip()
            video = (row.get("video") or "").strip()
            if video in videos:
                raise ValueError(f"{quoted(video)} is there twice")
            videos.add(video)
            folds.setdefault(fold, []).append(video)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"--folds={path}: {error}; expected a CSV, a row a video"
        ) from error
    all_listed = set(tested) <= set(folds)
    if not folds or not all_listed or not all(map(is_file_name, folds)):
        names = join_names([quoted(fold) for fold in folds])
        raise InputError(
            f"--folds={path}: has the folds {names}; use a CSV with the columns video"
            " and fold, and --test_folds from its folds"
        )
    return folds
