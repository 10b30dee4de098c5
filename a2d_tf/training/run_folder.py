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

import contextlib
import dataclasses
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json, write_text
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import RECORD_FIELDS, Manifest, check_facts
from a2d_tf.model.network import Network
from a2d_tf.training import checkpoints
from a2d_tf.training.checkpoints import restore

# The authors' choice of p(actor), for a run without a validation split.
DEFAULT_THRESHOLD = 0.7

STARTS = ("init_run", "init_rgb", "init_flow", "init_checkpoint", "class_map")
"""The settings that name the weights which a new run takes."""

logger = logging.getLogger(__name__)


def is_new(workdir: str) -> bool:
    """Whether a run has no checkpoint yet, so that it starts from its initial weights."""
    return not checkpoints.any_in(os.path.join(workdir, checkpoints.KINDS["last"]))


def create(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make the run folder, or check that an existing one belongs to the same network.

    Raises:
      InputError: the folder holds a run of another network or of other records.
    """
    path = os.path.join(workdir, "flags.txt")
    if os.path.exists(path):
        check_network(workdir, config, manifest.label_space)
        # Changing these would not undo the steps that are done.
        fixed = ["seed", "val_fraction", "zero_shot_actor", "train_phase", "average_decay"]
        begun = not is_new(workdir)
        if begun:
            fixed.append("optimizer")  # whose moments would begin anew
        check_same(path, config, fixed)
        if begun:
            config = _with_start(config, path)
        _check_records(workdir, manifest)
    write_text(os.path.join(workdir, "labels.json"), manifest.label_space.to_json())
    write_json(os.path.join(workdir, "records.json"), _facts(manifest))
    config.write(path)


def forget(workdir: str) -> None:
    """Remove what an earlier training, whose checkpoints are gone, has chosen and finished."""
    shutil.rmtree(os.path.join(workdir, checkpoints.KINDS["best"]), ignore_errors=True)
    for name in ("finished.json", "score_threshold.json"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(workdir, name))


def settings(path: str) -> Config:
    """Read the Config of a run's flags.txt."""
    return Config.read(path)


def _with_start(config, path):
    """Keep the start of a run that goes on, whatever the command says that starts nothing now."""
    there = settings(path).learning
    before = {name: getattr(there, name) for name in STARTS}
    for name, value in before.items():
        given = getattr(config.learning, name)
        if given and given != value:
            logger.warning("%s: the run has begun; --%s=%s is not used", path, name, given)
    return dataclasses.replace(config, learning=dataclasses.replace(config.learning, **before))


def check_same(path: str, config: Config, fields: Iterable[str], section: str = "learning") -> None:
    """Raise InputError where a run's flags.txt has another value in one of a section's fields."""
    old, new = (getattr(c, section) for c in (settings(path), config))
    for name in fields:
        if getattr(old, name) != getattr(new, name):
            raise InputError(
                f"{path}: the run there has --{name}={getattr(old, name)}, not "
                f"{getattr(new, name)}; give that, or another run folder"
            )


def check_network(workdir: str, config: Config, labels: LabelSpace) -> None:
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


def load(
    workdir: str,
    given: dict[str, Any] | None = None,
    kind: str = "last",
    *,
    fill: Callable[[Network, str, str], str] = restore,
) -> Run:
    """Load a run folder.

    Args:
      workdir: the folder.
      given: {setting of inference or computing: value}, over the run's own.
      kind: the checkpoint, one of `checkpoints.KINDS`.
      fill: loads the weights: (network, workdir, kind) -> their path.

    Raises:
      InputError: no run there, or a damaged one.
    """
    if not os.path.isdir(workdir):
        raise InputError(f"{workdir}: no such run folder; --workdir names what a2d_tf.train made")
    config = settings(os.path.join(workdir, "flags.txt")).with_inference(**(given or {})).checked()
    labels = LabelSpace.from_json(os.path.join(workdir, "labels.json"))
    best = _best(workdir) if kind == "best" else None
    if config.inference.score_threshold < 0:
        threshold = _probability(best["score_threshold"]) if best else _threshold(workdir)
        config = config.with_inference(score_threshold=threshold)
    network = Network(config.model, labels, config.compute)
    return Run(config, network, _record_facts(workdir), fill(network, workdir, kind))


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
    check_network(origin, config, manifest.label_space)
    _check_records(origin, manifest)
    path = os.path.join(origin, "score_threshold.json")
    try:
        finished = read_json(os.path.join(origin, "finished.json"))["steps"]
        if finished < settings(os.path.join(origin, "flags.txt")).learning.steps:
            raise ValueError(f"it goes on from step {finished}")
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


def _threshold(workdir):
    """The threshold that the last validation has chosen."""
    path = os.path.join(workdir, "score_threshold.json")
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
