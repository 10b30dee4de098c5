"""The results of experiments: their run folders and scores."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np

from a2d_tf.core.checked_json import load_json
from a2d_tf.evaluation.metrics import scalars
from a2d_tf.paper import experiments
from a2d_tf.paper.reproduction import FoldRuns, Plan, order
from a2d_tf.runs import scores


@dataclasses.dataclass(frozen=True)
class Result:
    """An experiment, done or failed.

    Attributes:
      name: of `experiments`.
      seed: of its trainings.
      folder: the scored run folder.
      error: why it failed; '' if it did not.
      final: the scored run folder of its final run, on all training videos; None
        without one.
      fold: the fold that is its test split, or "".
    """

    name: str
    seed: int
    folder: pathlib.Path
    error: str
    final: pathlib.Path | None = None
    fold: str = ""

    @property
    def where(self) -> str:
        """Row, fold and seed."""
        parts = [self.name]
        if self.fold:
            parts.append(f"fold {self.fold}")
        parts.append(f"seed {self.seed}")
        return ", ".join(parts)

    @property
    def test(self) -> pathlib.Path:
        """The folder of its test scores, of the final run if there is one."""
        return scores.folder_of(self.final or self.folder)

    def metrics(self) -> dict:
        """Read its `metrics.json`; InputError if it is missing or damaged."""
        return load_json(self.test / "metrics.json", dict, "delete it and run again")

    def figures(self, tags: list[str]) -> list[float]:
        """Return figures by their tags of `scalars`, NaN if there is none."""
        values = scalars(self.metrics())
        return [values.get(tag, np.nan) for tag in tags]


def without_error(results: list[Result]) -> list[Result]:
    """Return the results of experiments that did not fail."""
    return [result for result in results if not result.error]


def collect(plan: Plan, folds: dict[str, FoldRuns]) -> list[Result]:
    """Return the results of all runs, fold by fold, in the order of seeds and rows."""
    names = order()
    results = []
    for fold, fold_runs in folds.items():
        runs = sorted(fold_runs.runs, key=lambda run: (run[0], names.index(run[1])))
        for seed, name in runs:
            folder = os.path.join(fold_runs.folder, f"seed{seed}")
            last_phase = experiments.phases(name)[-1]
            final = None
            if plan.is_scored(name, fold_runs.records, folder, seed, True):
                final = experiments.run_folder(folder, last_phase, final=True)
            results.append(
                Result(
                    name=name,
                    seed=seed,
                    folder=experiments.run_folder(folder, last_phase),
                    error=fold_runs.runs[seed, name],
                    final=final,
                    fold=fold,
                )
            )
    return results
