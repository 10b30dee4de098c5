"""The run folder: settings, weights and results of a training.

flags.txt             the resolved settings, reusable as --flagfile
labels.json           the label space
records.json          how its records were made: flow method, sizes and clip stride; a
                      digest of their source, and the training videos
checkpoints/          the newest weights with the optimizer's state
best/                 the weights of the best validation, by joint mIoU or box F1, and
                      its threshold
weights.txt           how each variable was initialised, by name
score_threshold.json  p(actor) from which a RoI is an instance, chosen on validation
tensorboard/          events
finished.json         the last step, once the last validation is done
evaluation/<split>/   metrics, what they were computed from, detections and label maps

A packed model is a run's network in a small folder: flags.txt, labels.json,
records.json and score_threshold.json as above, and

weights.npz           {layer/weight: float16}, without the optimizer's state
metrics.json          the scores of the test split, if the run was evaluated
card.md               what the packer was given as notes
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import a2d_tf
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import write_json, write_text
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import FACTS, FORMAT, Manifest, load_current
from a2d_tf.runs import checkpoints, scores

STARTS = ("init_run", "init_rgb", "init_flow", "init_checkpoint")
"""The settings that name the weights which a new run takes."""

EVENTS = "events.out.tfevents.*"
"""Files of TensorBoard, in `tensorboard/` and its folders."""

logger = logging.getLogger(__name__)


def is_new(workdir: str) -> bool:
    """Return whether a run has no checkpoint yet, so that it starts from its initial
    weights.
    """
    return not scores.steps_in(os.path.join(workdir, scores.CHECKPOINTS["last"]))


def create(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make the run folder, or check that a run with checkpoints goes on as it began.

    Without checkpoints, what an earlier training has left there is removed.

    Raises:
      InputError: the folder holds a run of another network or of other records.
    """
    path, seen = os.path.join(workdir, "flags.txt"), manifest.videos("train")
    if is_new(workdir):
        if config.training.init_run:
            check_made_alike(record_facts(config.training.init_run), manifest)
        _forget(workdir)
        for origin in filter(
            None, (config.training.init_run, config.training.init_checkpoint)
        ):
            seen |= {*record_facts(origin)["videos"]}
    else:
        # first, for another version may have other settings
        known = record_facts(workdir)
        check_network(workdir, config, manifest.label_space)
        check_made_alike(known, manifest)
        # Changing these would not undo the steps that are done, nor are they in the
        # checkpoints.
        fixed = [
            "seed",
            "val_fraction",
            "zero_shot_actor",
            "train_phase",
            "average_decay",
        ]
        fixed += ["optimizer", "backbone_rate"]
        check_same(path, config, fixed)
        seen |= {*known["videos"]}
        remedy = (
            "use the records that it began with, or start another run with --init_run"
        )
        compare(manifest.directory, {"source": known["source"]}, vars(manifest), remedy)
        config = _with_start(config, path)
    write_text(os.path.join(workdir, "labels.json"), manifest.label_space.to_json())
    facts = {**FORMAT, **{name: getattr(manifest, name) for name in (*FACTS, "source")}}
    write_json(os.path.join(workdir, "records.json"), {**facts, "videos": sorted(seen)})
    newest = max(
        scores.steps_in(os.path.join(workdir, scores.CHECKPOINTS["last"])), default=0
    )
    # A finished run is left as it is.
    if newest < config.training.steps or not checkpoints.is_finished(workdir, newest):
        config.write(path)


def _forget(workdir):
    """Remove what an earlier training has left whose checkpoints are gone."""
    shutil.rmtree(os.path.join(workdir, scores.CHECKPOINTS["best"]), ignore_errors=True)
    for name in ("finished.json", "score_threshold.json", "weights.txt"):
        pathlib.Path(workdir, name).unlink(missing_ok=True)
    for path in pathlib.Path(workdir, "tensorboard").rglob(EVENTS):
        path.unlink()


def _with_start(config, path):
    """Keep the settings that a run started with; warn of changed ones, which have no
    effect.
    """
    there = Config.read(path).training
    before = {name: getattr(there, name) for name in STARTS}
    for name, value in before.items():
        given = getattr(config.training, name)
        if given and given != value:
            logger.warning(
                "%s: the run has already begun; --%s=%s is ignored", path, name, given
            )
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, **before)
    )


def compare(
    place: str | os.PathLike,
    there: Mapping[str, Any],
    given: Mapping[str, Any],
    remedy: str,
) -> None:
    """Raise InputError at the first field of a run that has another value in what is
    given.
    """
    for name, value in there.items():
        if given[name] != value:
            differs = (
                f"{name}={quoted(given[name])} differs from the run's {quoted(value)}"
            )
            raise InputError(f"{place}: {differs}; {remedy}")


def check_same(
    path: str, config: Config, fields: Iterable[str], section: str = "training"
) -> None:
    """Raise InputError where a run's flags.txt has another value in one of a
    section's fields.
    """
    old, new = (
        {f"--{name}": getattr(getattr(c, section), name) for name in fields}
        for c in (Config.read(path), config)
    )
    compare(path, old, new, "use that, or another run folder")


def check_network(workdir: str, config: Config, labels: LabelSpace) -> None:
    """Raise InputError unless the run's network has these settings and this label
    space.
    """
    names = [field.name for field in dataclasses.fields(config.model)]
    check_same(os.path.join(workdir, "flags.txt"), config, names, "model")
    path = os.path.join(workdir, "labels.json")
    old, new = map(dataclasses.asdict, (LabelSpace.from_json(path), labels))
    compare(path, old, new, "use another run folder")


def check_made_alike(facts: Mapping[str, Any], manifest: Manifest) -> None:
    """Raise InputError unless records are made as those that a network learned from."""
    made = {name: facts[name] for name in FACTS}
    compare(manifest.directory, made, vars(manifest), "rebuild the records with that")


def record_facts(workdir: str) -> dict[str, Any]:
    """The contents of records.json."""
    kind = {**FACTS, "source": str, "videos": [str]}
    path = os.path.join(workdir, "records.json")
    remake = "build the records again with a2d records, and train on them"
    return load_current(path, kind, "is this a run folder?", remake)


def settings(workdir: str) -> Config:
    """Read the settings of a run folder or of a packed model; InputError where it is
    neither.
    """
    path = os.path.join(workdir, "flags.txt")
    if not os.path.isfile(path):
        raise InputError(
            f"{workdir}: not a run folder (no flags.txt); use one of a2d train"
        )
    facts, config = record_facts(workdir), Config.read(path)
    if config.model.readout and facts.get("written_by") == "0.1.0":
        reads = (
            f"version {a2d_tf.__version__} reads halves of boxes; train again with a2d"
            " train"
        )
        raise InputError(
            f"{path}: a readout of a2d_tf 0.1.0; {reads}, or use that version"
        )
    return config


def save_threshold(workdir: str, threshold: float, metrics: dict) -> None:
    """Write the threshold chosen on validation, with that split's metrics."""
    fields = {"score_threshold": threshold, "validation": metrics}
    write_json(os.path.join(workdir, "score_threshold.json"), fields)
