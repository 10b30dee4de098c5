"""Networks of public layouts against ours with their imported weights, which are random here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import cv2
import matterport_network
import numpy as np
import public_networks
import tensorflow as tf

from a2d_tf.model import flavours
from a2d_tf.model.backbones import efficientnet, resnet
from a2d_tf.pretrained import cache, coco_check, layouts, tensor_files
from tools.benchmarks import learners, peers
from tools.parities.comparison import RELATIVE, Comparison, relative

_SIZES = layouts.Sizes("resnet14", width=8, pyramid=16, proposals=24, head=32, mask=12)
_SIDES = (16, 32, 64, 128, 256)
_PARTS = {
    "P2 to P6": ("P2", "P3", "P4", "P5", "P6"),
    "proposals": ("rpn_logits", "rpn_deltas", "proposals"),
    "classes and boxes": ("class_probabilities", "box_deltas", "detections"),
    "masks": ("masks",),
}


def compare() -> Iterator[Comparison]:
    """Yield the rows."""
    yield from _matterport()
    blocks = (1, 1, 1, 1)
    yield Comparison(
        "ResNet, `keras_resnet101`: C2 to C5", "keras.applications", _keras(blocks), 1e-4, RELATIVE
    )
    yield Comparison(
        "ResNet-101, `torchvision`: C2 to C5", "torchvision", _torchvision(), 1e-4, RELATIVE
    )
    yield Comparison(
        "EfficientNet-Lite0 of ImageNet: C2 to C5",
        "efficientnet-lite-pytorch",
        _lite0(),
        1e-4,
        RELATIVE,
    )


def _matterport():
    """Every stage of a Mask R-CNN in matterport's layout, on one image."""
    model = matterport_network.build(_SIZES, resnet.BLOCKS[_SIZES.backbone])
    matterport_network.randomise(model)
    noise = np.random.default_rng(0).normal(size=(50, 80, 3)).clip(-3, 3)
    image = cv2.GaussianBlur(np.uint8(128 + 40 * noise), (0, 0), 2)
    with tempfile.TemporaryDirectory() as folder:
        path, photo = os.path.join(folder, "weights.h5"), os.path.join(folder, "photo.png")
        model.save_weights(path)
        cv2.imwrite(photo, image)
        weights, _, _ = layouts.convert(
            "matterport", tensor_files.read(path), path, "", sizes=_SIZES
        )
        settings = coco_check.CheckSettings(128, proposals=60, score=0.02)
        coco_check.run(weights, photo, folder, settings)
        with np.load(os.path.join(folder, "check.npz")) as stored:
            ours = dict(stored)
    canvas, window = coco_check.square(np.ascontiguousarray(image[..., ::-1]), 128)
    theirs = matterport_network.run(model, canvas, window, _SIDES, 60, 0.02)
    for part, names in _PARTS.items():
        difference = relative((ours[n] for n in names), (theirs[n] for n in names))
        stage = f"Mask R-CNN, `matterport`: {part}"
        yield Comparison(stage, "matterport's graph in Keras", difference, 2e-5, RELATIVE)


def _keras(blocks):
    model = public_networks.keras_resnet(blocks)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("f")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "notop.h5")
        model.save_weights(path)
        tensors = tensor_files.read(path)
    sizes = layouts.Sizes("resnet14")
    weights, _, _ = layouts.convert("keras_resnet101", tensors, path, "", sizes=sizes)
    ours = public_networks.ours(weights, rgb.shape[1:3])(rgb)
    return relative(ours, public_networks.keras_maps(model, blocks, rgb))


def _torchvision():
    if peers.torch is None:
        return None
    model = public_networks.torchvision_resnet101()
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    weights, _, _ = layouts.convert("torchvision", tensors, "resnet101.pth")
    rgb = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3)).astype("f")
    ours = public_networks.ours(weights, rgb.shape[1:3])(rgb)
    return relative(ours, public_networks.torchvision_maps(model, rgb))


def _lite0():
    path = cache.installed("lite0")
    if peers.torch is None or path is None:
        return None
    from tools.benchmarks.peer_learner import Lite0

    made, _, _ = layouts.convert(learners.LITE0, tensor_files.read(str(path)), str(path))
    flavour = flavours.FLAVOURS[made.flavour]
    image = tf.keras.Input([64, 96, 3])
    model = tf.keras.Model(image, efficientnet.efficientnet_lite0(image))
    for layer in model.layers:
        for variable in layer.weights:
            name = variable.name.split("/")[-1].split(":")[0]
            role = layer.name[len("efficientnet_") :]
            variable.assign(made.tensors[f"backbone/{role}/{name}"])
    rgb = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("f")
    pixels = flavour.preprocess(tf.constant(rgb))
    with peers.torch.inference_mode():
        theirs = Lite0().eval()(peers.maps(pixels.numpy()).contiguous())
    return relative(model(pixels), [x.numpy().transpose(0, 2, 3, 1) for x in theirs.values()])
