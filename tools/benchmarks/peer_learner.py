"""Suite `learning`: torchvision's Mask R-CNN as a learner, of our sizes, counts and preprocessing.

Its code is torchvision's but for the width of the ResNet, which torchvision fixes: the stages are
its bottlenecks.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import tensorflow as tf
import torch
from torchvision.models import resnet as torchvision_resnet
from torchvision.models.detection import backbone_utils, faster_rcnn, mask_rcnn, rpn

from a2d_tf.core.config import Config
from a2d_tf.core.labels import A2D
from a2d_tf.model import backbones, targets
from a2d_tf.model.backbones import resnet
from a2d_tf.ops import anchors
from a2d_tf.training import optimizer
from tools.benchmarks import peers
from tools.benchmarks.setups import DETECTIONS, NMS, SCORE, Instances

_GROUP = 8  # channels, as of our group norm


class Torchvisions:
    """torchvision's Mask R-CNN with the settings of ours, and the methods of `learning.Ours`."""

    def __init__(self, config: Config) -> None:
        training = self._settings = config.training
        self._schedule = optimizer.Schedule(training)
        torch.manual_seed(training.seed)
        self._model = _mask_rcnn(config).to(peers.device(), memory_format=torch.channels_last)
        self._trained = [p for p in self._model.parameters() if p.requires_grad]
        kernels = [p for p in self._trained if p.ndim > 1]
        others = [p for p in self._trained if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": kernels, "weight_decay": training.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            eps=1e-7,  # Keras'
        )

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch; return the loss."""
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = float(self._schedule(number))
        truth = [peers.truth(batch, row) for row in range(len(batch["rgb"]))]
        loss = sum(self._model(_images(batch), truth).values())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self._trained, self._settings.clip_norm)
        self._optimizer.step()
        return float(loss.detach())

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Instances]:
        """Detect on the frames of a batch."""
        self._model.eval()
        with torch.inference_mode():
            found = self._model(_images(batch))
        return [
            Instances(
                one["boxes"].cpu().numpy()[:, [1, 0, 3, 2]],
                one["labels"].cpu().numpy() - 1,
                one["scores"].cpu().numpy().astype(np.float64),
                one["masks"].cpu().numpy()[:, 0] >= 0.5,
            )
            for one in found
        ]


def _images(batch):
    pixels = batch["rgb"][:, batch["rgb"].shape[1] // 2].numpy().astype(np.float32) / 255
    return [image.contiguous() for image in peers.maps(pixels)]


def _mask_rcnn(config):
    model, training, inference = config.model, config.training, config.inference
    convention = backbones.convention(model, "rgb")
    classes, channels = 1 + len(A2D.actors), model.fpn_channels
    ratios = [tuple(anchors.RATIOS)] * len(model.anchors)
    norm = _group_norm if model.norm == "group_norm" else None
    widths = (model.mask_channels,) * model.mask_layers
    positives = targets.most_positives(training.roi_samples, training.positive_fraction)
    return mask_rcnn.MaskRCNN(
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
        box_positive_fraction=(positives + 0.5) / training.roi_samples,  # it rounds down
        box_score_thresh=SCORE,
        box_nms_thresh=NMS,
        box_detections_per_img=DETECTIONS,
        mask_head=mask_rcnn.MaskRCNNHeads(channels, widths, 1, norm),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(widths[-1], widths[-1], classes),
        _skip_resize=True,
    )


def _group_norm(channels):
    return torch.nn.GroupNorm(channels // math.gcd(channels, _GROUP), channels)


def _backbone(model):
    width = round(64 * model.width_multiplier)
    widths = [4 * width * 2**stage for stage in range(4)]
    stages = {f"layer{stage + 1}": str(stage) for stage in range(4)}
    body = _resnet(width, resnet.BLOCKS[model.backbone])
    return backbone_utils.BackboneWithFPN(body, stages, widths, model.fpn_channels)


def _resnet(width, blocks):
    """torchvision's ResNet, of another width than 64."""
    layers = OrderedDict(
        conv1=torch.nn.Conv2d(3, width, 7, 2, 3, bias=False),
        bn1=_group_norm(width),
        relu=torch.nn.ReLU(inplace=True),
        maxpool=torch.nn.MaxPool2d(3, 2, 1),
    )
    channels = width
    for stage, number in enumerate(blocks):
        planes, members = width * 2**stage, []
        for block in range(number):
            stride = 2 if stage and not block else 1
            shortcut = None
            if block == 0:
                shortcut = torch.nn.Sequential(
                    torchvision_resnet.conv1x1(channels, 4 * planes, stride),
                    _group_norm(4 * planes),
                )
            members.append(
                torchvision_resnet.Bottleneck(
                    channels, planes, stride, shortcut, norm_layer=_group_norm
                )
            )
            channels = 4 * planes
        layers[f"layer{stage + 1}"] = torch.nn.Sequential(*members)
    net = torch.nn.Sequential(layers)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net
