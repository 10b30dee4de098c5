"""Fixtures that several test modules share."""

import gc
import os
import pathlib
import shutil
import sys

import extra_packages
import pytest

import a2d_tf  # noqa: F401  before TensorFlow, whose environment it sets

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests are for the CPU, and a GPU that is half installed does not stop them;
# CUDA_VISIBLE_DEVICES=0 runs them on one.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Give the tests an empty cache of weights in place of the user's."""
    os.environ["A2D_TF_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def pytest_collection_finish():
    """Freeze what is imported by then, so that no garbage collection visits it."""
    gc.freeze()


@pytest.fixture(autouse=True)
def forgotten_gradients():
    """Free what a test has traced after the test.

    TensorFlow keeps every `tf.custom_gradient` of a graph in a register of its own, and
    so the whole graph: a few hundred megabytes of a training step.
    """
    yield
    ops = sys.modules.get("tensorflow.python.framework.ops")
    register = ops.gradient_registry._registry if ops else {}
    names = [name for name in register if name.startswith("CustomGradient")]
    for name in names:
        del register[name]
    if names:
        gc.collect()


@pytest.fixture
def server(monkeypatch):
    """Return a `loopback.Server`, which is reached past any proxy."""
    import loopback

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with loopback.running() as server:
        yield server


@pytest.fixture
def determinism(request):
    """Set op determinism as the test's parameter says, and restore it after the test.

    The parameter is True or False. Without determinism, kernels of a CPU with threads
    are racy.
    """
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    switch = (config.disable_op_determinism, config.enable_op_determinism)
    switch[request.param]()
    yield request.param
    switch[before]()


@pytest.fixture
def eagerly():
    """Run TensorFlow's functions untraced: a single step costs less than its trace."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def mini_records(tmp_path_factory):
    """Return the manifest of records of a mini A2D: 12 training clips, 6 test clips.

    The training clips are of 4 videos, the test clips of 2. Frames are 64x80, made for
    a 64x96 canvas, so that every clip has padding; a clip has 5 frames.
    """
    from a2d_tf.data.conversion import convert
    from a2d_tf.data.mini import mini_a2d
    from a2d_tf.data.record_folder.manifest import Manifest
    from a2d_tf.data.sources.release import Release

    folder = tmp_path_factory.mktemp("mini")
    release = mini_a2d.make_release(folder, videos=6, seed=0, workers=1)
    settings = convert.ConversionSettings(
        image_height=64, image_width=96, clip_frames=5, shard_videos=2
    )
    convert.convert(Release(release), folder / "records", settings, workers=1)
    return Manifest.load(folder / "records")


@pytest.fixture(scope="session")
def random_i3d(tmp_path_factory):
    """Return the folder of a cache that has I3D with small random weights."""
    import numpy as np

    from a2d_tf.model import backbones
    from a2d_tf.pretrained.weights_file import Weights

    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    tensors = {}
    for layer in backbones.build_action_backbone("i3d").layers:
        for variable in layer.weights:
            weight = variable.name.split(":")[0].split("/")[-1]
            deviation = (2 / np.prod(variable.shape[:-1])) ** 0.5
            values = deviation * rng.normal(size=variable.shape)
            tensors[f"backbone/{layer.name[4:]}/{weight}"] = values.astype(np.float32)
    kernel = rng.normal(size=(1024, 400)) / 32
    tensors["logits/kernel"] = kernel.astype(np.float32)
    tensors["logits/bias"] = rng.normal(size=400).astype(np.float32)
    (folder / "weights").mkdir()
    weights = Weights(tensors, "i3d", "i3d", (), "5eed", "")
    weights.write(str(folder / "weights/i3d.h5"))
    return folder


@pytest.fixture(scope="session")
def small_source(tmp_path_factory):
    """Return the folder of `a2d_files.small_release`, which tests must not change."""
    from a2d_files import small_release

    return small_release(tmp_path_factory.mktemp("small") / "Release")


@pytest.fixture
def small_copy(small_source, tmp_path):
    """Return a copy of `small_source`, which the test may change."""
    return shutil.copytree(small_source, tmp_path / "Release")


@pytest.fixture(scope="session")
def small_records(small_source):
    """Return the folder of the records of `small_source`, a shard for each video."""
    from a2d_tf.data.conversion import convert
    from a2d_tf.data.sources.release import Release

    settings = convert.ConversionSettings(
        image_height=48, image_width=48, shard_videos=1
    )
    output = small_source.parent / "records"
    convert.convert(Release(small_source), output, settings, workers=1)
    return output


@pytest.fixture(scope="session")
def loaded_run(tmp_path_factory):
    """Return a loaded run of the smallest network, with threshold .3.

    It fits `mini_records`. The weights are random; those of the output layers are
    enlarged, so that scores, boxes and masks differ.
    """
    import tensorflow as tf
    import tiny_network

    from a2d_tf.core.settings.config import Config, InferenceConfig
    from a2d_tf.runs import chosen_threshold, creation, loading, run_folder

    folder = tmp_path_factory.mktemp("tiny_run")
    inference = InferenceConfig(
        test_proposals=30, proposals_before_nms=200, max_detections=8
    )
    sizes = {"anchor_sizes": "24,32,48,56,64"}
    config = Config(tiny_network.config(**sizes), inference)
    network = tiny_network.make(**sizes)
    factors = {"actor_logits": 20.0, "action_logits": 2.0, "mask_logits": 30.0}
    for weight in network.roi_heads.weights + network.mask_head.weights:
        for name, factor in factors.items():
            if name in weight.name and "kernel" in weight.name:
                weight.assign(weight * factor)
    creation.create(folder, config, tiny_network.manifest())
    chosen_threshold.save(folder, 0.3, {}, {0.3: 50.0})
    saver = tf.train.Checkpoint(network=network)
    path = tf.train.CheckpointManager(saver, str(folder / "checkpoints"), 1).save(7)
    facts = {
        name: getattr(tiny_network.manifest(), name)
        for name in run_folder.INPUT_SETTINGS
    }
    return loading.Run(config.with_settings(score_threshold=0.3), network, facts, path)


@pytest.fixture(scope="session")
def tiny_run(loaded_run):
    """Return the run folder of `loaded_run`, which has one checkpoint."""
    return pathlib.Path(loaded_run.checkpoint).parents[1]


@pytest.fixture(scope="session")
def evaluator(loaded_run, mini_records):
    """Return an `Evaluator` of `loaded_run` on `mini_records`."""
    from a2d_tf.evaluation.evaluator import Evaluator

    return Evaluator(loaded_run.network, loaded_run.config, mini_records)


@pytest.fixture(scope="session")
def evaluated(evaluator, tmp_path_factory):
    """Return the metrics of the test split at threshold .3, and their folder.

    Tests must not change them.
    """
    folder = tmp_path_factory.mktemp("evaluation") / "test"
    return evaluator.evaluate("test", 0.3, str(folder)), folder


@pytest.fixture(scope="session")
def validated(evaluator):
    """Return the `Validation` of the test split, with two pictures."""
    return evaluator.validate("test", 2)


@pytest.fixture(scope="session")
def saved_model(tiny_run, tmp_path_factory):
    """Return the folder of `tiny_run`'s export, which is made once for all workers."""
    from processes import run_a2d

    from a2d_tf.core.locks import locked

    folder = tmp_path_factory.getbasetemp()
    # for all workers
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    output = folder / "export" / "model" / "3"
    with locked(folder / "export.lock"):
        if not output.exists():
            done = run_a2d("export", f"--workdir={tiny_run}", f"--output={output}")
            assert done.returncode == 0, done.stderr
            assert f"-> {output}\n" in done.stdout, done.stdout
    return output


@pytest.fixture(scope="session")
def predictor(saved_model):
    """Return the `Predictor` of `saved_model`."""
    from a2d_tf.video.predictors.predictor import Predictor

    return Predictor.load(str(saved_model))


@pytest.fixture(scope="session")
def pose_packages():
    """Return the folder of the packages sleap-io, pandas and PyTables, for sys.path."""
    return extra_packages.folder("poses")


@pytest.fixture
def sleap_io(pose_packages, monkeypatch):
    """Return the module `sleap_io`, which is not among the project's requirements."""
    monkeypatch.syspath_prepend(pose_packages)
    import sleap_io

    return sleap_io
