"""Peers of the suites: torch and torchvision, where they are installed.

Weights are random. Frozen batch norm then normalises nothing, so its scales see to it that
activations stay near one, as those of a trained network: else no proposal would survive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

try:
    import torch
    import torchvision
except ImportError:
    torch = None

_PER_LEVEL = 1000  # best anchors of each level that torchvision suppresses


def available() -> bool:
    """Return whether there is a peer that works on the same kind of device as TensorFlow."""
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return torch is not None and torch.cuda.is_available() == gpu


def versions() -> dict[str, str]:
    """Return the peer's versions for the report: {} without a peer."""
    if not available():
        return {}
    return {"torch": torch.__version__, "torchvision": torchvision.__version__}


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
    tensors = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in fields.items()}
    return {name: x.to(device()) for name, x in tensors.items()}


def resnet_fpn(name: str) -> torch.nn.Module:
    """Return ResNet and FPN with frozen batch norm, all layers trainable, channels last."""
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    torch.manual_seed(0)
    model = resnet_fpn_backbone(backbone_name=name, weights=None, trainable_layers=5)
    for blocks in (getattr(model.body, f"layer{stage}") for stage in range(1, 5)):
        for block in blocks:
            last = block.bn3 if hasattr(block, "bn3") else block.bn2
            last.weight.fill_(len(blocks) ** -0.5)
    return model.to(device(), memory_format=torch.channels_last)


def mask_rcnn(
    backbone: str,
    classes: int,
    anchor_sizes: Sequence[int],
    size: tuple[int, int],
    *,
    proposals: int,
    nms_threshold: float,
) -> torch.nn.Module:
    """Return torchvision's Mask R-CNN on images of one size; it neither resizes nor pastes.

    Args:
      backbone: a ResNet's name; classes: without background.
      anchor_sizes: of the five levels; size: (height, width).
      proposals: that come out of the suppression.
      nms_threshold: of detections.
    """
    from torchvision.models.detection import MaskRCNN, anchor_utils

    ratios = [(0.5, 1.0, 2.0)] * 5
    model = MaskRCNN(
        resnet_fpn(backbone),
        classes + 1,
        min_size=min(size),
        max_size=max(size),
        rpn_anchor_generator=anchor_utils.AnchorGenerator([(s,) for s in anchor_sizes], ratios),
        rpn_pre_nms_top_n_train=_PER_LEVEL,
        rpn_pre_nms_top_n_test=_PER_LEVEL,
        rpn_post_nms_top_n_train=proposals,
        rpn_post_nms_top_n_test=proposals,
        box_nms_thresh=nms_threshold,
        _skip_resize=True,
    )
    model.transform.postprocess = lambda result, *_: result
    return model.to(device(), memory_format=torch.channels_last)


def watch(model: torch.nn.Module) -> dict:
    """Return a dict that holds `rois`, `masks` (rows in the heads) and `logits` of each call."""
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
