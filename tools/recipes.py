"""Zones, distances, time bins, groups and nearness from a library of predictions.

Copy this file beside your script; docs/recipes.md shows its use. It needs pandas alone.

A table has a row for each individual in each segmented frame: `video`, `individual`,
`frame`, `seconds` at which the frame begins, `lasts` seconds until the next segmented
frame, `actor`, `action`, the centre `x`, `y`, the size `w`, `h` of the box in pixels,
and `score`. A frame that missed the individual has no row. Bouts are those of
summary.csv.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = "video individual frame seconds lasts actor action x y w h score".split()
"""The names of the columns of a table."""


def boxes(library: str) -> pd.DataFrame:
    """Read the predictions of a library as a table.

    Args:
      library: path of the folder of the library.

    Returns:
      a table with `COLUMNS`, by video, track and frame.
    """
    # Other folders are of videos that were renamed or removed.
    videos = pd.read_csv(Path(library, "videos.csv"), dtype=str, na_filter=False).video
    rows: list[tuple] = []
    for video in sorted(videos):
        rows.extend(_boxes_of_video(Path(library, video)))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table[["x", "y"]] += table[["w", "h"]].to_numpy() / 2
    return table


def _boxes_of_video(folder: Path) -> Iterator[tuple]:
    video = json.loads((folder / "video.json").read_text())
    frames = sorted(int(path.stem) for path in folder.glob("label_maps/*.png"))
    lasts = np.diff(video["times"], append=video["until"])
    clock = dict(zip(frames, zip(video["times"], lasts)))
    for track in json.loads((folder / "tracks.json").read_text()):
        individual = f"{folder.name}_{track['track_id']}"
        labels = {}
        for label in track["actions"]:
            labels[label["category_id"]] = (label["actor"], label["action"])
        for row in track["frames"]:
            yield (
                folder.name,
                individual,
                row["frame"],
                *clock[row["frame"]],
                *labels[row["category_id"]],
                *row["bbox"],
                row["score"],
            )


def zone(table: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    """Return how long each individual was in a zone, and how often it entered.

    A track that begins inside counts as an entry.

    Args:
      table: the result of `boxes`.
      inside: for each row of the table whether it is in the zone.

    Returns:
      a table with the columns `seconds` and `entries`, a row for each individual.
    """
    before = inside.groupby(table.individual).shift(fill_value=False)
    rows = table.assign(seconds=table.lasts.where(inside, 0), entries=inside & ~before)
    return rows.groupby("individual")[["seconds", "entries"]].sum()


def walk(table: pd.DataFrame, pixels_per_cm: float, window: int = 5) -> pd.DataFrame:
    """Add the distance that individuals walked, and their speed, to a table.

    In gaps the individual is taken to walk straight.

    Args:
      table: the result of `boxes`.
      pixels_per_cm: scale of the videos.
      window: number of rows of the running median, which removes jumps.

    Returns:
      the table with the columns `cm`, since the row before, and `cm_per_s`.
    """
    by = table.groupby("individual")
    middle = by[["x", "y"]].transform(
        lambda places: places.rolling(window, 1, center=True).median()
    )
    step = middle.groupby(table.individual).diff()
    cm = np.hypot(step.x, step.y) / pixels_per_cm
    return table.assign(cm=cm, cm_per_s=cm / by.seconds.diff())


def bins(bouts: pd.DataFrame, width: float) -> pd.Series:
    """Return how long each individual did each action in bins of time.

    Bins after the end of a video are missing, not 0.

    Args:
      bouts: the table `summary.csv` of a library.
      width: width of a bin in seconds.

    Returns:
      seconds by individual, action and start of the bin.
    """
    parts = []
    for start in np.arange(0, bouts.video_seconds.max(), width):
        cut = bouts[["start_second", "end_second"]].clip(start, start + width)
        part = bouts.assign(bin=start, seconds=cut.end_second - cut.start_second)
        parts.append(part[part.video_seconds > start])
    return pd.concat(parts).groupby(["individual", "action", "bin"]).seconds.sum()


def permutation_test(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the p of an exact, two-sided permutation test of two groups' means.

    Args:
      one, other: the values of the two groups.
    """
    both = np.concatenate([one, other])
    gaps = [abs(np.mean(drawn) - both.mean()) for drawn in combinations(both, len(one))]
    return 1 - np.mean(np.array(gaps) < abs(np.mean(one) - both.mean()) - 1e-9)


def near(table: pd.DataFrame, pixels: float) -> pd.Series:
    """Return for how long pairs of individuals of a video were near each other.

    Args:
      table: the result of `boxes`.
      pixels: distance of the centres below which two are near.

    Returns:
      seconds by the names of both individuals.
    """
    pairs = table.merge(table, on=["video", "frame"], suffixes=("", "_2"))
    pairs = pairs[pairs.individual < pairs.individual_2]
    close = np.hypot(pairs.x - pairs.x_2, pairs.y - pairs.y_2) < pixels
    keys = [pairs.individual, pairs.individual_2]
    return pairs.lasts.where(close, 0).groupby(keys).sum()


def mend(
    table: pd.DataFrame, bouts: pd.DataFrame, names: Mapping[str, str], frame: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rename individuals from a frame on, to mend tracks that were swapped or broken.

    Args:
      table: the result of `boxes`.
      bouts: the table `summary.csv` of the library.
      names: {"a_1": "a_2", "a_2": "a_1"} to swap two, {"a_2": "a_1"} to merge them.
      frame: number of the first frame with the new names.

    Returns:
      the table and the bouts with the new names.
    """
    late = table.individual.isin(names) & (table.frame >= frame)
    second = round(table.seconds[late].min(), 3)
    renamed = table.individual.mask(late, table.individual.replace(names))
    table = table.assign(individual=renamed)
    assert not table.duplicated(["individual", "frame"]).any(), "both are in a frame"
    first = bouts.assign(end_second=bouts.end_second.clip(upper=second))
    last = bouts.assign(
        start_second=bouts.start_second.clip(lower=second),
        individual=bouts.individual.replace(names),
    )
    bouts = pd.concat([first, last]).query("start_second < end_second")
    return table.sort_values(["individual", "frame"]), bouts


def sums(bouts: pd.DataFrame) -> pd.DataFrame:
    """Return how long and how often each individual did each action.

    Args:
      bouts: the table `summary.csv` of a library.

    Returns:
      a table with the columns `seconds` and `bouts`, as in `time_budget.csv`, by video,
      individual, actor and action.
    """
    keys = ["video", "individual", "actor", "action"]
    bouts = bouts.sort_values([*keys, "start_second"])
    ends = bouts.groupby(keys).end_second.shift()  # touching bouts are one
    rows = bouts.assign(
        seconds=bouts.end_second - bouts.start_second, bouts=bouts.start_second != ends
    )
    return rows.groupby(keys)[["seconds", "bouts"]].sum()
