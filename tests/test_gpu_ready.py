"""Ready for a GPU, told without one: the kernels that the graphs need are registered for it.

The pip wheel of TensorFlow for Linux holds the GPU kernels and their registry on machines without a
GPU too; a build that does not is skipped. Graphs are traced as they would be with a GPU, and every
op of theirs, those of nested functions included, must have a kernel for its types there, or be
named below with the reason why it stays on the host.
"""

import gpu_kernels as kernels
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from processes import ROOT

from a2d_tf.core import devices
from a2d_tf.core.config import Config
from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.training.train_step import TrainState, make_train_step

pytestmark = pytest.mark.slow

HOST = {
    # Proposals, once a batch. Beside its one kernel, on the CPU, the boxes that pass are few: their
    # transfer costs less than the NonMaxSuppressionV4 of each frame, which has a kernel on a GPU.
    ("CombinedNonMaxSuppression", ""),
    # Resizing of frames of any size to the canvas, by area where it shrinks them, in the exported
    # model: its input comes from the host.
    ("ResizeArea", "uint8"),
    ("ResizeArea", "float32"),
    ("ResizeBilinear", "uint8"),
    # What assertions say. Nothing waits for it.
    ("Const", "string"),
}
"""(op, type): no kernel on a GPU. TensorFlow places these on the CPU and copies."""

TRAINING = {("CombinedNonMaxSuppression", "")}
FRAME = HOST - TRAINING
# Images are looked at and decoded on the host, one by one, and gathered there.
ENCODED = HOST | {
    ("Equal", "string"),
    ("StringLength", ""),
    ("Substr", "int32"),
    ("DecodeRaw", "int32"),
    ("ExtractJpegShape", "int32"),
    ("DecodeJpeg", ""),
    ("Reshape", "int32 string"),
    ("Shape", "int32 string"),
    ("StridedSlice", "int32 string"),
    ("TensorListFromTensor", "int32 string"),
    ("TensorListGetItem", "string"),
    ("TensorListGetItem", "int32 string"),  # newer TensorFlow
    ("TensorListSetItem", "uint8"),
    ("TensorListStack", "uint8"),
}

SMALL = (
    "--image_height=64 --image_width=96 --width_multiplier=0.125 --fpn_channels=16 "
    "--rpn_channels=16 --head_units=32 --mask_channels=16 --mask_layers=1 "
    "--anchor_sizes=8,16,24,32,48 --test_proposals=20 --train_proposals=50 --max_detections=5 "
    "--roi_samples=12 --rpn_samples=32 --max_instances=4 --batch_size=2"
).split()


@pytest.fixture(autouse=True, scope="module")
def knows_gpu_kernels():
    if not on_gpu("Conv2D", T=[tf.float32]):
        pytest.skip("this build of TensorFlow knows no GPU kernels")


@pytest.fixture
def with_gpu(monkeypatch):
    """Graphs as on a GPU: RoIAlign, and how much of the weights is updated at once."""
    monkeypatch.setattr(devices, "on_gpu", lambda: True)


def on_gpu(op, **types):
    return kernels.known("GPU", op, **types)


def settings(folder, *files, flags=()):
    """A flagfile's settings, small."""
    path = folder / "composed.flags"
    lines = [f"--flagfile={ROOT / 'configs' / file}.flags" for file in files]
    path.write_text("\n".join([*lines, *SMALL, *flags]))
    return Config.read(path)


def training_step(config):
    """(compiled step, its arguments)"""
    learning = config.learning
    network = Network(config.model, A2D, jit=learning.jit)
    step = make_train_step(TrainState.create(network, learning), learning)
    batch = tiny_network.labelled(2, config.model.frames)
    return step, (batch, tf.constant(0, tf.int64))


@pytest.mark.parametrize(
    "op, types, expected",
    [
        ("Conv2D", dict(T=[tf.float32]), True),
        ("Conv2D", dict(T=[tf.string]), False),
        ("CropAndResize", dict(T=[tf.float32]), True),
        ("InvertPermutation", dict(T=[tf.int32]), True),
        ("ResizeArea", dict(T=[tf.float32]), False),
        ("CombinedNonMaxSuppression", {}, False),
        ("NonMaxSuppressionV4", dict(T=[tf.float32], T_threshold=[tf.float32]), True),
    ],
)
def test_the_registry_tells_what_is_there_from_what_is_not(op, types, expected):
    assert on_gpu(op, **types) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "files, flags, determinism",
    [
        (("mini",), ("--use_flow=false",), True),
        (("a2d",), ("--backbone=resnet14",), True),
        (("a2d",), ("--backbone=resnet14", "--use_flow=false"), False),
        (("mini", "efficientnet"), ("--norm=bn", "--use_flow=false"), True),
    ],
    indirect=["determinism"],
)
def test_a_training_step_runs_on_a_gpu(files, flags, determinism, with_gpu, tmp_path):
    step, arguments = training_step(settings(tmp_path, *files, flags=flags))
    step = step.get_concrete_function(*arguments)
    assert kernels.missing(step) == TRAINING
    found = kernels.ops(step)
    assert found["Conv2DBackpropFilter"] > 30 and found["CropAndResize"]
    assert not [op for op in found if op.startswith("Resize")]  # has no gradient in XLA
    if determinism:
        assert not kernels.NOT_DETERMINISTIC & set(found)
        norms = [node for node in kernels.nodes(step) if node.op == "FusedBatchNormGradV3"]
        modes = {node.attr["is_training"].b for node in norms}
        assert modes <= {True}
    else:
        assert found["CropAndResizeGradImage"] and not found["SparseTensorDenseMatMul"]


@pytest.mark.slow
@pytest.mark.parametrize("determinism", [True], indirect=True)
def test_an_export_runs_on_a_gpu(determinism, with_gpu, tmp_path):
    config = settings(tmp_path, "mini")
    served = ServedNetwork(Network(config.model, A2D), config.inference)
    signatures = served.signatures()
    made = {name: kernels.missing(f) for name, f in signatures.items()}
    encoded = made.pop("encoded")
    assert ("DecodeJpeg", "") in encoded and encoded <= ENCODED
    assert made == {
        "serving_default": HOST,
        "stream": HOST,
        "frame": FRAME,
        "key_frame": TRAINING | {("Const", "string")},
    }
    for name, function in signatures.items():
        assert not kernels.NOT_DETERMINISTIC & set(kernels.ops(function)), name


@pytest.mark.parametrize("determinism", [False], indirect=True)
def test_towers_compile(determinism):
    """XLA, forward and gradient. (Under op determinism it refuses the gradient of max pooling.)"""
    network = tiny_network.make(norm="frozen_bn")
    frames = {name: tf.constant(x[:, 0]) for name, x in tiny_network.clip(2, 1).items()}
    variables = network.towers.trainable_variables

    def step():
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(network.towers(frames))
            loss = tf.add_n([tf.reduce_mean(tf.square(x)) for x in outputs])
        return [*outputs, *tape.gradient(loss, variables)]

    plain, compiled = (tf.function(step, jit_compile=jit)() for jit in (False, True))
    for a, b in zip(plain, compiled):
        np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(a).max())
