"""What the suites compare with: torch and torchvision, where they are installed.

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
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection._utils import BoxCoder  # noqa: F401  for the suites
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
except ImportError:
    torch = None


def available() -> bool:
    """Whether there is a peer that works on the same kind of device as TensorFlow."""
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return torch is not None and torch.cuda.is_available() == gpu


def versions() -> dict[str, str]:
    """For the report: {} without a peer."""
    if not available():
        return {}
    return {"torch": torch.__version__, "torchvision": torchvision.__version__}


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def waiting(function: Callable[[], Any]) -> Callable[[], Any]:
    """The function, which then also waits for what it started on a GPU."""

    def waited():
        result = function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return result

    return waited


def maps(array: np.ndarray) -> torch.Tensor:
    """[N, H, W, C] as a tensor [N, C, H, W] of the peer's."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).to(device())


def resnet_fpn(name: str) -> torch.nn.Module:
    """ResNet and FPN with frozen batch norm, all layers trainable, channels last."""
    torch.manual_seed(0)
    model = resnet_fpn_backbone(backbone_name=name, weights=None, trainable_layers=5)
    for blocks in (getattr(model.body, f"layer{stage}") for stage in range(1, 5)):
        for block in blocks:
            last = block.bn3 if hasattr(block, "bn3") else block.bn2
            last.weight.fill_(len(blocks) ** -0.5)
    return model.to(device(), memory_format=torch.channels_last)


def numpy_nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """torchvision's suppression of x1, y1, x2, y2: indices kept, best first."""
    boxes, scores = (torch.from_numpy(x).double() for x in (boxes, scores))
    return torchvision.ops.nms(boxes, scores, iou_threshold).numpy()


def mask_rcnn(
    backbone: str,
    classes: int,
    anchor_sizes: Sequence[int],
    size: tuple[int, int],
    *,
    per_level: int,
    proposals: int,
    nms_threshold: float,
) -> MaskRCNN:
    """torchvision's Mask R-CNN on images of one size, which it neither resizes nor pastes into.

    Args:
      backbone: a ResNet's name; classes: without background.
      anchor_sizes: of the five levels; size: (height, width).
      per_level: anchors of a level that enter the suppression; proposals: that come out of it.
      nms_threshold: of detections.
    """
    anchors = AnchorGenerator([(side,) for side in anchor_sizes], [(0.5, 1.0, 2.0)] * 5)
    model = MaskRCNN(
        resnet_fpn(backbone),
        classes + 1,
        min_size=min(size),
        max_size=max(size),
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=per_level,
        rpn_pre_nms_top_n_test=per_level,
        rpn_post_nms_top_n_train=proposals,
        rpn_post_nms_top_n_test=proposals,
        box_nms_thresh=nms_threshold,
        _skip_resize=True,
    )
    model.transform.postprocess = lambda result, *_: result
    return model.to(device(), memory_format=torch.channels_last)


def targets(batch: dict) -> dict:
    """The truth of a batch's one clip, as a Mask R-CNN wants it."""
    truth = {
        "boxes": batch["boxes"].numpy()[0][:, [1, 0, 3, 2]],
        "labels": batch["actors"].numpy()[0].astype("int64") + 1,
        "masks": batch["masks"].numpy()[0],
    }
    return {name: torch.tensor(value).to(device()) for name, value in truth.items()}


def watch(model: MaskRCNN) -> dict:
    """A dict that after each call holds its `rois`, `masks` (rows in the heads) and `logits`."""
    seen = {}
    heads = model.roi_heads

    def look(_, arguments, logits_and_deltas):
        seen.update(rois=len(arguments[0]), logits=logits_and_deltas[0].detach())

    heads.box_predictor.register_forward_hook(look)
    heads.mask_predictor.register_forward_hook(
        lambda _, arguments, __: seen.update(masks=len(arguments[0]))
    )
    return seen


def score_of(logits: torch.Tensor, place: int) -> float:
    """The class score that this many others exceed, background left out."""
    scores = torch.softmax(logits, dim=-1)[:, 1:].flatten()
    return float(scores.sort(descending=True).values[min(place, len(scores) - 1)])


def detecting(model: MaskRCNN, detections: int, score_threshold: float) -> None:
    """Set what a Mask R-CNN gives at inference."""
    model.roi_heads.detections_per_img = detections
    model.roi_heads.score_thresh = score_threshold


def sampling(model: MaskRCNN, rois: int, positives: int) -> None:
    """Set how many RoIs a Mask R-CNN learns from."""
    sampler = model.roi_heads.fg_bg_sampler
    sampler.batch_size_per_image = rois
    sampler.positive_fraction = (positives + 0.5) / rois  # it rounds down
