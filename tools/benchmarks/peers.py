"""Peers of the suites: torch and torchvision, where they are installed.

Weights are random. Frozen batch norm then normalises nothing, so its scales see to it
that activations stay near one, as those of a trained network: else no proposal would
survive.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import InferenceConfig, ModelConfig, TrainingConfig
from a2d_tf.model import backbones, targets
from a2d_tf.model.backbones import resnet
from a2d_tf.ops import anchors

try:
    import torch
    import torchvision
except ImportError:
    torch = None

_GROUP = 8  # channels, as of our group norm


def available() -> bool:
    """Return whether there is a peer that works on the same kind of device as
    TensorFlow.
    """
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return torch is not None and torch.cuda.is_available() == gpu


def versions() -> dict[str, str]:
    """Return the peer's versions for the report: {} without a peer."""
    found = {"torch": torch, "torchvision": torchvision} if available() else {}
    return {name: module.__version__ for name, module in found.items()}


def device() -> str:
    """Return the peer's name of its device."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def waiting(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function, which then also waits for what it started on a GPU."""

    def waited():
        result = function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return result

    return waited


def maps(array: np.ndarray) -> torch.Tensor:
    """Return [N, H, W, C] as a tensor [N, C, H, W] of the peer's."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).to(device())


def truth(batch: dict[str, tf.Tensor], row: int) -> dict[str, torch.Tensor]:
    """Return the instances of a clip of a batch as a Mask R-CNN wants them."""
    present = batch["present"][row].numpy()
    fields = {
        "boxes": batch["boxes"][row].numpy()[present][:, [1, 0, 3, 2]],
        "labels": batch["actors"][row].numpy()[present].astype(np.int64) + 1,
        "masks": batch["masks"][row].numpy()[present],
    }
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in fields.items()
    }
    return {name: x.to(device()) for name, x in tensors.items()}


def mask_rcnn(
    model: ModelConfig,
    training: TrainingConfig,
    inference: InferenceConfig,
    classes: int,
) -> torch.nn.Module:
    """Return torchvision's Mask R-CNN of our sizes, widths, counts and preprocessing.

    It does not resize.

    Args:
      training, inference: whose anchors before the suppression are here those of a
        level.
      classes: without background.
    """
    from torchvision.models.detection import faster_rcnn, rpn
    from torchvision.models.detection import mask_rcnn as masks

    convention = backbones.convention(model, "rgb")
    classes, channels = 1 + classes, model.fpn_channels
    ratios = [tuple(anchors.RATIOS)] * len(model.anchors)
    norm = _group_norm if model.norm == "group_norm" else None
    widths = (model.mask_channels,) * model.mask_layers
    positives = targets.most_positives(training.roi_samples, training.positive_fraction)
    made = masks.MaskRCNN(
        _backbone(model),
        image_mean=[x / 255 for x in convention.mean],
        image_std=[x / 255 for x in convention.std],
        min_size=min(model.image_height, model.image_width),
        max_size=max(model.image_height, model.image_width),
        rpn_anchor_generator=rpn.AnchorGenerator(model.anchors, ratios),
        rpn_head=rpn.RPNHead(channels, len(ratios[0])),
        rpn_pre_nms_top_n_train=training.train_proposals_before_nms,
        rpn_pre_nms_top_n_test=inference.proposals_before_nms,
        rpn_post_nms_top_n_train=training.train_proposals,
        rpn_post_nms_top_n_test=inference.test_proposals,
        rpn_batch_size_per_image=training.rpn_samples,
        box_head=faster_rcnn.TwoMLPHead(channels * 49, model.head_units),
        box_predictor=faster_rcnn.FastRCNNPredictor(model.head_units, classes),
        box_batch_size_per_image=training.roi_samples,
        # it rounds down
        box_positive_fraction=(positives + 0.5) / training.roi_samples,
        box_score_thresh=inference.score_threshold,
        box_nms_thresh=inference.nms_threshold,
        box_detections_per_img=inference.max_detections,
        mask_head=masks.MaskRCNNHeads(channels, widths, 1, norm),
        mask_predictor=masks.MaskRCNNPredictor(widths[-1], widths[-1], classes),
        _skip_resize=True,
    )
    return made.to(device(), memory_format=torch.channels_last)


def _group_norm(channels):
    return torch.nn.GroupNorm(channels // math.gcd(channels, _GROUP), channels)


def _backbone(model):
    from torchvision.models.detection import backbone_utils

    width = round(64 * model.width_multiplier)
    widths = [4 * width * 2**stage for stage in range(4)]
    stages = {f"layer{stage + 1}": str(stage) for stage in range(4)}
    norm = (
        _group_norm if model.norm == "group_norm" else torchvision.ops.FrozenBatchNorm2d
    )
    body = _resnet(width, resnet.BLOCKS[model.backbone], norm)
    return backbone_utils.BackboneWithFPN(body, stages, widths, model.fpn_channels)


def _resnet(width, blocks, norm):
    """torchvision's ResNet of its bottlenecks, of another width than 64."""
    from torchvision.models.resnet import Bottleneck, conv1x1

    layers = collections.OrderedDict(
        conv1=torch.nn.Conv2d(3, width, 7, 2, 3, bias=False),
        bn1=norm(width),
        relu=torch.nn.ReLU(inplace=True),
        maxpool=torch.nn.MaxPool2d(3, 2, 1),
    )
    channels = width
    for stage, number in enumerate(blocks):
        planes, members = width * 2**stage, []
        for block in range(number):
            stride, shortcut = 2 if stage and not block else 1, None
            if block == 0:
                sides = conv1x1(channels, 4 * planes, stride), norm(4 * planes)
                shortcut = torch.nn.Sequential(*sides)
            members.append(
                Bottleneck(channels, planes, stride, shortcut, norm_layer=norm)
            )
            if norm is torchvision.ops.FrozenBatchNorm2d:
                members[-1].bn3.weight.fill_(number**-0.5)
            channels = 4 * planes
        layers[f"layer{stage + 1}"] = torch.nn.Sequential(*members)
    net = torch.nn.Sequential(layers)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu"
            )
    return net


def watch(model: torch.nn.Module) -> dict:
    """Return a dict that holds `rois`, `masks` (rows in the heads) and `logits` of
    each call.
    """
    seen, heads = {}, model.roi_heads

    def look(_, arguments, logits_and_deltas):
        seen.update(rois=len(arguments[0]), logits=logits_and_deltas[0].detach())

    heads.box_predictor.register_forward_hook(look)
    heads.mask_predictor.register_forward_hook(
        lambda _, arguments, __: seen.update(masks=len(arguments[0]))
    )
    return seen


def score_of(logits: torch.Tensor, place: int) -> float:
    """Return the class score that this many others exceed, background left out."""
    scores = torch.softmax(logits, dim=-1)[:, 1:].flatten()
    return float(scores.sort(descending=True).values[min(place, len(scores) - 1)])
