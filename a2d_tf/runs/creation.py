"""Make the run folder of a training, or check that the run in it can be resumed."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import shutil

from a2d_tf.core.file_format import FORMAT
from a2d_tf.core.files import write_json, write_text
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.manifest import INPUT_SETTINGS, Manifest
from a2d_tf.pretrained import notices
from a2d_tf.runs import chosen_threshold, compatibility, run_folder

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

logger = logging.getLogger(__name__)


def create(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make the run folder of a training, or prepare it to be resumed.

    It writes `flags.txt`, `labels.json`, `records.json` and, for an action backbone,
    `NOTICE`. If the folder has no checkpoint, the training begins anew, and what an
    earlier one has left is removed. If it has, the settings that a run must keep are
    checked, and those that may change, such as the number of steps, are written.

    Args:
      workdir: the run folder.
      config: the settings of the training.
      manifest: the manifest of the records to train on.

    Raises:
      InputError: the folder holds a run of another network, of other records, or with
        other values of settings that cannot change; or with --init_run, the records
        were made in another way than those of the first run.
    """
    if run_folder.is_new(workdir):
        _begin(workdir, config, manifest)
    else:
        _resume(workdir, config, manifest)


def _begin(workdir: str, config: Config, manifest: Manifest) -> None:
    """Make a run folder; remove what an earlier training has left there."""
    first_run = config.training.init_run
    if first_run:
        compatibility.check_made_alike(run_folder.record_facts(first_run), manifest)
    _forget(workdir)
    trained_on = manifest.videos("train")
    for start in (first_run, config.training.init_checkpoint):
        if start:
            trained_on |= set(run_folder.record_facts(start)["videos"])
    _write_data_facts(workdir, manifest, trained_on)
    notices.write(workdir, config.model.action_backbone)
    config.write(run_folder.flags_path(workdir))


def _resume(workdir: str, config: Config, manifest: Manifest) -> None:
    """Check that a run is resumed as it began; write the settings that may change."""
    # Read first: a run of another version may have other settings.
    facts = run_folder.record_facts(workdir)
    flags_path = run_folder.flags_path(workdir)
    run_config = Config.read(flags_path)
    compatibility.check_network(workdir, run_config, config, manifest.label_space)
    compatibility.check_made_alike(facts, manifest)
    compatibility.check_settings(
        flags_path, run_config.training, config.training, _FIXED
    )
    compatibility.compare(
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
    write_text(run_folder.labels_path(workdir), manifest.label_space.to_json())
    facts = dict(FORMAT)
    for name in (*INPUT_SETTINGS, "source"):
        facts[name] = getattr(manifest, name)
    facts["videos"] = sorted(trained_on)
    if manifest.motion is not None:
        facts["motion"] = dataclasses.asdict(manifest.motion)
    if manifest.bout_seconds:
        facts["bout_seconds"] = manifest.bout_seconds
    write_json(os.path.join(workdir, run_folder.RECORDS), facts)


def _is_done(workdir: str, config: Config) -> bool:
    """Return whether a run is finished, after all steps that the settings ask for."""
    steps = run_folder.checkpoint_steps(run_folder.checkpoint_folder(workdir))
    newest = max(steps, default=0)
    return newest >= config.training.steps and run_folder.is_finished(workdir, newest)


def _forget(workdir: str) -> None:
    """Remove the files of an earlier training whose checkpoints are gone."""
    shutil.rmtree(run_folder.checkpoint_folder(workdir, "best"), ignore_errors=True)
    names = (
        run_folder.FINISHED,
        chosen_threshold.FILE,
        run_folder.WEIGHTS,
        notices.FILE,
    )
    for name in names:
        pathlib.Path(workdir, name).unlink(missing_ok=True)
    for path in pathlib.Path(workdir, "tensorboard").rglob(run_folder.EVENTS):
        path.unlink()


def _with_start(config: Config, run_config: Config, path: str) -> Config:
    """Keep the settings that a run started with; warn that changes have no effect.

    Args:
      config: the settings of this call.
      run_config: the settings of the run.
      path: the path of the run's flags.txt, for the warning.
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
