"""Divide the annotated videos into folds, for the cross-validation of a2d start."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Mapping

from a2d_tf.annotations.selection.split import folds_by_pairs
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.paper.folds import read_folds, write_folds

FILE = "videos.csv"
"""Name of the CSV, in the folder of the folds, that says which video is in which."""


def count(folds: str) -> int:
    """Return the number of folds that `choose` will make.

    Args:
      folds: the value of --folds: a number, or the path of a CSV of video and fold.
    """
    if folds.isdecimal():
        return int(folds)
    return len(read_folds(folds))


def choose(
    folds: str, videos_of_pairs: Mapping[str, Collection[str]], folder: pathlib.Path
) -> dict[str, list[str]]:
    """Divide the annotated videos into folds, and write them to the CSV FILE.

    Args:
      folds: the value of --folds: a number, or the path of a CSV with the columns video
        and fold.
      videos_of_pairs: {actor-action pair: the annotated videos that show it}; a number
        of folds is made so that each pair is spread over them.
      folder: the folder in which FILE is written.

    Returns:
      {name of a fold: its videos}.

    Raises:
      InputError: there are fewer than two folds or more folds than videos, or the CSV
        cannot be read or lists a video without annotations.
    """
    annotated: set[str] = set()
    for videos in videos_of_pairs.values():
        annotated.update(videos)
    if folds.isdecimal():
        number = int(folds)
        if not 2 <= number <= len(annotated):
            raise InputError(
                f"--folds={folds}: {len(annotated)} videos are annotated; use 2 to"
                f" {len(annotated)} folds"
            )
        sets = [set(videos) for videos in videos_of_pairs.values()]
        chosen = folds_by_pairs(sets, number)
    else:
        chosen = read_folds(folds)
        listed = {video for videos in chosen.values() for video in videos}
        unknown = sorted(listed - annotated)
        if unknown:
            raise InputError(
                f"--folds={folds}: nobody annotated {join_names(unknown, 3)}; list"
                " annotated videos only"
            )
        if len(chosen) < 2:
            raise InputError(f"--folds={folds}: has one fold; use two or more")
    write_folds(folder / FILE, chosen)
    return chosen
