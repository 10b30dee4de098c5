"""Suite `learning`: torchvision's Mask R-CNN as a learner, of our sizes, counts and preprocessing.

Its code is torchvision's but for the width of the ResNet, which torchvision fixes: the stages are
its bottlenecks. EfficientNet-Lite0 is that of the package efficientnet-lite-pytorch.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections import OrderedDict
from unittest import mock

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.model import flavours
from a2d_tf.model.backbones import resnet
from a2d_tf.ops import anchors as anchor_ops
from a2d_tf.pretrained import cache
from a2d_tf.training import optimizer, targets
from tools.benchmarks import peers
from tools.benchmarks.learners import DETECTIONS, LITE0, NMS, SCORE, Found, labels
from tools.benchmarks.peers import torch, torchvision

_GROUP = 8  # channels, as of `group_norm.GroupNorm`


class Peer:
    """torchvision's Mask R-CNN.

    Args:
      config: settings of ours, which it gets where it has such.
      choice: "aligned" for RoIAlign with our grid, or None.
    """

    def __init__(self, config: Config, choice: str | None = None):
        learning = self._learning = config.learning
        self._schedule = optimizer.schedule_of(learning)
        torch.manual_seed(learning.seed)
        self.model = _mask_rcnn(config).to(peers.device(), memory_format=torch.channels_last)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        kernels = [p for p in trained if p.ndim > 1]
        others = [p for p in trained if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": kernels, "weight_decay": learning.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            eps=1e-7,  # Keras'
        )
        self._trained = trained
        self._align = contextlib.nullcontext
        if choice == "aligned":
            self._align = _aligned

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """See `Learner`."""
        self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = float(self._schedule(number))
        truth = [_truth(batch, row) for row in range(len(batch["rgb"]))]
        with self._align():
            loss = sum(self.model(_images(batch), truth).values())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._learning.clip_norm:
            torch.nn.utils.clip_grad_norm_(self._trained, self._learning.clip_norm)
        self._optimizer.step()
        return float(loss.detach())

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Found]:
        """See `Learner`."""
        self.model.eval()
        with torch.inference_mode(), self._align():
            found = self.model(_images(batch))
        return [
            Found(
                one["boxes"].cpu().numpy(),
                one["labels"].cpu().numpy() - 1,
                one["scores"].cpu().numpy().astype(np.float64),
                one["masks"].cpu().numpy()[:, 0] >= 0.5,
            )
            for one in found
        ]


def _aligned():
    poolers = torchvision.ops.poolers
    return mock.patch.object(
        poolers, "roi_align", functools.partial(poolers.roi_align, aligned=True)
    )


def _images(batch):
    pixels = batch["rgb"][:, batch["rgb"].shape[1] // 2].numpy().astype(np.float32) / 255
    return [image.contiguous() for image in peers.maps(pixels)]


def _truth(batch, row):
    present = batch["present"][row].numpy()
    truth = {
        "boxes": batch["boxes"][row].numpy()[present][:, [1, 0, 3, 2]],
        "labels": batch["actors"][row].numpy()[present].astype(np.int64) + 1,
        "masks": batch["masks"][row].numpy()[present],
    }
    tensors = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in truth.items()}
    return {name: x.to(peers.device()) for name, x in tensors.items()}


def _mask_rcnn(config):
    from torchvision.models.detection import faster_rcnn, mask_rcnn, rpn

    model, learning, inference = config.model, config.learning, config.inference
    flavour = flavours.for_stream(model, "rgb")
    classes, channels = 1 + len(labels().actors), model.fpn_channels
    ratios = [tuple(anchor_ops.RATIOS)] * len(model.anchors)
    norm = _group_norm if model.norm == "group_norm" else None
    widths = (model.mask_channels,) * model.mask_layers
    positives = targets.most_positives(learning.roi_samples, learning.positive_fraction)
    return mask_rcnn.MaskRCNN(
        _backbone(config),
        image_mean=[x / 255 for x in flavour.mean],
        image_std=[x / 255 for x in flavour.std],
        min_size=min(model.image_height, model.image_width),
        max_size=max(model.image_height, model.image_width),
        rpn_anchor_generator=rpn.AnchorGenerator(model.anchors, ratios),
        rpn_head=rpn.RPNHead(channels, len(ratios[0])),
        rpn_pre_nms_top_n_train=learning.before_nms,
        rpn_pre_nms_top_n_test=inference.proposals_before_nms,
        rpn_post_nms_top_n_train=learning.train_proposals,
        rpn_post_nms_top_n_test=inference.test_proposals,
        rpn_batch_size_per_image=learning.rpn_samples,
        box_head=faster_rcnn.TwoMLPHead(channels * 49, model.head_units),
        box_predictor=faster_rcnn.FastRCNNPredictor(model.head_units, classes),
        box_batch_size_per_image=learning.roi_samples,
        box_positive_fraction=(positives + 0.5) / learning.roi_samples,  # it rounds down
        box_score_thresh=SCORE,
        box_nms_thresh=NMS,
        box_detections_per_img=DETECTIONS,
        mask_head=mask_rcnn.MaskRCNNHeads(channels, widths, 1, norm),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(widths[-1], widths[-1], classes),
        _skip_resize=True,
    )


def _group_norm(channels):
    groups = channels // math.gcd(channels, _GROUP)
    return torch.nn.GroupNorm(groups, channels)


def _backbone(config):
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    model = config.model
    if model.backbone == LITE0:
        body, widths = Lite0(), [24, 40, 112, 320]
        # Its maps are named as those of the ResNet's stages; nothing else looks inside.
        fpn = BackboneWithFPN(torch.nn.Sequential(), {}, widths, model.fpn_channels)
        fpn.body = body
        return fpn
    width = round(64 * model.width_multiplier)
    widths = [4 * width * 2**stage for stage in range(4)]
    stages = {f"layer{stage + 1}": str(stage) for stage in range(4)}
    return BackboneWithFPN(
        _resnet(width, resnet.BLOCKS[model.backbone]), stages, widths, model.fpn_channels
    )


def _resnet(width, blocks):
    """torchvision's ResNet, of another width than 64."""
    from torchvision.models.resnet import Bottleneck, conv1x1

    layers = OrderedDict(
        conv1=torch.nn.Conv2d(3, width, 7, 2, 3, bias=False),
        bn1=_group_norm(width),
        relu=torch.nn.ReLU(inplace=True),
        maxpool=torch.nn.MaxPool2d(3, 2, 1),
    )
    channels = width
    for stage, number in enumerate(blocks):
        planes, stride, members = width * 2**stage, 1 if stage == 0 else 2, []
        for block in range(number):
            shortcut = None
            if block == 0:
                shortcut = torch.nn.Sequential(
                    conv1x1(channels, 4 * planes, stride), _group_norm(4 * planes)
                )
            members.append(
                Bottleneck(
                    channels,
                    planes,
                    stride if block == 0 else 1,
                    shortcut,
                    norm_layer=_group_norm,
                )
            )
            channels = 4 * planes
        layers[f"layer{stage + 1}"] = torch.nn.Sequential(*members)
    for module in torch.nn.Sequential(layers).modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return torch.nn.Sequential(layers)


class Lite0(torch.nn.Module if torch else object):  # type: ignore[misc]
    """C2..C5 of EfficientNet-Lite0 with ImageNet's weights and frozen batch norm."""

    ENDS = {2: "0", 4: "1", 10: "2", 15: "3"}

    def __init__(self):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        path = cache.installed("lite0")
        self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path))
        for module in self.net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.requires_grad_(False)
        for unused in ("_conv_head", "_bn1", "_fc"):
            setattr(self.net, unused, torch.nn.Identity())

    def train(self, mode: bool = True) -> Lite0:
        """Batch norm and stochastic depth stay as at inference."""
        return super().train(False)

    def forward(self, x: torch.Tensor) -> OrderedDict:
        net, maps = self.net, OrderedDict()
        x = net._swish(net._bn0(net._conv_stem(x)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in self.ENDS:
                maps[self.ENDS[number]] = x
        return maps
