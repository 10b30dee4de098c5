"""The results of the rows: their run folders and scores."""

from __future__ import annotations

import dataclasses
import functools
import pathlib

import numpy as np

from a2d_tf.core.checked_json import load_json
from a2d_tf.evaluation.metrics.summaries import scalars
from a2d_tf.runs import scores


@dataclasses.dataclass(frozen=True)
class Result:
    """A row with a seed, done or failed.

    Attributes:
      row: the name of the row, see `table_rows`.
      seed: the seed of its trainings.
      folder: the run folder that is scored.
      error: the reason why it has no scores; None if it has scores.
      final: the run folder of its final run, on all training videos; None if it has no
        final run.
      fold: the name of the fold that is its test split; "" for the data set's own.
    """

    row: str
    seed: int
    folder: pathlib.Path
    error: str | None
    final: pathlib.Path | None = None
    fold: str = ""

    @property
    def where(self) -> str:
        """Row, fold and seed as text, for messages."""
        parts = [self.row]
        if self.fold:
            parts.append(f"fold {self.fold}")
        parts.append(f"seed {self.seed}")
        return ", ".join(parts)

    @property
    def test(self) -> pathlib.Path:
        """The folder of its test scores, of the final run if there is one."""
        return scores.folder_of(self.final or self.folder)

    @functools.cached_property
    def metrics(self) -> dict:
        """The content of the `metrics.json` of its test scores.

        Raises:
          InputError: the file is missing or damaged.
        """
        return load_json(self.test / scores.METRICS, dict, "delete it and run again")

    def figures(self, tags: list[str]) -> list[float]:
        """Return figures of this row's test scores, in the order of the tags.

        Args:
          tags: names of figures, '<section>/<name>', as `scalars` makes them.

        Returns:
          a figure for each tag; NaN if the scores lack it.
        """
        values = scalars(self.metrics)
        return [values.get(tag, np.nan) for tag in tags]


def without_error(results: list[Result]) -> list[Result]:
    """Return the results whose `error` is None, in the same order."""
    return [result for result in results if not result.error]
