"""A packed model: a run's network in a small folder, with its weights in float16.

flags.txt, labels.json, records.json, score_threshold.json   as in the run folder
weights.npz    {layer/weight: float16}, without the optimizer's state
metrics.json   the scores of the test split, if the run was evaluated
card.md        what it is, what it learned from and how well

`run_folder.load` loads it.
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
    check_place,
    read_json,
    whole_folder,
    write_file,
    write_json,
    write_text,
)
from a2d_tf.pretrained import packed
from a2d_tf.pretrained.weights import variables
from a2d_tf.training import run_folder

CARD, METRICS = "card.md", "metrics.json"


def pack(workdir: str, output: str, kind: str = "last", notes: str = "") -> dict[str, int]:
    """Write a run as a packed model, whole or not at all; an older one is replaced.

    Args:
      workdir: run folder; output: the new folder.
      kind: the checkpoint, "last" or "best".
      notes: Markdown, with which the card begins.

    Returns:
      {"parameters": number of weights, "bytes": of the folder}.

    Raises:
      InputError: no run there, a weight beyond float16, something else is at `output`, or it
        cannot be written.
    """
    check_place(output, [packed.WEIGHTS, "flags.txt", "labels.json"], "packed model")
    run = run_folder.load(workdir, kind=kind)
    weights = {name: _halved(name, x.numpy()) for name, x in variables(run.network).items()}
    parameters = sum(values.size for values in weights.values())
    metrics = _metrics(workdir, kind, run.checkpoint)
    threshold = run.config.inference.score_threshold
    title = notes.strip() or f"# {os.path.basename(os.path.abspath(output))}"
    with whole_folder(output) as new:
        _settings(workdir).write(os.path.join(new, "flags.txt"))
        for name in ("labels.json", "records.json"):
            shutil.copyfile(os.path.join(workdir, name), os.path.join(new, name))
        write_json(os.path.join(new, "score_threshold.json"), {"score_threshold": threshold})
        write_file(os.path.join(new, packed.WEIGHTS), lambda f: np.savez_compressed(f, **weights))
        if metrics:
            write_json(os.path.join(new, METRICS), metrics, sort_keys=True)
        write_text(os.path.join(new, CARD), _card(title, run, parameters, metrics))
        size = sum(entry.stat().st_size for entry in os.scandir(new))
    return {"parameters": parameters, "bytes": size}


def _settings(workdir):
    """The run's settings, without the paths of what it started from."""
    config = Config.read(os.path.join(workdir, "flags.txt"))
    none: dict[str, Any] = dict.fromkeys((*run_folder.STARTS, "threshold_from"), "")
    # Another phase would need the run that it started from.
    learning = dataclasses.replace(config.learning, train_phase="joint", **none)
    return dataclasses.replace(config, learning=learning)


def _halved(name, values):
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    if not np.isfinite(small).all():
        raise InputError(f"{name}: {np.abs(values).max():g} is beyond float16; it cannot be packed")
    return small


def _metrics(workdir, kind, checkpoint):
    """The scores of the test split; {} where that was not evaluated since the checkpoint."""
    split = "test_best" if kind == "best" else "test"
    path = os.path.join(workdir, "evaluation", split, METRICS)
    if not os.path.isfile(path) or os.path.getmtime(path) < os.path.getmtime(f"{checkpoint}.index"):
        return {}
    return read_json(path)


def _card(title, run, parameters, metrics):
    """The model card as Markdown."""
    model, learning = run.config.model, run.config.learning
    labels = run.network.labels
    streams = "RGB and flow" if model.use_flow else "RGB"
    rows = {
        "network": f"{model.backbone}, width {model.width_multiplier:g}; {streams}; "
        f"{model.frames} frames of {model.image_height}x{model.image_width}",
        "weights": f"{parameters} in float16",
        "actors": ", ".join(labels.actors),
        "actions": ", ".join(labels.actions),
        "flow": str(run.records["flow_method"]),
        "training": f"{learning.steps} steps of {learning.batch_size} clips, seed {learning.seed}",
        "p(actor) from": f"{run.config.inference.score_threshold:g}",
    }
    lines = [title, "", "## Facts", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    lines += ["", "## Scores on its test split, percent", ""]
    if not metrics:
        return "\n".join([*lines, "The run was not evaluated.", ""])
    scores = {
        measure: {kind: values[measure] for kind, values in metrics["segmentation"].items()}
        for measure in ("ave", "glo", "miou")
    }
    lines += ["| of | actor | action | joint |", "|---|---|---|---|"]
    for name, values in {**scores, "mAP": metrics["detection"]}.items():
        cells = [f"{values[kind]:.1f}" for kind in ("actor", "action", "joint")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
