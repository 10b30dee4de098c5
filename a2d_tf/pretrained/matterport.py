"""The layers of matterport's Mask R-CNN behind its backbone: pyramid, proposals, heads.

https://github.com/matterport/Mask_RCNN, class `MaskRCNN` in mrcnn/model.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.ops.anchors import RATIOS
from a2d_tf.pretrained import coco

_ANCHORS = len(RATIOS)  # at a cell


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the source's network; the defaults are the published ones.

    Attributes:
      backbone: a smaller one of the source's family, such as resnet14; empty for the
        published one.
      width_multiplier: of the backbone.
      pyramid, proposals, mask: channels of the feature pyramid, of the proposal network
        and of the mask head.
      head: units of the actor head.
      classes: number of classes without background.
    """

    backbone: str = ""
    width_multiplier: float = 1.0
    pyramid: int = 256
    proposals: int = 512
    head: int = 1024
    mask: int = 256
    classes: int = len(coco.CLASSES)


class MatterportLayer(NamedTuple):
    """A layer of the network.

    Attributes:
      role: its name among converted tensors.
      name: its name in the file.
      kernel_shape: in the file; of a dense layer, a matrix.
      norm: the name of the norm behind it, if there is one.
      change: what its kernel and its bias are converted by.
    """

    role: str
    name: str
    kernel_shape: tuple[int, ...]
    norm: str | None = None
    change: Callable[[np.ndarray], np.ndarray] | None = None


def matterport_layers(sizes: Sizes, widths: Sequence[int]) -> list[MatterportLayer]:
    """List the layers.

    Args:
      sizes: of the network.
      widths: channels of the backbone's maps C2 to C5.
    """
    return [
        *_pyramid_layers(sizes.pyramid, widths),
        *_proposal_layers(sizes.pyramid, sizes.proposals),
        *_actor_layers(sizes.pyramid, sizes.head, sizes.classes + 1),
        *_mask_layers(sizes.pyramid, sizes.mask, sizes.classes + 1),
    ]


def _pyramid_layers(pyramid, widths):
    layers = []
    for level, width in enumerate(widths, 2):
        lateral = f"c{level}p{level}"
        layers += [
            MatterportLayer(f"fpn/{lateral}", f"fpn_{lateral}", (1, 1, width, pyramid)),
            MatterportLayer(f"fpn/p{level}", f"fpn_p{level}", (3, 3, pyramid, pyramid)),
        ]
    return layers


def _proposal_layers(pyramid, channels):
    return [
        MatterportLayer("rpn/conv", "rpn_conv_shared", (3, 3, pyramid, channels)),
        MatterportLayer(
            "rpn/logits",
            "rpn_class_raw",
            (1, 1, channels, 2 * _ANCHORS),
            change=_foreground_logits,
        ),
        MatterportLayer("rpn/deltas", "rpn_bbox_pred", (1, 1, channels, 4 * _ANCHORS)),
    ]


def _actor_layers(pyramid, units, classes):
    """List those of the actor head; the classes have the background, first."""
    return [
        MatterportLayer(
            "actor/fc1",
            "mrcnn_class_conv1",
            (7, 7, pyramid, units),
            norm="mrcnn_class_bn1",
        ),
        MatterportLayer(
            "actor/fc2",
            "mrcnn_class_conv2",
            (1, 1, units, units),
            norm="mrcnn_class_bn2",
        ),
        MatterportLayer(
            "actor/logits",
            "mrcnn_class_logits",
            (units, classes),
            change=_roll_classes,
        ),
        MatterportLayer(
            "actor/deltas",
            "mrcnn_bbox_fc",
            (units, 4 * classes),
            change=_drop_first_box,
        ),
    ]


def _mask_layers(pyramid, channels, classes):
    """List those of the mask head; the classes have the background, first."""
    layers = []
    inputs = pyramid
    for number in range(1, 5):
        layers.append(
            MatterportLayer(
                f"mask/conv{number}",
                f"mrcnn_mask_conv{number}",
                (3, 3, inputs, channels),
                norm=f"mrcnn_mask_bn{number}",
            )
        )
        inputs = channels
    deconvolution = (2, 2, channels, channels)
    layers += [
        MatterportLayer("mask/deconv", "mrcnn_mask_deconv", deconvolution),
        MatterportLayer(
            "mask/logits",
            "mrcnn_mask",
            (1, 1, channels, classes),
            change=_drop_first_class,
        ),
    ]
    return layers


def _foreground_logits(logits):
    """Return foreground minus background of [..., anchors * 2], background first."""
    pairs = logits.reshape(*logits.shape[:-1], _ANCHORS, 2)
    background, foreground = np.moveaxis(pairs, -1, 0)
    return foreground - background


def _roll_classes(logits):
    """Move the background from the first place to the last."""
    return np.roll(logits, shift=-1, axis=-1)


def _drop_first_box(deltas):
    """Drop the box of the background."""
    return deltas[..., 4:]


def _drop_first_class(logits):
    """Drop the mask of the background."""
    return logits[..., 1:]
