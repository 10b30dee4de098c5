"""The layers of matterport's Mask R-CNN: feature pyramid, proposal network, heads.

The backbone is not among them; `model.backbones` knows its layers.

https://github.com/matterport/Mask_RCNN, class `MaskRCNN` in mrcnn/model.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.ops.anchors import RATIOS
from a2d_tf.pretrained import coco

_ANCHORS_PER_CELL = len(RATIOS)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the network whose weights are converted; by default, as published.

    Other sizes are for smaller networks of the same layout.

    Attributes:
      backbone: name of a smaller backbone of the same family, such as resnet14; empty
        for the published backbone.
      width_multiplier: factor of the backbone's numbers of channels.
      pyramid: number of channels of the feature pyramid.
      proposals: number of channels of the proposal network.
      head: number of units of the actor head's dense layers.
      mask: number of channels of the mask head.
      classes: number of classes, without background.
    """

    backbone: str = ""
    width_multiplier: float = 1.0
    pyramid: int = 256
    proposals: int = 512
    head: int = 1024
    mask: int = 256
    classes: int = len(coco.CLASSES)


class MatterportLayer(NamedTuple):
    """A layer of matterport's Mask R-CNN, and how it becomes one of our network.

    Attributes:
      role: the layer's name in files of imported weights, such as 'fpn/p2'.
      name: the layer's name in matterport's file, such as 'fpn_p2'.
      kernel_shape: shape of the kernel in matterport's file: height, width, in, out, or
        in, out for a dense layer; height, width, out, in for the transposed
        convolution.
      norm: name of the batch norm that follows the layer; None if there is none.
      change: function that converts kernel and bias; None if they stay as they are.
    """

    role: str
    name: str
    kernel_shape: tuple[int, ...]
    norm: str | None = None
    change: Callable[[np.ndarray], np.ndarray] | None = None


def matterport_layers(sizes: Sizes, widths: Sequence[int]) -> list[MatterportLayer]:
    """List the layers of matterport's feature pyramid, proposal network and heads.

    The backbone's layers are not among them.

    Args:
      sizes: sizes of the network.
      widths: numbers of channels of the backbone's maps C2 to C5.
    """
    return [
        *_pyramid_layers(sizes.pyramid, widths),
        *_proposal_layers(sizes.pyramid, sizes.proposals),
        *_actor_layers(sizes.pyramid, sizes.head, sizes.classes + 1),
        *_mask_layers(sizes.pyramid, sizes.mask, sizes.classes + 1),
    ]


def _pyramid_layers(pyramid: int, widths: Sequence[int]) -> list[MatterportLayer]:
    layers = []
    for level, width in enumerate(widths, 2):
        lateral = f"c{level}p{level}"
        layers += [
            MatterportLayer(f"fpn/{lateral}", f"fpn_{lateral}", (1, 1, width, pyramid)),
            MatterportLayer(f"fpn/p{level}", f"fpn_p{level}", (3, 3, pyramid, pyramid)),
        ]
    return layers


def _proposal_layers(pyramid: int, channels: int) -> list[MatterportLayer]:
    return [
        MatterportLayer("rpn/conv", "rpn_conv_shared", (3, 3, pyramid, channels)),
        MatterportLayer(
            "rpn/logits",
            "rpn_class_raw",
            (1, 1, channels, 2 * _ANCHORS_PER_CELL),
            change=_foreground_logits,
        ),
        MatterportLayer(
            "rpn/deltas", "rpn_bbox_pred", (1, 1, channels, 4 * _ANCHORS_PER_CELL)
        ),
    ]


def _actor_layers(pyramid: int, units: int, classes: int) -> list[MatterportLayer]:
    """List the layers of the actor head; `classes` counts the background, too."""
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


def _mask_layers(pyramid: int, channels: int, classes: int) -> list[MatterportLayer]:
    """List the layers of the mask head; `classes` counts the background, too."""
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


def _foreground_logits(logits: np.ndarray) -> np.ndarray:
    """Return the foreground's weights minus those of the background.

    Args:
      logits: [..., anchors * 2]; for each anchor, background and foreground.

    Returns:
      [..., anchors].
    """
    pairs = logits.reshape(*logits.shape[:-1], _ANCHORS_PER_CELL, 2)
    background, foreground = np.moveaxis(pairs, -1, 0)
    return foreground - background


def _roll_classes(logits: np.ndarray) -> np.ndarray:
    """Move the background from the first class to the last."""
    return np.roll(logits, shift=-1, axis=-1)


def _drop_first_box(deltas: np.ndarray) -> np.ndarray:
    """Drop the background's box from [..., classes * 4]."""
    return deltas[..., 4:]


def _drop_first_class(logits: np.ndarray) -> np.ndarray:
    """Drop the background's mask from [..., classes]."""
    return logits[..., 1:]
