"""A learning curve: how well unseen videos are labelled, by the number of known ones.

Known videos are those that a training or a fit learned from.
"""

from __future__ import annotations

import os
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from a2d_tf.core.files import cell_number, read_csv, write_bytes, write_csv
from a2d_tf.evaluation.own_labels.fold_scores import MEAN, FoldScores

TABLE = "learning_curve.csv"
"""The file with the points of a curve."""
PICTURE = "learning_curve.png"
"""The file with the picture of a curve."""
_LITTLE = 3.0  # points of F1 that chance makes
_COLUMNS = ("point", "videos", "behaviour", "f1")
_REMEDY = "delete it; a2d start with the same flags writes it again"


class Axes(NamedTuple):
    """The title and the axes of the picture of a learning curve.

    Attributes:
      title: the title of the picture.
      x: the text at the horizontal axis, which has the numbers of videos.
      y: the text at the vertical axis, which has the percentages.
      in_rounds: whether the points are rounds of `a2d start` one after another, two of
        which may know equally many videos; they stand at equal distances then.
    """

    title: str
    x: str
    y: str
    in_rounds: bool = False


OF_CODED_VIDEOS = Axes(
    title="Do more coded videos help?",
    x="coded videos that are learned from",
    y="F1 in videos left out, %",
)
OF_ROUNDS = Axes(
    title="Found in videos held out, round by round",
    x="rounds, with the annotated videos that each learned from",
    y="F1 of objects in videos held out, %",
    in_rounds=True,
)


class Point(NamedTuple):
    """A point of a learning curve: the F1 after learning from a number of videos.

    Attributes:
      videos: the number of videos that were learned from.
      f1: {name of a behaviour: F1 in unseen videos, percent}; perhaps also "mean", the
        mean over behaviours.
    """

    videos: int
    f1: Mapping[str, float]


def points_of_fits(scores: Mapping[int, FoldScores]) -> list[Point]:
    """Return the points of a curve over the number of coded videos.

    Args:
      scores: {number of coded videos: the scores of all videos, when labels of each are
        fitted to this number of other ones}.
    """
    points = []
    for number, of_number in sorted(scores.items()):
        f1 = {}
        for behaviour, figures in of_number.figures().items():
            if figures.f1 is not None:
                f1[behaviour] = figures.f1
        points.append(Point(number, f1))
    return points


def with_means(points: Sequence[Point]) -> list[Point]:
    """Add to each point the mean F1 over the behaviours that all points have.

    Args:
      points: one point or more; a "mean" that a point has is replaced.
    """
    common = set.intersection(*(set(point.f1) - {MEAN} for point in points))
    result = []
    for point in points:
        f1 = {name: value for name, value in point.f1.items() if name != MEAN}
        if common:
            f1[MEAN] = statistics.fmean(f1[name] for name in common)
        result.append(point._replace(f1=f1))
    return result


def read(folder: str | os.PathLike) -> list[Point]:
    """Read the points of the curve from `learning_curve.csv` in a folder.

    Returns:
      the points in order; none if there is no such file.

    Raises:
      InputError: the file is damaged.
    """
    path = pathlib.Path(folder, TABLE)
    if not path.is_file():
        return []
    points: dict[str, Point] = {}
    for number, videos, behaviour, f1 in read_csv(path, _REMEDY):
        video_count = int(cell_number(videos, path, "videos", _REMEDY))
        percent = cell_number(f1, path, "f1", _REMEDY)
        point = points.setdefault(number, Point(video_count, {}))
        points[number] = point._replace(f1={**point.f1, behaviour: percent})
    return list(points.values())


def write(folder: str | os.PathLike, points: Sequence[Point], axes: Axes) -> None:
    """Write `learning_curve.csv` and `learning_curve.png` into a folder.

    With fewer than two points both files are removed instead.

    Args:
      folder: the folder for the files.
      points: the points of the curve, in order.
      axes: the title and the axes of the picture.
    """
    table = pathlib.Path(folder, TABLE)
    picture = pathlib.Path(folder, PICTURE)
    if len(points) < 2:
        table.unlink(missing_ok=True)
        picture.unlink(missing_ok=True)
        return

    from a2d_tf.evaluation.reports import charts  # Matplotlib loads for a second

    rows: list[Sequence] = [_COLUMNS]
    curves: dict[str, list[tuple[int, float]]] = {}
    names = {}
    for number, point in enumerate(points, 1):
        position = number if axes.in_rounds else point.videos
        names[position] = f"{point.videos} videos"
        for behaviour, f1 in point.f1.items():
            rows.append([number, point.videos, behaviour, round(f1, 3)])
            curves.setdefault(behaviour, []).append((position, f1))
    write_csv(table, rows)
    content = charts.curves(
        curves,
        bold=MEAN,
        title=axes.title,
        x=axes.x,
        y=axes.y,
        ticks=names if axes.in_rounds else None,
    )
    write_bytes(picture, content)


def sentence(scores: Mapping[int, FoldScores]) -> str:
    """Say whether more coded videos are likely to help.

    Args:
      scores: {number of coded videos: the scores of all videos, when labels of each are
        fitted to this number of other ones}, for two numbers or more; the two largest
        count.
    """
    *_, before, last = sorted(scores)
    first_f1 = scores[before].figures()[MEAN].f1 or 0.0
    last_f1 = scores[last].figures()[MEAN].f1 or 0.0
    text = (
        f"learning curve: {before} coded videos tell behaviours in others with a mean"
        f" F1 of {first_f1:.0f}, {last} with {last_f1:.0f}"
    )
    gain = last_f1 - first_f1
    if gain > _LITTLE:
        return f"{text}; it still rises, so more coded videos are likely to help"
    return f"{text}; it hardly rises, so more videos of the same kind may not help"
