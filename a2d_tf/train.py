"""Train the network: python -m a2d_tf.train --flagfile=F --records=RECORDS --workdir=RUN."""

import os

from absl import flags

from a2d_tf.core import errors
from a2d_tf.core.config import Config

_RECORDS = flags.DEFINE_string("records", None, "folder that tools/build_records.py made")
_WORKDIR = flags.DEFINE_string("workdir", None, "run folder; an interrupted run there goes on")
_PICTURES = flags.DEFINE_integer(
    "pictures", 8, "clips drawn for TensorBoard: of validation, without that of training", 0
)
_DEVICE = Config.define_device()
Config.define_flags()


def main(argv):
    config = Config.from_flags()
    errors.require(argv, records=_RECORDS.value, workdir=_WORKDIR.value)
    # Below, because TensorFlow takes seconds to load: a mistyped flag should not wait for it.
    import tensorflow as tf

    from a2d_tf.core import devices
    from a2d_tf.data import pipeline
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.learning import replicas
    from a2d_tf.learning.runs import run_folder

    manifest = Manifest.load(_RECORDS.value)
    pipeline.check_manifest(manifest, config.model.frames)
    if config.learning.zero_shot_actor:
        manifest.label_space.actor_index(config.learning.zero_shot_actor)
    config = run_folder.settle(config, Config.given_model(), _WORKDIR.value)
    found = devices.prepare(_DEVICE.value, config.learning.deterministic)
    tf.keras.utils.set_random_seed(config.learning.seed)
    strategy = replicas.make(config.learning.strategy, config.learning.replicas)
    found.announce(config.compute.precision, replicas.local_devices(strategy))
    pipeline.check_batch(config.learning.batch_size, strategy.num_replicas_in_sync)
    with strategy.scope():
        _train(config, manifest, os.path.normpath(_WORKDIR.value))


def _train(config, manifest, workdir):
    """Make or take up the run in `workdir`, in the scope of its strategy."""
    from a2d_tf.core.files import check_tree
    from a2d_tf.evaluation import dashboard
    from a2d_tf.evaluation.runner import Evaluator
    from a2d_tf.learning import fit, replicas
    from a2d_tf.learning.runs import checkpoints, run_folder
    from a2d_tf.model.network import Network

    check_tree(workdir)
    inherited = run_folder.inherited_threshold(config, manifest)
    network = Network(config.model, manifest.label_space, config.compute, config.learning.recompute)
    new, report = not os.path.isdir(os.path.join(workdir, "tensorboard")), None
    if not checkpoints.any_in(os.path.join(workdir, checkpoints.KINDS["last"])):
        report = run_folder.initialise(network, config)
    run_folder.create(workdir, config, manifest)
    if new and replicas.is_chief():
        dashboard.describe(workdir, config)
        if report:
            report.publish(workdir)
    if inherited and replicas.is_chief():
        run_folder.save_threshold(workdir, **inherited)
    threshold = inherited["threshold"] if inherited else run_folder.DEFAULT_THRESHOLD
    measure = fit.make_measure(network, config.learning)
    evaluator = Evaluator(network, config, manifest, measure)

    def evaluate():
        """Choose the threshold and score with it; pictures of the same clips every time."""
        found = evaluator.validate("val", _PICTURES.value)
        if found is None:
            shown = evaluator.pictures("train", threshold, _PICTURES.value)
            return {}, {tag: image[None] for tag, image in shown.items()}
        if replicas.is_chief():
            run_folder.save_threshold(workdir, found.threshold, found.metrics)
        scalars = {**fit.tagged(found.losses), **dashboard.scalars(found)}
        return scalars, dashboard.images(found, network.labels)

    fit.train_and_evaluate(network, manifest, config, workdir, evaluate)


def run():
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
