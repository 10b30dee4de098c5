"""A packed model: a run's network in a small folder, with its weights in float16.

flags.txt, labels.json, records.json, score_threshold.json   as in the run folder
weights.npz    {layer/weight: float16}, without the optimizer's state
metrics.json   the scores of the test split, if the run was evaluated
card.md        what it is, what it learned from and how well
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import Any

import numpy as np

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import (
    UNREADABLE,
    check_place,
    read_json,
    read_npz,
    whole_folder,
    write_file,
    write_json,
    write_text,
)
from a2d_tf.model.network import Network
from a2d_tf.pretrained import packed
from a2d_tf.pretrained.weights import variables
from a2d_tf.training import run_folder
from a2d_tf.training.run_folder import Run

CARD, METRICS = "card.md", "metrics.json"
_COPIED = ("labels.json", "records.json")
_ORIGINS = (*run_folder.STARTS, "threshold_from")


def load(name: str, given: dict[str, Any] | None = None) -> Run:
    """Load a packed model as if it were a run.

    Args:
      name: see `packed.find`.
      given: {setting of inference or computing: value}, over its own.

    Raises:
      InputError: there is no such model, or it is damaged.
    """
    return run_folder.load(packed.find(name), given, fill=_fill)


def _fill(network: Network, folder: str, _: str) -> str:
    """Assign the weights of a packed model; returns its folder."""
    path = os.path.join(folder, packed.WEIGHTS)
    try:
        stored = read_npz(path)
    except UNREADABLE as error:
        raise InputError(f"{path}: damaged ({error}); pack the run again") from error
    wanted = {name: tuple(variable.shape) for name, variable in variables(network).items()}
    shapes = {name: values.shape for name, values in stored.items()}
    if shapes != wanted:
        differing = sorted(
            name for name in {**wanted, **shapes} if shapes.get(name) != wanted.get(name)
        )
        raise InputError(
            f"{path}: of another network than flags.txt beside it: {differing[0]} and "
            f"{len(differing) - 1} more differ; pack the run again"
        )
    for name, variable in variables(network).items():
        if not np.isfinite(stored[name]).all():
            raise InputError(f"{path}: '{name}' holds values that are not finite")
        variable.assign(stored[name].astype(np.float32))
    return folder


def pack(workdir: str, output: str, kind: str = "last", notes: str = "") -> dict[str, Any]:
    """Write a run as a packed model, whole or not at all; an older one is replaced.

    Args:
      workdir: run folder; output: the new folder.
      kind: the checkpoint, "last" or "best".
      notes: Markdown, with which the card begins.

    Returns:
      {"parameters": number of weights, "bytes": of the folder, "largest_error": of a weight
      relative to the largest of its tensor}.

    Raises:
      InputError: no run there, a weight beyond float16, something else is at `output`, or it
        cannot be written.
    """
    check_place(output, [packed.WEIGHTS, "flags.txt", "labels.json"], "packed model")
    run = run_folder.load(workdir, kind=kind)
    arrays = {name: variable.numpy() for name, variable in variables(run.network).items()}
    small = {name: _halved(name, values) for name, values in arrays.items()}
    metrics = _metrics(workdir, kind, run.checkpoint)
    facts = {
        "parameters": sum(values.size for values in arrays.values()),
        "largest_error": max(_error(arrays[name], small[name]) for name in arrays),
    }
    name = os.path.basename(os.path.abspath(output))
    card = _card(name, run, facts, metrics, notes=notes)
    with whole_folder(output) as new:
        _write(new, workdir, run, small, metrics=metrics, card=card)
        facts["bytes"] = sum(entry.stat().st_size for entry in os.scandir(new))
    return facts


def _write(folder, workdir, run, weights, *, metrics, card):
    """Fill the folder of a packed model."""
    _settings(workdir).write(os.path.join(folder, "flags.txt"))
    for name in _COPIED:
        shutil.copyfile(os.path.join(workdir, name), os.path.join(folder, name))
    threshold = {"score_threshold": run.config.inference.score_threshold}
    write_json(os.path.join(folder, "score_threshold.json"), threshold)
    write_file(os.path.join(folder, packed.WEIGHTS), lambda f: np.savez_compressed(f, **weights))
    if metrics:
        write_json(os.path.join(folder, METRICS), metrics, sort_keys=True)
    write_text(os.path.join(folder, CARD), card)


def _settings(workdir) -> Config:
    """The run's settings, without the paths of what it started from."""
    config = run_folder.settings(os.path.join(workdir, "flags.txt"))
    none: dict[str, Any] = dict.fromkeys(_ORIGINS, "")
    # A phase of its own would want the run that it goes on from.
    learning = dataclasses.replace(config.learning, train_phase="joint", **none)
    return dataclasses.replace(config, learning=learning)


def _halved(name, values):
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    if not np.isfinite(small).all():
        raise InputError(f"{name}: {np.abs(values).max():g} is beyond float16; it cannot be packed")
    return small


def _error(values, small):
    largest = float(np.abs(values).max(initial=0))
    return float(np.abs(values - small).max(initial=0)) / largest if largest else 0.0


def _metrics(workdir, kind, checkpoint):
    """The scores of the test split; {} where that was not evaluated since the checkpoint."""
    split = "test_best" if kind == "best" else "test"
    path = os.path.join(workdir, "evaluation", split, METRICS)
    try:
        if os.path.getmtime(path) < os.path.getmtime(f"{checkpoint}.index"):
            return {}
        return read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); evaluate the run again") from error


def _card(name, run, facts, metrics, *, notes):
    """The model card as Markdown."""
    model, learning = run.config.model, run.config.learning
    labels = run.network.labels
    streams = "RGB and flow" if model.use_flow else "RGB"
    rows = {
        "network": f"{model.backbone}, width {model.width_multiplier:g}; {streams}; "
        f"{model.frames} frames of {model.image_height}x{model.image_width}",
        "weights": f"{facts['parameters']} in float16; they moved by "
        f"{100 * facts['largest_error']:.2g} % of the largest of their tensor, at most",
        "actors": ", ".join(labels.actors),
        "actions": ", ".join(labels.actions),
        "flow": str(run.records["flow_method"]),
        "training": f"{learning.steps} steps of {learning.batch_size} clips, seed {learning.seed}",
        "p(actor) from": f"{run.config.inference.score_threshold:g}",
    }
    lines = [notes.strip() or f"# {name}", "", "## Facts", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    lines += ["", "## Scores on its test split, percent", "", *_scores(metrics), ""]
    return "\n".join(lines)


def _scores(metrics):
    if not metrics:
        return ["The run was not evaluated."]
    lines = ["| of | actor | action | joint |", "|---|---|---|---|"]
    kinds = ("actor", "action", "joint")
    for measure in ("ave", "glo", "miou"):
        values = [metrics["segmentation"][kind][measure] for kind in kinds]
        lines.append(f"| {measure} | " + " | ".join(f"{value:.1f}" for value in values) + " |")
    values = [metrics["detection"][kind] for kind in kinds]
    return [*lines, "| mAP | " + " | ".join(f"{value:.1f}" for value in values) + " |"]
