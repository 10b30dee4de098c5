"""The run folder: settings, weights and results of a training.

flags.txt             the resolved settings, reusable as --flagfile
labels.json           the label space
records.json          how its records were made: flow method, sizes and clip stride; a
                      digest of their source, the training videos, and how long their
                      coded bouts last
checkpoints/          the newest weights with the optimizer's state
best/                 the weights of the best validation, by joint mIoU or box F1, and
                      its threshold
weights.txt           how each variable was initialised, by name
NOTICE                authors and licence of an action backbone's weights, if it has one
score_threshold.json  p(actor) from which a RoI is an instance, chosen on validation
tensorboard/          events
finished.json         the last step, once the last validation is done
evaluation/<split>/   metrics, what they were computed from, detections and label maps
annotations/          sheets of the annotated frames, before a training of a2d start

A packed model is a run's network in a small folder: flags.txt, labels.json,
records.json and score_threshold.json as above, and

weights.npz           {layer/weight: float16}, without the optimizer's state
metrics.json          the scores of the test split, if the run was evaluated
card.md               what the packer was given as notes
NOTICE                as above
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import shutil
from typing import TypedDict, cast

import a2d_tf
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json, write_text
from a2d_tf.data.manifest import (
    BOUT_SECONDS_KIND,
    FACTS,
    FORMAT,
    MOTION_KIND,
    Manifest,
    MotionFields,
    load_current,
)
from a2d_tf.pretrained import notices
from a2d_tf.runs import checkpoint_files, chosen_threshold, run_checks, run_files

STARTS = ("init_run", "init_rgb", "init_flow", "init_checkpoint")
"""The settings that name the weights which a new run takes."""

# Changing these settings would not undo the steps that are done, nor are they in the
# checkpoints.
_FIXED = (
    "seed",
    "val_fraction",
    "zero_shot_actor",
    "train_phase",
    "average_decay",
    "optimizer",
    "backbone_rate",
)

EVENTS = "events.out.tfevents.*"
"""Files of TensorBoard, in `tensorboard/` and its folders."""

logger = logging.getLogger(__name__)


class RecordFacts(TypedDict, total=False):
    """The contents of records.json: how the records of a run were made."""

    schema: int  # format of records, runs and exports
    written_by: str  # version of a2d_tf
    flow_method: str  # of --flow_method
    image_height: int  # pixels, the most that stored frames have
    image_width: int
    clip_stride: int  # source frames from one of a clip to the next
    source: str  # digest of what the records were made of
    videos: list[str]  # names of those that the run or one before it was trained on
    motion: MotionFields  # absent without motion maps
    bout_seconds: dict[str, float]  # absent without coded bouts, see `Manifest`


def is_new(workdir: str) -> bool:
    """Return whether a run has no checkpoint yet, so starts from initial weights."""
    return not checkpoint_files.steps_in(checkpoint_files.folder(workdir))


def create(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make the run folder of a training, or let the run that is there go on.

    A run without checkpoints begins anew.

    Raises:
      InputError: the folder holds a run of another network or of other records.
    """
    if is_new(workdir):
        _begin(workdir, config, manifest)
    else:
        _resume(workdir, config, manifest)


def is_finished(workdir: str, step: int) -> bool:
    """Return whether a run was marked as finished at a step.

    Raises:
      InputError: the mark, finished.json, is damaged.
    """
    path = os.path.join(workdir, run_files.FINISHED)
    if not os.path.isfile(path):
        return False
    return load_json(path, {"steps": int}, "delete it")["steps"] == step


def record_facts(workdir: str) -> RecordFacts:
    """Read records.json; raise InputError unless it is there, whole and current."""
    fields = load_current(
        os.path.join(workdir, run_files.RECORDS),
        kind={
            **FACTS,
            "source": str,
            "videos": [str],
            "motion?": MOTION_KIND,
            "bout_seconds?": BOUT_SECONDS_KIND,
        },
        missing="is this a run folder?",
        remake="build the records again with a2d records, and train on them",
    )
    return cast(RecordFacts, fields)


def settings(workdir: str) -> Config:
    """Read the settings of a run folder or of a packed model.

    Raises:
      InputError: the folder is neither, or its network is of an earlier version.
    """
    path = run_files.flags_path(workdir)
    if not os.path.isfile(path):
        raise InputError(
            f"{workdir}: not a run folder (no flags.txt); use one of a2d train"
        )
    facts = record_facts(workdir)
    config = Config.read(path)
    if config.model.readout and facts.get("written_by") == "0.1.0":
        raise InputError(
            f"{path}: a readout of a2d_tf 0.1.0; version {a2d_tf.__version__} reads"
            " halves of boxes; train again with a2d train, or use that version"
        )
    return config


def _begin(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make a run folder; remove what an earlier training has left there."""
    first_run = config.training.init_run
    if first_run:
        run_checks.check_made_alike(record_facts(first_run), manifest)
    _forget(workdir)
    trained_on = manifest.videos("train")
    for start in (first_run, config.training.init_checkpoint):
        if start:
            trained_on |= set(record_facts(start)["videos"])
    _write_data_facts(workdir, manifest, trained_on)
    notices.write(workdir, config.model.action_backbone)
    config.write(run_files.flags_path(workdir))


def _resume(workdir: str, config: Config, manifest: Manifest) -> None:
    """Check that a run goes on as it began, and write what may change."""
    # Read first: a run of another version may have other settings.
    facts = record_facts(workdir)
    flags_path = run_files.flags_path(workdir)
    run_config = Config.read(flags_path)
    run_checks.check_network(workdir, run_config, config, manifest.label_space)
    run_checks.check_made_alike(facts, manifest)
    run_checks.check_settings(flags_path, run_config.training, config.training, _FIXED)
    run_checks.compare(
        manifest.directory,
        {"source": facts["source"]},
        vars(manifest),
        remedy=(
            "use the records that it began with, or start another run with --init_run"
        ),
    )
    trained_on = manifest.videos("train") | set(facts["videos"])
    config = _with_start(config, run_config, flags_path)
    _write_data_facts(workdir, manifest, trained_on)
    if not _is_done(workdir, config):
        config.write(flags_path)


def _write_data_facts(workdir: str, manifest: Manifest, trained_on: set[str]) -> None:
    """Write the labels, how the records were made, and the videos trained on."""
    write_text(run_files.labels_path(workdir), manifest.label_space.to_json())
    facts = dict(FORMAT)
    for name in (*FACTS, "source"):
        facts[name] = getattr(manifest, name)
    facts["videos"] = sorted(trained_on)
    if manifest.motion is not None:
        facts["motion"] = dataclasses.asdict(manifest.motion)
    if manifest.bout_seconds:
        facts["bout_seconds"] = manifest.bout_seconds
    write_json(os.path.join(workdir, run_files.RECORDS), facts)


def _is_done(workdir: str, config: Config) -> bool:
    """Return whether a run is finished after as many steps as it is to have."""
    steps = checkpoint_files.steps_in(checkpoint_files.folder(workdir))
    newest = max(steps, default=0)
    return newest >= config.training.steps and is_finished(workdir, newest)


def _forget(workdir: str) -> None:
    """Remove what an earlier training has left whose checkpoints are gone."""
    shutil.rmtree(checkpoint_files.folder(workdir, "best"), ignore_errors=True)
    names = (run_files.FINISHED, chosen_threshold.FILE, "weights.txt", notices.FILE)
    for name in names:
        pathlib.Path(workdir, name).unlink(missing_ok=True)
    for path in pathlib.Path(workdir, "tensorboard").rglob(EVENTS):
        path.unlink()


def _with_start(config: Config, run_config: Config, path: str) -> Config:
    """Keep the settings that a run started with; warn that changes have no effect.

    Args:
      config: the settings of this call.
      run_config: those of the run.
      path: of the run's flags.txt.
    """
    start = {name: getattr(run_config.training, name) for name in STARTS}
    for name, first_value in start.items():
        value = getattr(config.training, name)
        if value and value != first_value:
            logger.warning(
                "%s: the run has already begun; --%s=%s is ignored", path, name, value
            )
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, **start)
    )
