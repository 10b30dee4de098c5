"""The stages in which a row of the tables is trained with a seed: folders and locks."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from a2d_tf.paper import table_rows
from a2d_tf.paper.folds import Fold


@dataclasses.dataclass(frozen=True)
class SeededRow:
    """A row that is trained with a seed.

    Attributes:
      fold: the fold with its records.
      name: the name of the row.
      seed: the seed of the trainings.
    """

    fold: Fold
    name: str
    seed: int

    @property
    def folder(self) -> str:
        """The folder of its run folders."""
        return os.path.join(self.fold.folder, f"seed{self.seed}")

    @property
    def lock(self) -> str:
        """Return the path of the row's lock file.

        A process holds the lock while it works on the row. The file stays: it tells
        that the row was begun.
        """
        return os.path.join(self.folder, f"{self.name}.lock")


@dataclasses.dataclass(frozen=True)
class Stage:
    """The trainings of all phases of a row; the last one is scored.

    A row has one stage, and a second stage if it has final runs.

    Attributes:
      row: the row and its seed.
      final: whether these are the final runs, on all training videos. Their thresholds
        are those of the first stage.
    """

    row: SeededRow
    final: bool = False

    @property
    def scored_run(self) -> pathlib.Path:
        """The run folder of the last phase."""
        last_phase = table_rows.phases(self.row.name)[-1]
        return table_rows.run_folder(self.row.folder, last_phase, self.final)


def begun_rows(fold: Fold) -> list[SeededRow]:
    """Return the rows that have been begun, in the order of seeds and rows.

    They are known by the files of their locks, which stay.
    """
    rows = []
    order = table_rows.order()
    for path in pathlib.Path(fold.folder).glob("seed*/*.lock"):
        seed = path.parent.name.removeprefix("seed")
        # Others, such as copies of a folder, are the user's.
        if seed.isdecimal() and path.stem in order:
            rows.append(SeededRow(fold, path.stem, int(seed)))
    return sorted(rows, key=lambda row: (row.seed, order.index(row.name)))
