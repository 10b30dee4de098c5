"""Public weights: their layouts, the errors, and that they compute what their networks compute."""

import pathlib
import re
import subprocess
import sys

import cv2
import h5py
import matterport_network
import numpy as np
import public_networks
import pytest
import tensorflow as tf
from tiny_network import normal

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.model.backbones import resnet
from a2d_tf.model.flavours import FLAVOURS
from a2d_tf.model.network import Network
from a2d_tf.pretrained import coco_check, coco_classes, layouts, tensor_files
from a2d_tf.pretrained import weights as weights_lib
from a2d_tf.pretrained.weights import Weights

pytestmark = pytest.mark.slow

SIZES = layouts.Sizes("resnet14", width=8, pyramid=16, proposals=24, head=32, mask=12)
SIDES = (16, 32, 64, 128, 256)
TOOL = str(pathlib.Path(__file__).resolve().parents[1] / "tools/import_weights.py")


@pytest.fixture(scope="module")
def matterport(tmp_path_factory):
    """A small network of matterport's, and the file that Keras saves of it."""
    model = matterport_network.build(SIZES, resnet.BLOCKS[SIZES.backbone])
    matterport_network.randomise(model)
    path = tmp_path_factory.mktemp("matterport") / "weights.h5"
    model.save_weights(path)
    return model, str(path)


def torch_norm(made, conv, norm, kernel, rng):
    made[f"{conv}.weight"] = rng.normal(size=kernel)
    for name in ("weight", "bias", "running_mean", "running_var"):
        made[f"{norm}.{name}"] = rng.uniform(0.5, 1.5, kernel[0])


def torch_backbone(prefix, name):
    """{name: array} of a ResNet of one block a stage; `name(stage, part)` names its layers."""
    made, rng, channels = {}, np.random.default_rng(0), SIZES.width
    torch_norm(made, *name(0, "conv1"), (channels, 3, 7, 7), rng)
    for stage in range(1, 5):
        width = SIZES.width * 2 ** (stage - 1)
        torch_norm(made, *name(stage, "shortcut"), (4 * width, channels, 1, 1), rng)
        torch_norm(made, *name(stage, "conv1"), (width, channels, 1, 1), rng)
        torch_norm(made, *name(stage, "conv2"), (width, width, 3, 3), rng)
        torch_norm(made, *name(stage, "conv3"), (4 * width, width, 1, 1), rng)
        channels = 4 * width
    return {f"{prefix}{key}": value.astype(np.float32) for key, value in made.items()}


def torchvision_tensors():
    def name(stage, part):
        if stage == 0:
            return "conv1", "bn1"
        if part == "shortcut":
            return f"layer{stage}.0.downsample.0", f"layer{stage}.0.downsample.1"
        return f"layer{stage}.0.{part}", f"layer{stage}.0.bn{part[-1]}"

    made = torch_backbone("", name)
    return {**made, "bn1.num_batches_tracked": np.array(5), "fc.weight": normal(1000, 256)}


def detectron2_tensors():
    def name(stage, part):
        layer = f"res{stage + 1}.0.{part}" if stage else "stem.conv1"
        return layer, f"{layer}.norm"

    made, rng = torch_backbone("backbone.bottom_up.", name), np.random.default_rng(1)

    def layer(name, *kernel):
        made[f"{name}.weight"] = rng.normal(size=kernel).astype("f")
        made[f"{name}.bias"] = rng.normal(size=kernel[0]).astype("f")

    for level in range(2, 6):
        layer(f"backbone.fpn_lateral{level}", 16, SIZES.width * 2**level, 1, 1)
        layer(f"backbone.fpn_output{level}", 16, 16, 3, 3)
    layer("proposal_generator.rpn_head.conv", 24, 16, 3, 3)
    layer("proposal_generator.rpn_head.objectness_logits", 3, 24, 1, 1)
    layer("proposal_generator.rpn_head.anchor_deltas", 12, 24, 1, 1)
    layer("roi_heads.box_head.fc1", 32, 16 * 7 * 7)
    layer("roi_heads.box_head.fc2", 32, 32)
    layer("roi_heads.box_predictor.cls_score", 81, 32)
    layer("roi_heads.box_predictor.bbox_pred", 320, 32)
    for number in range(1, 5):
        layer(f"roi_heads.mask_head.mask_fcn{number}", 12, 16 if number == 1 else 12, 3, 3)
    layer("roi_heads.mask_head.deconv", 12, 12, 2, 2)
    layer("roi_heads.mask_head.predictor", 80, 12, 1, 1)
    return {**made, "proposal_generator.anchor_generator.cell_anchors.0": normal(3, 4)}


def keras_tensors():
    """Random tensors; that their names are Keras' own is another test's matter."""
    shapes = layouts.shapes("keras_resnet101", SIZES).items()
    made = {name: normal(*shape, seed=seed) ** 2 for seed, (name, shape) in enumerate(shapes)}
    return {**made, "predictions/kernel": normal(256, 1000)}


@pytest.fixture
def tensors(request, matterport):
    made = {
        "matterport": lambda: tensor_files.read(matterport[1]),
        "keras_resnet101": keras_tensors,
        "detectron2": detectron2_tensors,
        "torchvision": torchvision_tensors,
    }
    return made[request.param]()


ALL = pytest.mark.parametrize(
    "source, tensors, skipped",
    [
        ("matterport", "matterport", {}),
        ("keras_resnet101", "keras_resnet101", {"predictions/kernel": "ImageNet's own classes"}),
        (
            "detectron2",
            "detectron2",
            {"proposal_generator.anchor_generator.cell_anchors.0": "anchors are made, not learned"},
        ),
        (
            "torchvision",
            "torchvision",
            {
                "bn1.num_batches_tracked": "a counter of training",
                "fc.weight": "ImageNet's own classes",
            },
        ),
    ],
    indirect=["tensors"],
)


@ALL
def test_every_tensor_is_used_or_skipped_with_a_reason(source, tensors, skipped, tmp_path):
    tensors = {**tensors, "stray.weight": normal(2)}
    weights, used, left = layouts.convert(source, tensors, "FILE", "abc", sizes=SIZES)
    assert left == {**skipped, "stray.weight": "no part of the network"}
    assert sorted([*used, *left]) == sorted(tensors)
    path = str(tmp_path / "made" / "w.h5")
    weights.write(path)
    back = Weights.read(path)
    assert (back.source, back.sha256, back.backbone) == (source, "abc", "resnet14")
    assert back.classes == (coco_classes.CLASSES if source in ("matterport", "detectron2") else ())
    assert back.flavour in FLAVOURS and set(back.tensors) == set(weights.tensors)
    for role, value in weights.tensors.items():
        np.testing.assert_array_equal(np.asarray(back.tensors[role]), value)


@ALL
def test_a_renamed_a_reshaped_a_missing_and_a_broken_tensor_are_named(source, tensors, skipped):
    name = sorted(set(tensors) - set(skipped))[3]
    value = np.asarray(tensors[name])
    left = {k: v for k, v in tensors.items() if k != name}
    for changed, message in (
        (left, f"FILE: no tensor {name}"),
        ({**left, f"{name}_1": value}, f"FILE: no tensor {name}"),
        ({**left, name: value[..., None]}, f"FILE: {name} has shape .*, 1\\), and should have"),
        ({**left, name: value * np.nan}, f"FILE: {name} holds values that are no finite numbers"),
    ):
        with pytest.raises(InputError, match=message):
            layouts.convert(source, changed, "FILE", "", sizes=SIZES)


def test_a_bias_before_a_norm_is_folded_into_the_mean():
    weights, _, _ = layouts.convert("keras_resnet101", keras_tensors(), "FILE", "", sizes=SIZES)
    source = keras_tensors()
    expected = source["conv1_bn/moving_mean"] - source["conv1_conv/bias"]
    np.testing.assert_array_equal(weights.tensors["backbone/stem/mean"], expected)


def test_matterports_network_agrees_stage_by_stage(matterport, tmp_path, capsys):
    model, path = matterport
    photo, folder = str(tmp_path / "photo.png"), str(tmp_path / "check")
    image = cv2.GaussianBlur(np.uint8(128 + 40 * normal(50, 80, 3).clip(-3, 3)), (0, 0), 2)
    cv2.imwrite(photo, image)
    settings = coco_check.CheckSettings(128, proposals=60, score=0.02)
    weights, _, _ = layouts.convert("matterport", tensor_files.read(path), path, "", sizes=SIZES)
    coco_check.run(weights, photo, folder, settings)
    canvas, window = coco_check.square(np.ascontiguousarray(image[..., ::-1]), 128)
    expected = matterport_network.run(model, canvas, window, SIDES, 60, 0.02)
    with np.load(f"{folder}/check.npz") as made:
        assert sorted(made.files) == sorted(expected)
        for name, value in expected.items():
            assert made[name].shape == np.shape(value), name
            scale = np.abs(value).max()
            np.testing.assert_allclose(made[name] / scale, value / scale, atol=2e-5, err_msg=name)
    found = expected["detections"][0]
    assert 0 < (found[:, 4] > 0).sum() < 100
    first = coco_classes.CLASSES[int(found[0, 4]) - 1]
    assert f"{first} {found[0, 5]:.2f}" in capsys.readouterr().out
    assert cv2.imread(f"{folder}/check.png").shape == image.shape


def layout(path):
    """{path: shape} of the datasets in an .h5 file."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
    return {name: shape for name, shape in found.items() if shape is not None}


def random_layout(tool, source, sizes=None):
    """The same of a file of tools/make_random_weights.py, without writing one."""
    dataset = tool("tools.make_random_weights").dataset
    return {dataset(name): shape for name, shape in layouts.shapes(source, sizes).items()}


def test_random_weights_lie_where_keras_puts_matterports(matterport, tool):
    assert random_layout(tool, "matterport", SIZES) == layout(matterport[1])


def test_square_is_bilinear_in_the_middle_of_zeros():
    image = np.arange(8, dtype=np.uint8).reshape(2, 4, 1) * np.uint8([[[30, 20, 10]]])
    canvas, window = coco_check.square(image, 4)
    assert window == (1, 0, 3, 4)
    np.testing.assert_array_equal(canvas[1:3], image)
    assert not canvas[[0, 3]].any()
    # Halved: each pixel is the mean of four.
    canvas, window = coco_check.square(np.tile(image, (2, 1, 1)), 2)
    assert window == (0, 0, 2, 2)
    assert canvas[:, :, 0].tolist() == [[75, 135], [75, 135]]
    # Doubled: samples at quarters; beyond the border the image fades, but not below its least.
    canvas, window = coco_check.square(np.uint8([[[100] * 3, [200] * 3]]), 4)
    assert window == (1, 0, 3, 4)
    assert canvas[1, :, 0].tolist() == [100, 100, 131, 112]


def test_detectron2_orders():
    """Its boxes are x before y, its ratios wide, square, tall, its first layer channels first."""
    source = detectron2_tensors()
    weights, _, _ = layouts.convert("detectron2", source, "FILE", "", sizes=SIZES)
    made, rpn = weights.tensors, "proposal_generator.rpn_head"
    wide = source[f"{rpn}.objectness_logits.weight"][0, :, 0, 0]
    np.testing.assert_array_equal(made["rpn/logits/kernel"][0, 0, :, 2], wide)
    dx_of_tall = source[f"{rpn}.anchor_deltas.bias"][4 * 2 + 0]
    assert made["rpn/deltas/bias"][4 * 0 + 1] == dx_of_tall
    dh_of_wide = source[f"{rpn}.anchor_deltas.weight"][4 * 0 + 3, :, 0, 0]
    np.testing.assert_array_equal(made["rpn/deltas/kernel"][0, 0, :, 4 * 2 + 2], dh_of_wide)
    dw_of_last = source["roi_heads.box_predictor.bbox_pred.weight"][4 * 79 + 2]
    np.testing.assert_array_equal(made["actor/deltas/kernel"][0, 0, :, 4 * 79 + 3], dw_of_last)

    cells = normal(7, 7, 16)
    fc1 = source["roi_heads.box_head.fc1.weight"] @ cells.transpose(2, 0, 1).ravel()
    ours = np.einsum("hwc,hwcd->d", cells, made["actor/fc1/kernel"])
    np.testing.assert_allclose(ours, fc1, atol=1e-3)

    # A transposed convolution by two: each input pixel paints its own 2x2.
    x, kernel = normal(1, 3, 3, 12), source["roi_heads.mask_head.deconv.weight"]
    expected = np.einsum("nijc,coab->niajbo", x, kernel).reshape(1, 6, 6, 12)
    layer = tf.keras.layers.Conv2DTranspose(12, 2, 2, use_bias=False)
    layer.build(x.shape)
    layer.kernel.assign(made["mask/deconv/kernel"])
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)


@pytest.mark.parametrize("tensors", ["matterport", "detectron2"], indirect=True)
def test_a_detector_fills_the_whole_appearance_branch(tensors, request):
    source = request.node.callspec.params["tensors"]
    weights, _, _ = layouts.convert(source, tensors, "FILE", "", sizes=SIZES)
    config = ModelConfig(64, 64, use_flow=False, temporal_layers=0, **weights.model_fields())
    report = weights_lib.load(Network(config, A2D), weights)
    assert {name.split("_")[0] for name in report.initialised} == {"action"}
    assert all("background" in role for role in report.skipped)


def close(made, expected, tolerance=1e-4):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(made / scale, expected / scale, atol=tolerance)


def test_torchvision_resnet101_agrees(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    model = public_networks.torchvision_resnet101()
    path = str(tmp_path / "resnet101.pth")
    torch.save(model.state_dict(), path)
    weights, _, _ = layouts.convert("torchvision", tensor_files.read(path), path)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3)).astype("f")
    expected = public_networks.torchvision_maps(model, rgb)
    for ours, theirs in zip(public_networks.ours(weights, rgb.shape[1:3])(rgb), expected):
        close(ours.numpy(), theirs)


def command(*words, sizes=None):
    """(status, stdout, stderr) of the command, for files of other sizes where given."""
    program = [TOOL]
    if sizes:
        program = [
            "-c",
            "import functools; from a2d_tf.pretrained import layouts; "
            "from a2d_tf.commands.import_weights import run; "
            f"sizes = layouts.{sizes}; "
            "layouts.convert = functools.partial(layouts.convert, sizes=sizes); run()",
        ]
    process = subprocess.run([sys.executable, *program, *words], capture_output=True, text=True)
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize(
    "blocks",
    [(1, 1, 1, 1), pytest.param((3, 4, 23, 3), marks=pytest.mark.full_size)],
    ids=["one block a stage", "ResNet-101"],
)
def test_keras_resnet_through_the_command(blocks, tmp_path, tool):
    model = public_networks.keras_resnet(blocks)
    sizes = layouts.Sizes("resnet101" if blocks[2] == 23 else "resnet14")
    path, imported = str(tmp_path / "notop.h5"), str(tmp_path / "imported.h5")
    model.save_weights(path)
    assert random_layout(tool, "keras_resnet101", sizes) == layout(path)
    words = ("--source", "keras_resnet101", "--input", path, "--output", imported)
    status, out, err = command(*words, sizes=sizes)
    assert status == 0, err
    last = blocks[2]
    assert f"  conv4_block{last}_3_bn/moving_variance: used\n" in out
    name = f"c4_b{last - 1}_conv3/variance"
    assert f"  flow_resnet_{name} <- backbone/{name}\n" in out
    assert "  action_logits/kernel: no pretrained weights exist for it\n" in out

    rgb = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("f")
    expected = public_networks.keras_maps(model, blocks, rgb)
    for ours, theirs in zip(public_networks.ours(Weights.read(imported), (64, 96))(rgb), expected):
        close(ours.numpy(), theirs)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--output=o.h5", "--input=f"], "--source is missing"),
        (["--source=matterport", "--output=o.h5"], "--input is missing"),
        (["--source=matterport", "--input=f"], "--output is missing"),
        (["--source=matterport", "--input=f", "--check_image=p.png"], "--check_output"),
        (["--source=matterport", "--input={folder}/empty.pkl", "--output=o.h5"], "empty.pkl"),
        (["--source=detectron2", "--input={folder}/evil.pkl", "--output=o.h5"], "posix.system"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, words, message):
    (tmp_path / "empty.pkl").write_bytes(b"")
    (tmp_path / "evil.pkl").write_bytes(b"cposix\nsystem\n(S'touch evil'\ntR.")
    status, _, err = command(*(word.format(folder=tmp_path) for word in words))
    *notes, said = err.splitlines()
    assert status == 1 and said.startswith("error: ") and message in said
    # What TensorFlow after 2.15 prints when it loads, whatever its log level.
    assert all(re.match(r"WARNING: All log messages before absl|I\d{4} ", n) for n in notes), err
