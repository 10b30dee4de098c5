"""Load a network and its settings: a run folder's, a packed model's, or COCO's
weights alone.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from a2d_tf.core import checked_json, files, folders
from a2d_tf.core.config import Config, InferenceConfig, ModelConfig
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import LabelSpace, is_name
from a2d_tf.data.manifest import FACTS, Manifest
from a2d_tf.model.label_modes import Detected
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, layouts, weights
from a2d_tf.runs import checkpoints, packed, run_folder, scores

logger = logging.getLogger(__name__)

UNDEFINED = "__undefined__"
"""The only action where none was learned: CVAT's word for an attribute that has no
value yet.
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """A loaded run folder.

    Attributes:
      config: its settings, with those given to `load` and the resolved score_threshold.
      network: with the weights of the checkpoint.
      records: {'flow_method', 'image_height', 'image_width', 'clip_stride'} of its
        records.
      trained_on: names of the videos of its training split.
    """

    config: Config
    network: Network
    records: dict[str, Any]
    checkpoint: str
    trained_on: frozenset[str] = frozenset()

    def check_records(self, manifest: Manifest) -> None:
        """Raise InputError unless the records are of the kind that the network
        learned from.
        """
        run_folder.check_made_alike(self.records, manifest)
        old, new = map(dataclasses.asdict, (self.network.labels, manifest.label_space))
        remedy = (
            "build records with the network's labels, a2d records"
            " --labels=RUN/labels.json"
        )
        run_folder.compare(manifest.directory, old, new, remedy)


def load(workdir: str, given: dict[str, Any] | None = None, kind: str = "last") -> Run:
    """Load the network of a run folder or of a packed model.

    Args:
      given: {setting of inference or computing: value}, over the run's own.
      kind: of scores.CHECKPOINTS; "best" has the threshold of its own validation.

    Raises:
      InputError: no run folder, a damaged one, or a setting out of range.
    """
    config = run_folder.settings(workdir).with_inference(**(given or {})).checked()
    labels = LabelSpace.from_json(os.path.join(workdir, "labels.json"))
    threshold = _best_threshold(workdir) if kind == "best" else None
    if config.inference.score_threshold < 0:
        chosen = scores.threshold(workdir) if threshold is None else threshold
        config = config.with_inference(score_threshold=chosen)
    network, path = Network(config.model, labels, config.compute), workdir
    if packed.is_packed(workdir):
        _take_packed(network, os.path.join(workdir, packed.WEIGHTS))
    else:
        path = checkpoints.restore(network, workdir, kind)
    known = run_folder.record_facts(workdir)
    facts = {name: known[name] for name in FACTS}
    return Run(config, network, facts, path, frozenset(known["videos"]))


def _take_packed(network, path):
    try:
        stored = files.read_npz(path)
        for name, variable in weights.variables(network).items():
            variable.assign(stored[name].astype(np.float32))
    except files.UNREADABLE as error:
        raise InputError(
            f"{path}: corrupt, or not for this flags.txt ({error}); pack the run again"
        ) from error


def _best_threshold(workdir):
    """Read the threshold of a run's best validation; InputError if writing it was
    interrupted.
    """
    folder = os.path.join(workdir, scores.CHECKPOINTS["best"])
    path, remedy = os.path.join(folder, checkpoints.BEST), "use --checkpoint=last"
    best = checked_json.load_json(
        path, {**scores.CHOSEN, "step": int}, f"validate first, or {remedy}"
    )
    newest = checkpoints.newest(folder)
    if newest != os.path.join(folder, f"ckpt-{best['step']}"):
        raise InputError(
            f"{path}: for step {best['step']}, but the checkpoint is {newest}: the run"
            f" was killed; run its command again, or {remedy}"
        )
    return best["score_threshold"]


def pack(
    workdir: str, output: str, kind: str = "last", notes: str = ""
) -> dict[str, int]:
    """Write a run as a packed model, whole or not at all; an older one is replaced.

    Scores of the test split are copied if they are those of the newest weights; `notes`
    becomes card.md.

    Returns:
      {"parameters": number of weights, "bytes": of the folder}.

    Raises:
      InputError: no run there, a weight beyond float16, something else is at `output`,
        or it cannot be written.
    """
    folders.check_output_folder(
        output, [packed.WEIGHTS, "flags.txt", "labels.json"], "a packed model"
    )
    run = load(workdir, kind=kind)
    halves = {
        name: _halved(name, x.numpy())
        for name, x in weights.variables(run.network).items()
    }
    parameters = sum(values.size for values in halves.values())
    threshold = run.config.inference.score_threshold
    # Without the paths of what it started from; another phase would need the run there.
    config = Config.read(os.path.join(workdir, "flags.txt"))
    none: dict[str, Any] = {
        **dict.fromkeys(run_folder.STARTS, ""),
        "backbone_rate": 1.0,
    }
    training = dataclasses.replace(config.training, train_phase="joint", **none)
    config = dataclasses.replace(config, training=training)
    with folders.whole_folder(output) as new:
        config.write(os.path.join(new, "flags.txt"))
        for name in ("labels.json", "records.json"):
            shutil.copyfile(os.path.join(workdir, name), os.path.join(new, name))
        files.write_json(
            os.path.join(new, "score_threshold.json"), {"score_threshold": threshold}
        )
        place = os.path.join(new, packed.WEIGHTS)
        files.write_file(place, lambda file: np.savez_compressed(file, **halves))
        scored, source = (
            scores.folder_of(workdir),
            run_folder.record_facts(workdir)["source"],
        )
        if kind == "last" and scores.are_current(workdir, scored, source):
            shutil.copy(os.path.join(scored, "metrics.json"), new)
        files.write_text(os.path.join(new, "card.md"), notes)
        size = sum(entry.stat().st_size for entry in os.scandir(new))
    return {"parameters": parameters, "bytes": size}


def _halved(name, values):
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    if not np.isfinite(small).all():
        raise InputError(
            f"{name}: {np.abs(values).max():g} exceeds float16; it cannot be packed"
        )
    return small


def untrained(
    path: str, given: dict[str, Any] | None = None, actors: Sequence[str] = ()
) -> Run:
    """Load a network with COCO weights alone: it finds COCO's classes, and knows no
    actions.

    Args:
      path: of a detector's imported weights, or a name of `pretrained`.
      given: {setting of inference or computing: value}.
      actors: the classes to find, each as CLASS or NAME=CLASS; several may have one
        name. Without any, all classes by their own names.

    Raises:
      InputError: no such file, or not a detector's; or an actor that is none of its
        classes.
    """
    path = cache.resolve(path)
    imported = layouts.Weights.read(path)
    if not imported.classes:
        raise InputError(
            f"{path}: {imported.source} weights are for a backbone only and cannot "
            "detect actors; use detector weights"
        )
    named = _actors_of_classes(actors, imported.classes)
    names = [*dict.fromkeys(named.values())]
    labels = LabelSpace.from_fields({"actors": names, "actions": [UNDEFINED]})
    classes = {x: names.index(named[x]) if x in named else -1 for x in imported.classes}
    model = ModelConfig(use_flow=False, temporal_layers=0, **imported.model_fields())
    config = Config(model, InferenceConfig(score_threshold=scores.DEFAULT_THRESHOLD))
    config = config.with_inference(**(given or {})).checked()
    network = Network(model, labels, config.compute, Detected(labels, classes))
    logger.info(weights.load(network, imported).summary())
    size = {"image_height": model.image_height, "image_width": model.image_width}
    facts = {"flow_method": "dis", **size, "clip_stride": 1}
    return Run(config, network, facts, path)


def _actors_of_classes(actors, classes):
    """Return {class: its actor} of `untrained`'s actors; InputError where one is no
    class.
    """
    found: dict[str, str] = {}
    for part in actors or classes:
        name, equals, of_class = part.rpartition("=")
        name = name if equals else of_class
        if of_class not in classes or not is_name(name):
            near = difflib.get_close_matches(of_class.lower(), classes, 1, 0)[0]
            raise InputError(
                f"--actors: {quoted(part)} is not CLASS or NAME=CLASS with a class of"
                f" COCO; did you mean {near}?"
            )
        if found.setdefault(of_class, name) != name:
            raise InputError(
                f"--actors: {of_class} has two names, {found[of_class]} and {name}"
            )
    return found
