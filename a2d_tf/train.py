"""Train the network: a2d train --flagfile=F --records=RECORDS --workdir=RUN."""

from __future__ import annotations

import functools
import os
import shlex
from typing import TYPE_CHECKING

from a2d_tf.core.command import command_flags, command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.core.labels import A2D
from a2d_tf.core.locks import locked
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.metrics import summaries
from a2d_tf.runs import chosen_threshold, creation, run_folder

if TYPE_CHECKING:
    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.training.fit import ValidationOutcome

FLAGS = command_line.Register()
_RECORDS = FLAGS.define_string("records", None, "Folder written by a2d records.")
_WORKDIR = FLAGS.define_string(
    "workdir", None, "Run folder; an interrupted run there is resumed."
)
_PICTURES = FLAGS.define_integer(
    "pictures", 8, "Clips drawn for TensorBoard at each validation.", 0
)
_DEVICE = command_flags.define_device(FLAGS)
Config.define_flags(FLAGS)


def main(argv: list[str]) -> None:
    """Train a network on records, and print its scores and the next command."""
    config = Config.from_flags(FLAGS)
    command_line.require(argv, records=_RECORDS.value, workdir=_WORKDIR.value)
    run_folder.check_weights_path(_WORKDIR.value)
    training = config.training
    manifest = Manifest.load(_RECORDS.value)
    manifest.check_frames(config.model.frames)
    if training.zero_shot_actor:
        manifest.label_space.actor_index(training.zero_shot_actor)
    import tensorflow as tf

    from a2d_tf.training import run_settings
    from a2d_tf.training.step import replicas

    gpus = devices.prepare(_DEVICE.value, training.deterministic)
    # These complete the settings of the model; those of the training stay.
    named = Config.named_settings(FLAGS, "model", "training")
    config = run_settings.resolve_config(config, named, _WORKDIR.value)
    config = run_settings.without_untrained_masks(config, manifest)
    tf.keras.utils.set_random_seed(training.seed)
    strategy = replicas.make(training.strategy, training.replicas)
    devices.announce(gpus, config.compute.precision, strategy.num_replicas_in_sync)
    workdir = os.path.normpath(_WORKDIR.value)
    with strategy.scope():
        _train(config, manifest, workdir)
    _conclude(workdir, manifest)


def _train(config: Config, manifest: Manifest, workdir: str) -> None:
    """Train a network in a run folder; resume the run that is there.

    Raises:
      InputError: another process trains there.
    """
    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.model.network import Network
    from a2d_tf.training import initial_weights
    from a2d_tf.training.fit import fit
    from a2d_tf.training.fit_readout import fit_readout

    network = Network(config.model, manifest.label_space, config.compute)
    with locked(os.path.join(workdir, ".lock"), wait=False) as is_locked:
        if not is_locked:
            raise InputError(
                f"{workdir}: another training uses this run folder; stop it, or use"
                " another --workdir"
            )
        report = None
        if run_folder.is_new(workdir):
            initial_weights.check_motion_maps(config, manifest)
            report = initial_weights.initialise(network, config)
            fit_readout(network, manifest, config)
        creation.create(workdir, config, manifest)
        if report:
            print(report.summary(), flush=True)
            write_text(os.path.join(workdir, run_folder.WEIGHTS), str(report))
        evaluator = Evaluator(network, config, manifest)
        validate = functools.partial(_validate, evaluator, workdir)
        fit(network, manifest, config, workdir, validate=validate)


def _validate(evaluator: Evaluator, workdir: str) -> ValidationOutcome | None:
    """Choose the threshold of a run, and score its validation split with it.

    Pictures show the same clips in each validation.

    Returns:
      the scores for `fit`; None if no videos are held out.
    """
    from a2d_tf.training.fit import ValidationOutcome

    validation = evaluator.validate("val", _PICTURES.value)
    if validation is None:
        return None
    chosen_threshold.save(
        workdir, validation.threshold, validation.metrics, validation.figures
    )
    scalars = summaries.scalars(validation.metrics)
    scalars["segmentation/threshold"] = validation.threshold
    images = {tag: image[None] for tag, image in validation.pictures.items()}
    return ValidationOutcome(
        scalars=scalars,
        images=images,
        score=validation.score,
        threshold=validation.threshold,
    )


def _conclude(workdir: str, manifest: Manifest) -> None:
    """Print the scores of the last validation, then the result and the next command."""
    metrics = chosen_threshold.read_metrics(workdir)
    result = "no videos were held out for validation"
    if metrics is not None:
        if manifest.label_space != A2D:
            print(summaries.table(summaries.of_own_labels(metrics)))
        result = f"{_deciding_score(metrics)} on held-out videos"
    flags = shlex.join([f"--workdir={workdir}", f"--records={manifest.directory}"])
    print(f"trained: {result}; {workdir}; next: a2d evaluate {flags}")


def _deciding_score(metrics: dict) -> str:
    """Return the score that chose the best weights, in words."""
    if "box_f1" in metrics:
        return f"F1 of boxes {metrics['box_f1']:.1f} %"
    return (
        f"joint mIoU with background {metrics['segmentation']['joint']['miou']:.1f} %"
    )


run = command_line.command(main, FLAGS)


if __name__ == "__main__":
    run()
