"""The run folder: settings, weights and results of a training.

flags.txt             the resolved settings, reusable as --flagfile
labels.json           the label space
records.json          how its records were made: flow method, sizes and clip stride
checkpoints/          the newest weights with the optimizer's state
best/                 the weights of the best validation, by joint mIoU, and its threshold
diverged/             the batch of a step with a non-finite loss, and the weights before it
weights.txt           how each variable was initialised, by name
score_threshold.json  p(actor) from which a RoI is an instance, chosen on validation, here or in the
                      run of --threshold_from
tensorboard/          events
finished.json         the last step, once the last validation is done
evaluation/<split>/   metrics, detections and label maps
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Collection, Iterable
from typing import Any

from a2d_tf.core.config import PREDATED, Config, InferenceConfig, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json, write_text
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.manifest import RECORD_FIELDS, Manifest, check_facts
from a2d_tf.learning.runs import checkpoints
from a2d_tf.learning.runs.checkpoints import restore
from a2d_tf.model import flavours
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, coco_classes, weights

# The authors' choice of p(actor), for a run without a validation split.
DEFAULT_THRESHOLD = 0.7

logger = logging.getLogger(__name__)


def create(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make the run folder, or check that an existing one belongs to the same network.

    Raises:
      InputError: the folder holds a run of another network or of other records.
    """
    path = os.path.join(workdir, "flags.txt")
    if os.path.exists(path):
        _check_network(workdir, config, manifest.label_space)
        # Changing these would not undo the steps that are done.
        fixed = ["seed", "val_fraction", "zero_shot_actor", "train_phase", "average_decay"]
        check_same(path, config, fixed)
        _check_records(workdir, manifest)
    write_text(os.path.join(workdir, "labels.json"), manifest.label_space.to_json())
    write_json(os.path.join(workdir, "records.json"), _facts(manifest))
    config.write(path)


def _settings(path):
    """The Config of a run's flags.txt."""
    return Config.read(path, of_run=True)


def check_same(path: str, config: Config, fields: Iterable[str], section: str = "learning") -> None:
    """Raise InputError where a run's flags.txt has another value in one of a section's fields."""
    old, new = (getattr(c, section) for c in (_settings(path), config))
    for name in fields:
        if getattr(old, name) != getattr(new, name):
            raise InputError(
                f"{path}: the run there has --{name}={getattr(old, name)}, not "
                f"{getattr(new, name)}; give that, or another run folder"
            )


def start_from(network: Network, config: Config, run: str) -> None:
    """Restore the weights of another run, which must be of the same network.

    Raises:
      InputError: no run there, or one of another network or label space.
    """
    _check_network(run, config, network.labels)
    restore(network, run)


def settle(config: Config, given: Collection[str], workdir: str | None = None) -> Config:
    """Complete the settings by those of the weights that the run starts from.

    These are the flavours of imported files, or of another run. A run that resumes, or starts from
    one of the same network, keeps the behaviour before settings that are younger than that run,
    unless their flags are given. Weights that go by a name are fetched if they are not in the
    cache; a run that resumes does not need them.

    Args:
      config: the settings of the flags.
      given: names of the flags that were given.
      workdir: the run folder, which may hold a run already.

    Raises:
      InputError: an unusable file, or a given flag that contradicts it.
    """
    goes_on = workdir and checkpoints.any_in(os.path.join(workdir, checkpoints.KINDS["last"]))
    run = workdir if goes_on else config.learning.init_run or config.learning.init_checkpoint
    if run:
        there = _settings(os.path.join(run, "flags.txt"))
    if goes_on:
        config = _as_before(config, there, given, ("model", "learning"))
    elif config.learning.init_run:
        config = _as_before(config, there, given, ("model",))
    learning, origin = config.learning, ""
    model: dict[str, Any] = {}
    for stream in ("rgb", "flow"):
        path = "" if goes_on else cache.resolve(getattr(learning, f"init_{stream}"))
        if path:
            model[f"{stream}_flavour"], origin = weights.Weights.read(path).flavour, path
    if run:
        origin = os.path.join(run, "flags.txt")
        model.update(rgb_flavour=there.model.rgb_flavour, flow_flavour=there.model.flow_flavour)
    flavour = model.get("rgb_flavour", config.model.rgb_flavour)
    model.update(flavours.own_flags(flavour))
    for name, value in model.items():
        mine = getattr(config.model, name)
        if name in given and mine != value:
            raise InputError(
                f"--{name}={mine} contradicts {origin or flavour}, which wants {value}; give that, "
                "or leave it out"
            )
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **model))


def _as_before(config, there, given, sections):
    """Take the settings in PREDATED from `there`, an older run's, unless they were given.

    `given` names model flags alone; a learning flag counts as given if it is not at its default.
    """
    for section in sections:
        ours, theirs = (getattr(c, section) for c in (config, there))
        older = {
            field.name: getattr(theirs, field.name)
            for field in dataclasses.fields(ours)
            if field.name in PREDATED
            and field.name not in given
            and getattr(ours, field.name) == field.default
        }
        config = dataclasses.replace(config, **{section: dataclasses.replace(ours, **older)})
    return config


def initialise(network: Network, config: Config) -> weights.LoadReport | None:
    """Load the weights that the settings of a new run name.

    Returns:
      a `weights.LoadReport`; None where they are random, or all of those of --init_run.

    Raises:
      InputError: they are not there, or for another network, or nothing of them fits.
    """
    learning, report = config.learning, None
    if learning.init_run:
        start_from(network, config, learning.init_run)
    elif learning.init_checkpoint:
        report = _warm_start(network, config, learning.init_checkpoint)
    for stream in ("rgb", "flow"):
        path = cache.resolve(getattr(learning, f"init_{stream}"))
        if path:
            loaded = weights.load(network, weights.Weights.read(path), stream)
            report = report.then(loaded) if report else loaded
    return report


def _warm_start(network, config, run):
    path = os.path.join(run, "flags.txt")
    there = _settings(path)
    fields = ["backbone", "norm", "rgb_flavour", "stride_in_1x1", "pixel_scale", "roi_align"]
    if config.model.use_flow and there.model.use_flow:
        fields += ["flow_norm", "flow_flavour", "flow_scale", "flow_bound"]
    check_same(path, config, fields, "model")
    other = Network(there.model, LabelSpace.from_json(os.path.join(run, "labels.json")))
    return weights.copy(network, other, restore(other, run))


def _check_network(workdir, config, labels):
    """Raise InputError unless the run's network has these settings and this label space."""
    path = os.path.join(workdir, "flags.txt")
    check_same(path, config, [f.name for f in dataclasses.fields(config.model)], "model")
    path = os.path.join(workdir, "labels.json")
    if LabelSpace.from_json(path) != labels:
        raise InputError(
            f"{path}: the run there has other actors or actions than the records; give another "
            "run folder"
        )


def _facts(manifest):
    return {name: getattr(manifest, name) for name in RECORD_FIELDS}


def _check_records(workdir, manifest):
    """Raise InputError unless the run learns from records of the same kind."""
    if _record_facts(workdir) != _facts(manifest):
        raise InputError(
            f"{workdir}/records.json: the run there learns from records made otherwise than "
            f"those in {manifest.directory}; give another run folder"
        )


def _record_facts(workdir):
    path = os.path.join(workdir, "records.json")
    try:
        return check_facts(read_json(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); is this a run folder?") from error


@dataclasses.dataclass(frozen=True)
class Run:
    """A loaded run folder.

    Attributes:
      config: its settings, with those given to `load` and the resolved score_threshold.
      network: with the weights of the checkpoint.
      records: {'flow_method', 'image_height', 'image_width', 'clip_stride'} of its records.
      checkpoint: the checkpoint's path.
    """

    config: Config
    network: Network
    records: dict[str, Any]
    checkpoint: str

    def check_records(self, manifest: Manifest) -> None:
        """Raise InputError unless the records are of the kind that the network learned from."""
        for name, value in self.records.items():
            if getattr(manifest, name) != value:
                raise InputError(
                    f"{manifest.directory}: records with {name} {getattr(manifest, name)}, but the "
                    f"network learned from {name} {value}; build the records again with that"
                )
        if manifest.label_space != self.network.labels:
            raise InputError(
                f"{manifest.directory}: the records have other actors or actions than the network"
            )


def load(workdir: str, given: dict[str, Any] | None = None, kind: str = "last") -> Run:
    """Load a run folder.

    Args:
      workdir: the folder.
      given: {setting of inference or computing: value}, over the run's own.
      kind: the checkpoint, one of `checkpoints.KINDS`.

    Raises:
      InputError: no run there, or a damaged one.
    """
    if not os.path.isdir(workdir):
        raise InputError(f"{workdir}: no such run folder; --workdir names what a2d_tf.train made")
    config = _settings(os.path.join(workdir, "flags.txt")).with_inference(**(given or {}))
    labels = LabelSpace.from_json(os.path.join(workdir, "labels.json"))
    if kind == "best":
        _best(workdir)
    if config.inference.score_threshold < 0:
        config = config.with_inference(score_threshold=_threshold(workdir, kind))
    network = Network(config.model, labels, config.compute)
    return Run(config, network, _record_facts(workdir), restore(network, workdir, kind))


def untrained(path: str, given: dict[str, Any] | None = None) -> Run:
    """Load a network with COCO weights alone: it finds A2D's actors, and knows no actions.

    Where COCO has one class for two actors (adult and baby), it is called the first.

    Args:
      path: of a detector's imported weights, or a name of `pretrained`.
      given: {setting of inference or computing: value}.

    Raises:
      InputError: no such file, or not a detector's.
    """
    path = cache.resolve(path)
    imported = weights.Weights.read(path)
    if not imported.classes:
        raise InputError(
            f"{path}: {imported.source} weights are a backbone's, which finds no actors; predict "
            "needs a detector's"
        )
    # With a single action, background must not take a share of its probability.
    model = ModelConfig(
        use_flow=False, temporal_layers=0, action_background=False, **imported.model_fields()
    )
    config = Config(model, InferenceConfig(score_threshold=DEFAULT_THRESHOLD))
    config = config.with_inference(**(given or {})).checked()
    labels = coco_classes.label_space(A2D.actors, "untrained")
    network = Network(model, labels, config.compute)
    logger.info(weights.load(network, imported).summary())
    weights.silence_twins(network)
    facts = dict(zip(RECORD_FIELDS, ("dis", model.image_height, model.image_width, 1)))
    return Run(config, network, facts, path)


def save_threshold(
    workdir: str, threshold: float, metrics: dict, origin: str | None = None
) -> None:
    """Write the threshold chosen on validation, with that split's metrics.

    Args:
      origin: the run whose validation it was, where that is another.
    """
    fields: dict[str, Any] = {"score_threshold": threshold, "validation": metrics}
    if origin:
        fields["origin"] = origin
    write_json(os.path.join(workdir, "score_threshold.json"), fields)


def inherited_threshold(config: Config, manifest: Manifest) -> dict[str, Any] | None:
    """Read the threshold that the run of --threshold_from has chosen.

    Args:
      config: the settings.
      manifest: of the records.

    Returns:
      arguments of `save_threshold`; None where no other run is named.

    Raises:
      InputError: no finished run there, one of another network, label space or kind of records,
        or one that has not chosen its threshold itself.
    """
    origin = config.learning.threshold_from
    if not origin:
        return None
    if not os.path.isdir(origin):
        raise InputError(f"--threshold_from={origin}: no such run folder")
    _check_network(origin, config, manifest.label_space)
    _check_records(origin, manifest)
    path = os.path.join(origin, "score_threshold.json")
    try:
        read_json(os.path.join(origin, "finished.json"))
        chosen = read_json(path)
        if "origin" in chosen:
            raise ValueError(f"it is that of {chosen['origin']}")
        return {
            "threshold": _probability(chosen["score_threshold"]),
            "metrics": chosen["validation"],
            "origin": origin,
        }
    except (OSError, OverflowError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no threshold that a finished run has chosen ({error}); train that run to its "
            "end, with --val_fraction above 0"
        ) from error


def _probability(value):
    """A value of a file as a float; ValueError unless it is a probability."""
    value = float(value)
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is no probability")
    return value


def _threshold(workdir, kind):
    """The threshold that goes with a checkpoint."""
    path = os.path.join(workdir, "score_threshold.json")
    if kind == "best":
        return _best(workdir)["score_threshold"]
    try:
        return _probability(read_json(path)["score_threshold"])
    except FileNotFoundError:
        logger.warning(
            "%s is not there: no validation chose a threshold; using %s", path, DEFAULT_THRESHOLD
        )
        return DEFAULT_THRESHOLD
    except (OSError, OverflowError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no threshold in it; delete it or give --score_threshold"
        ) from error


def _best(workdir):
    """{'step', 'joint_miou', 'score_threshold'} of a run's best validation.

    Raises:
      InputError: no validation has chosen one, or the run was killed while it kept it.
    """
    folder = os.path.join(workdir, checkpoints.KINDS["best"])
    path = os.path.join(folder, checkpoints.BEST)
    try:
        best = read_json(path)
        _probability(best["score_threshold"])
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is not there: no validation has chosen a best checkpoint; --checkpoint=last "
            "takes the newest"
        ) from error
    except (OSError, OverflowError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: damaged ({error}); --checkpoint=last takes the newest"
        ) from error
    newest = checkpoints.newest(folder)
    if newest != os.path.join(folder, f"ckpt-{best['step']}"):
        raise InputError(
            f"{path}: of step {best['step']}, but beside it is {newest}: the run was killed there; "
            "give its command again, or --checkpoint=last"
        )
    return best
