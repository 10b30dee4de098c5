"""Peers of the suites: torch and torchvision, if they are installed.

Weights are random. Frozen batch norm then normalises nothing, so its scales keep
activations near one, as in a trained network: else no proposal would survive.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig, ModelConfig, TrainingConfig
from a2d_tf.model import backbones, targets
from a2d_tf.model.backbones import resnet
from a2d_tf.ops import anchors

try:
    import torch
    import torchvision
except ImportError:
    torch = None

_GROUP = 8  # channels of a group of our group norm


def available() -> bool:
    """Return whether a peer is installed that works on TensorFlow's kind of device."""
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return torch is not None and torch.cuda.is_available() == gpu


def versions() -> dict[str, str]:
    """Return the peer's versions for the report: {} without a peer."""
    if not available():
        return {}
    return {"torch": torch.__version__, "torchvision": torchvision.__version__}


def device() -> str:
    """Return the name of the device that the peer works on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def waiting(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function so that it waits for what it has started on a GPU."""

    def waited():
        result = function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return result

    return waited


def maps(array: np.ndarray) -> torch.Tensor:
    """Return an array [N, H, W, C] as a tensor [N, C, H, W] on torch's device."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).to(device())


def truth(batch: dict[str, tf.Tensor], row: int) -> dict[str, torch.Tensor]:
    """Return the instances of a clip as torchvision's Mask R-CNN takes them.

    Args:
      batch: a batch of `pipeline.training`.
      row: index of the clip in it.

    Returns:
      {"boxes": [N, 4], (x1, y1, x2, y2) in pixels; "labels": [N], actors from 1;
      "masks": [N, H, W]}.
    """
    present = batch["present"][row].numpy()
    fields = {
        "boxes": batch["boxes"][row].numpy()[present][:, [1, 0, 3, 2]],
        "labels": batch["actors"][row].numpy()[present].astype(np.int64) + 1,
        "masks": batch["masks"][row].numpy()[present],
    }
    tensors = {}
    for name, array in fields.items():
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        tensors[name] = tensor.to(device())
    return tensors


def mask_rcnn(
    model: ModelConfig,
    training: TrainingConfig,
    inference: InferenceConfig,
    classes: int,
) -> torch.nn.Module:
    """Build torchvision's Mask R-CNN with our sizes, widths, counts and preprocessing.

    It does not resize its input. Our counts of proposals before the suppression are of
    all levels, torchvision's are of each level.

    Args:
      model: settings of our network.
      training: settings of our training: numbers of proposals and RoIs.
      inference: settings of our inference: numbers and thresholds.
      classes: number of classes without the background.
    """
    from torchvision.models.detection import faster_rcnn, rpn
    from torchvision.models.detection import mask_rcnn as masks

    convention = backbones.convention(model, "rgb")
    logits = 1 + classes
    channels = model.fpn_channels
    ratios = [tuple(anchors.RATIOS) for _ in model.anchors]
    norm = _group_norm if model.norm == "group_norm" else None
    widths = (model.mask_channels,) * model.mask_layers
    positives = targets.most_positives(training.roi_samples, training.positive_fraction)
    network = masks.MaskRCNN(
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
        box_predictor=faster_rcnn.FastRCNNPredictor(model.head_units, logits),
        box_batch_size_per_image=training.roi_samples,
        # torchvision rounds the number of positives down
        box_positive_fraction=(positives + 0.5) / training.roi_samples,
        box_score_thresh=inference.score_threshold,
        box_nms_thresh=inference.nms_threshold,
        box_detections_per_img=inference.max_detections,
        mask_head=masks.MaskRCNNHeads(channels, widths, 1, norm),
        mask_predictor=masks.MaskRCNNPredictor(widths[-1], widths[-1], logits),
        _skip_resize=True,
    )
    return network.to(device(), memory_format=torch.channels_last)


def _group_norm(channels):
    return torch.nn.GroupNorm(channels // math.gcd(channels, _GROUP), channels)


def _backbone(model):
    from torchvision.models.detection import backbone_utils

    width = round(64 * model.width_multiplier)
    widths = [4 * width * 2**stage for stage in range(4)]
    stages = {f"layer{stage + 1}": str(stage) for stage in range(4)}
    norm = torchvision.ops.FrozenBatchNorm2d
    if model.norm == "group_norm":
        norm = _group_norm
    body = _resnet(width, resnet.BLOCKS[model.backbone], norm)
    return backbone_utils.BackboneWithFPN(body, stages, widths, model.fpn_channels)


def _resnet(width, blocks, norm):
    """Return a ResNet of torchvision's bottlenecks; torchvision's own has width 64.

    Args:
      width: channels of the stem.
      blocks: number of blocks of each stage.
      norm: builds a normalisation of so many channels.
    """
    from torchvision.models.resnet import Bottleneck, conv1x1

    layers = collections.OrderedDict(
        conv1=torch.nn.Conv2d(3, width, 7, 2, 3, bias=False),
        bn1=norm(width),
        relu=torch.nn.ReLU(inplace=True),
        maxpool=torch.nn.MaxPool2d(3, 2, 1),
    )
    channels = width
    for stage, number in enumerate(blocks):
        planes = width * 2**stage
        bottlenecks = []
        for block in range(number):
            stride = 1
            shortcut = None
            if block == 0:
                if stage > 0:
                    stride = 2
                shortcut = torch.nn.Sequential(
                    conv1x1(channels, 4 * planes, stride), norm(4 * planes)
                )
            bottleneck = Bottleneck(channels, planes, stride, shortcut, norm_layer=norm)
            if norm is torchvision.ops.FrozenBatchNorm2d:
                bottleneck.bn3.weight.fill_(number**-0.5)
            bottlenecks.append(bottleneck)
            channels = 4 * planes
        layers[f"layer{stage + 1}"] = torch.nn.Sequential(*bottlenecks)
    network = torch.nn.Sequential(layers)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu"
            )
    return network


def watch(model: torch.nn.Module) -> dict:
    """Return a dictionary that always describes the last call of a Mask R-CNN.

    Its keys are `rois` and `masks`, the number of rows in these heads, and `logits`,
    [RoIs, classes with background].

    Args:
      model: torchvision's network.
    """
    last_call = {}

    def watch_boxes(_, arguments, logits_and_deltas):
        last_call["rois"] = len(arguments[0])
        last_call["logits"] = logits_and_deltas[0].detach()

    def watch_masks(_, arguments, __):
        last_call["masks"] = len(arguments[0])

    model.roi_heads.box_predictor.register_forward_hook(watch_boxes)
    model.roi_heads.mask_predictor.register_forward_hook(watch_masks)
    return last_call


def score_at(logits: torch.Tensor, rank: int) -> float:
    """Return the class score at a rank; if there are fewer scores, the lowest.

    Args:
      logits: [RoIs, classes with background]; scores of the background do not count.
      rank: the rank, from 0 for the highest score.
    """
    scores = torch.softmax(logits, dim=-1)[:, 1:].flatten()
    return float(scores.sort(descending=True).values[min(rank, len(scores) - 1)])
