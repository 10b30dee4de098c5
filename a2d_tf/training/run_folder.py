"""The run folder: settings, weights and results of a training.

flags.txt             the resolved settings, reusable as --flagfile
labels.json           the label space
records.json          how its records were made: flow method, sizes and clip stride; a digest of
                      their source, and the training videos
checkpoints/          the newest weights with the optimizer's state
best/                 the weights of the best validation, by joint mIoU or box F1, and its threshold
diverged/             the batch of a step with a non-finite loss, and the weights before it
weights.txt           how each variable was initialised, by name
score_threshold.json  p(actor) from which a RoI is an instance, chosen on validation
tensorboard/          events
finished.json         the last step, once the last validation is done
evaluation/<split>/   metrics, what they were computed from, detections and label maps

A packed model is a run's network in a small folder: flags.txt, labels.json, records.json and
score_threshold.json as above, and

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
from collections.abc import Iterable
from typing import Any

import numpy as np

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import (
    UNREADABLE,
    check_place,
    load_json,
    read_npz,
    whole_folder,
    write_file,
    write_json,
    write_text,
)
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import FACTS, Manifest
from a2d_tf.model.network import Network
from a2d_tf.pretrained import packed
from a2d_tf.pretrained.weights import variables
from a2d_tf.training import checkpoints, scores

STARTS = ("init_run", "init_rgb", "init_flow", "init_checkpoint")
"""The settings that name the weights which a new run takes."""

logger = logging.getLogger(__name__)


def is_new(workdir: str) -> bool:
    """Return whether a run has no checkpoint yet, so that it starts from its initial weights."""
    return not scores.steps_in(os.path.join(workdir, scores.KINDS["last"]))


def create(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make the run folder, or check that a run with checkpoints goes on as it began.

    Without checkpoints, what an earlier training has left there is removed, but for `diverged/`.

    Raises:
      InputError: the folder holds a run of another network or of other records.
    """
    path, seen = os.path.join(workdir, "flags.txt"), manifest.videos("train")
    if is_new(workdir):
        _forget(workdir)
        for origin in filter(None, (config.learning.init_run, config.learning.init_checkpoint)):
            seen |= {*_record_facts(origin)["videos"]}
    else:
        check_network(workdir, config, manifest.label_space)
        known = _record_facts(workdir)
        _check_made_alike(known, manifest)
        # Changing these would not undo the steps that are done, nor are they in the checkpoints.
        fixed = ["seed", "val_fraction", "zero_shot_actor", "train_phase", "average_decay"]
        fixed += ["optimizer", "backbone_rate"]
        check_same(path, config, fixed)
        seen |= {*known["videos"]}
        remedy = "give the records that it began with, or start another run from it by --init_run"
        _compare(manifest.directory, {"source": known["source"]}, vars(manifest), remedy)
        config = _with_start(config, path)
    write_text(os.path.join(workdir, "labels.json"), manifest.label_space.to_json())
    facts = {name: getattr(manifest, name) for name in (*FACTS, "source")}
    write_json(os.path.join(workdir, "records.json"), {**facts, "videos": sorted(seen)})
    newest = max(scores.steps_in(os.path.join(workdir, scores.KINDS["last"])), default=0)
    # A finished run is left as it is.
    if newest < config.learning.steps or not checkpoints.is_finished(workdir, newest):
        config.write(path)


def _forget(workdir):
    """Remove what an earlier training has left whose checkpoints are gone, but for `diverged/`."""
    shutil.rmtree(os.path.join(workdir, scores.KINDS["best"]), ignore_errors=True)
    for name in ("finished.json", "score_threshold.json", "weights.txt"):
        pathlib.Path(workdir, name).unlink(missing_ok=True)
    for path in pathlib.Path(workdir, "tensorboard").rglob(checkpoints.EVENTS):
        path.unlink()


def _with_start(config, path):
    """Keep the settings that a run started with; warn of changed ones, which have no effect."""
    there = Config.read(path).learning
    before = {name: getattr(there, name) for name in STARTS}
    for name, value in before.items():
        given = getattr(config.learning, name)
        if given and given != value:
            logger.warning("%s: the run has begun; --%s=%s is not used", path, name, given)
    return dataclasses.replace(config, learning=dataclasses.replace(config.learning, **before))


def _compare(place, there, given, remedy):
    """Raise InputError at the first field of a run that has another value in what is given."""
    for name, value in there.items():
        if given[name] != value:
            differs = f"{name}={shown(given[name])} differs from the run's {shown(value)}"
            raise InputError(f"{place}: {differs}; {remedy}")


def check_same(path: str, config: Config, fields: Iterable[str], section: str = "learning") -> None:
    """Raise InputError where a run's flags.txt has another value in one of a section's fields."""
    old, new = (
        {f"--{name}": getattr(getattr(c, section), name) for name in fields}
        for c in (Config.read(path), config)
    )
    _compare(path, old, new, "give that, or another run folder")


def check_network(workdir: str, config: Config, labels: LabelSpace) -> None:
    """Raise InputError unless the run's network has these settings and this label space."""
    names = [field.name for field in dataclasses.fields(config.model)]
    check_same(os.path.join(workdir, "flags.txt"), config, names, "model")
    path = os.path.join(workdir, "labels.json")
    old, new = map(dataclasses.asdict, (LabelSpace.from_json(path), labels))
    _compare(path, old, new, "give another run folder")


def _check_made_alike(facts, manifest):
    """Raise InputError unless records are made as those that a network learned from."""
    made = {name: facts[name] for name in FACTS}
    _compare(manifest.directory, made, vars(manifest), "build the records again with that")


def _record_facts(workdir):
    """The contents of records.json."""
    kind = {**FACTS, "source": str, "videos": [str]}
    return load_json(os.path.join(workdir, "records.json"), kind, "is this a run folder?")


@dataclasses.dataclass(frozen=True)
class Run:
    """A loaded run folder.

    Attributes:
      config: its settings, with those given to `load` and the resolved score_threshold.
      network: with the weights of the checkpoint.
      records: {'flow_method', 'image_height', 'image_width', 'clip_stride'} of its records.
      trained_on: names of the videos of its training split.
    """

    config: Config
    network: Network
    records: dict[str, Any]
    checkpoint: str
    trained_on: frozenset[str] = frozenset()

    def check_records(self, manifest: Manifest) -> None:
        """Raise InputError unless the records are of the kind that the network learned from."""
        _check_made_alike(self.records, manifest)
        old, new = map(dataclasses.asdict, (self.network.labels, manifest.label_space))
        _compare(manifest.directory, old, new, "evaluate on records with the network's labels")


def settings(workdir: str) -> Config:
    """Read the settings of a run folder or of a packed model; InputError where it is neither."""
    path = os.path.join(workdir, "flags.txt")
    if not os.path.isfile(path):
        raise InputError(
            f"{workdir}: no run folder, for it has no flags.txt; name one that a2d_tf.train made"
        )
    return Config.read(path)


def load(workdir: str, given: dict[str, Any] | None = None, kind: str = "last") -> Run:
    """Load the network of a run folder or of a packed model.

    Args:
      given: {setting of inference or computing: value}, over the run's own.
      kind: of scores.KINDS; "best" has the threshold of its own validation.

    Raises:
      InputError: no finished run folder, a damaged one, or a setting out of range.
    """
    config = settings(workdir).with_inference(**(given or {})).checked()
    labels = LabelSpace.from_json(os.path.join(workdir, "labels.json"))
    threshold = _best_threshold(workdir) if kind == "best" else None
    if config.inference.score_threshold < 0:
        if threshold is None:
            threshold = scores.threshold(workdir)
        config = config.with_inference(score_threshold=threshold)
    network, path = Network(config.model, labels, config.compute), workdir
    if packed.is_packed(workdir):
        _take_packed(network, os.path.join(workdir, packed.WEIGHTS))
    else:
        path = checkpoints.restore(network, workdir, kind)
    known = _record_facts(workdir)
    facts = {name: known[name] for name in FACTS}
    return Run(config, network, facts, path, frozenset(known["videos"]))


def _take_packed(network, path):
    """Assign the weights of a packed model."""
    try:
        stored = read_npz(path)
        for name, variable in variables(network).items():
            variable.assign(stored[name].astype(np.float32))
    except UNREADABLE as error:
        raise InputError(
            f"{path}: damaged, or not of this flags.txt ({error}); pack the run again"
        ) from error


def save_threshold(workdir: str, threshold: float, metrics: dict) -> None:
    """Write the threshold chosen on validation, with that split's metrics."""
    fields = {"score_threshold": threshold, "validation": metrics}
    write_json(os.path.join(workdir, "score_threshold.json"), fields)


def _best_threshold(workdir):
    """Read the threshold of a run's best validation; InputError if writing it was interrupted."""
    folder = os.path.join(workdir, scores.KINDS["best"])
    path, remedy = os.path.join(folder, checkpoints.BEST), "take --checkpoint=last"
    best = load_json(path, {**scores.CHOSEN, "step": int}, f"validate, or {remedy}")
    newest = checkpoints.newest(folder)
    if newest != os.path.join(folder, f"ckpt-{best['step']}"):
        raise InputError(
            f"{path}: of step {best['step']}, but beside it is {newest}: the run was killed there; "
            f"give its command again, or {remedy}"
        )
    return best["score_threshold"]


def pack(workdir: str, output: str, kind: str = "last", notes: str = "") -> dict[str, int]:
    """Write a run as a packed model, whole or not at all; an older one is replaced.

    Scores of the test split are copied if they are those of the newest weights; `notes` becomes
    card.md.

    Returns:
      {"parameters": number of weights, "bytes": of the folder}.

    Raises:
      InputError: no run there, a weight beyond float16, something else is at `output`, or it
        cannot be written.
    """
    check_place(output, [packed.WEIGHTS, "flags.txt", "labels.json"], "packed model")
    run = load(workdir, kind=kind)
    weights = {name: _halved(name, x.numpy()) for name, x in variables(run.network).items()}
    parameters = sum(values.size for values in weights.values())
    threshold = run.config.inference.score_threshold
    # Without the paths of what it started from; another phase would need the run there.
    config = Config.read(os.path.join(workdir, "flags.txt"))
    none: dict[str, Any] = {**dict.fromkeys(STARTS, ""), "backbone_rate": 1.0}
    learning = dataclasses.replace(config.learning, train_phase="joint", **none)
    config = dataclasses.replace(config, learning=learning)
    with whole_folder(output) as new:
        config.write(os.path.join(new, "flags.txt"))
        for name in ("labels.json", "records.json"):
            shutil.copyfile(os.path.join(workdir, name), os.path.join(new, name))
        write_json(os.path.join(new, "score_threshold.json"), {"score_threshold": threshold})
        write_file(os.path.join(new, packed.WEIGHTS), lambda f: np.savez_compressed(f, **weights))
        scored = os.path.join(workdir, "evaluation", "test")
        if kind == "last" and scores.are_current(workdir, scored, _record_facts(workdir)["source"]):
            shutil.copy(os.path.join(scored, "metrics.json"), new)
        write_text(os.path.join(new, "card.md"), notes)
        size = sum(entry.stat().st_size for entry in os.scandir(new))
    return {"parameters": parameters, "bytes": size}


def _halved(name, values):
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    if not np.isfinite(small).all():
        raise InputError(f"{name}: {np.abs(values).max():g} is beyond float16; it cannot be packed")
    return small
