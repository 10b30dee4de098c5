"""Flavours: the conventions, beside the numbers, that a set of weights was trained with.

Networks of equal shapes but different conventions compute different functions, and nothing fails:
the results are merely poor. So a file of imported weights names its flavour, and the network
follows it. Orders that a permutation can convert (channels within tensors, classes, anchor ratios,
coordinates) are converted once, on import, and are not part of the flavour.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.ops.boxes import MAX_LOG_SCALE, BoxCoder

_ONE = (1.0, 1.0, 1.0)
_IMAGENET_BGR = (103.53, 116.28, 123.675)


@dataclasses.dataclass(frozen=True)
class Flavour:
    """The conventions of a set of weights.

    Attributes:
      channels: 'rgb' or 'bgr', the order of the input's channels.
      mean, std: in that order; the input is (x - mean) / std of values 0..255.
      epsilon: of every batch normalisation.
      padding: of the stem's pooling and of strided 3x3 convolutions: 'same' (TensorFlow's, with
        more at the end) or 'symmetric' (PyTorch's, one pixel on either side).
      stride_in_1x1: whether a stage strides in its first 1x1 or in its 3x3 convolution.
      head_norm: normalisation of the actor and mask heads; '' for the backbone's.
      rpn_weights, head_weights: of the box coders (dy, dx, dh, dw).
      max_log_scale: bound on dh and dw; infinite for none.
      roi_align: 'aligned' or 'legacy', see `ops.roi_align`. With 'legacy', box coders, clipping and
        NMS treat boxes as inclusive of their last pixel.
    """

    channels: str = "rgb"
    mean: tuple = (123.7, 116.8, 103.9)
    std: tuple = _ONE
    epsilon: float = 1e-5
    padding: str = "same"
    stride_in_1x1: bool = True
    head_norm: str = ""
    rpn_weights: tuple = (1.0, 1.0, 1.0, 1.0)
    head_weights: tuple = (10.0, 10.0, 5.0, 5.0)
    max_log_scale: float = MAX_LOG_SCALE
    roi_align: str = "aligned"

    def preprocess(self, rgb: tf.Tensor) -> tf.Tensor:
        """Normalise RGB values 0..255, float [..., W, 3] of static sides, for the backbone."""
        pixels = tf.gather(rgb, [2, 1, 0], axis=-1) if self.channels == "bgr" else rgb
        # By rows: broadcasting along three channels takes ten times as long.
        width = rgb.shape[-2]
        mean, std = (
            np.tile(np.asarray(values, np.float32), width) for values in (self.mean, self.std)
        )
        rows = (tf.reshape(pixels, [-1, 3 * width]) - mean) / std
        return tf.reshape(rows, [-1, *rgb.shape[1:]])

    @property
    def rpn_coder(self) -> BoxCoder:
        """The box coder of the proposals."""
        return BoxCoder(self.rpn_weights, self.roi_align == "legacy", self.max_log_scale)

    @property
    def rpn_beta(self) -> float:
        """The error of a delta at which the proposals' smooth L1 becomes linear.

        1/9 for plain deltas (Ren et al. 2015). matterport's are ten times as large, where 1 is
        about the same and 1/9 would amount to a plain L1.
        """
        return 1.0 if max(self.rpn_weights) > 1.0 else 1.0 / 9

    @property
    def head_coder(self) -> BoxCoder:
        """The box coder of the actor head."""
        return BoxCoder(self.head_weights, self.roi_align == "legacy", self.max_log_scale)


FLAVOURS = {
    "own": Flavour(),
    # Mask R-CNN on COCO, from which the paper starts; both its box coders have the same weights.
    "matterport": Flavour(
        epsilon=1e-3, rpn_weights=(10.0, 10.0, 5.0, 5.0), max_log_scale=math.inf, roi_align="legacy"
    ),
    # keras.applications, ImageNet.
    "keras": Flavour(
        channels="bgr", mean=(103.939, 116.779, 123.68), epsilon=1.001e-5, padding="symmetric"
    ),
    # R101-FPN on COCO, over the original ResNet-101.
    "detectron2": Flavour(
        channels="bgr", mean=_IMAGENET_BGR, padding="symmetric", head_norm="none"
    ),
    # ImageNet; its own values are in 0..1.
    "torchvision": Flavour(
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        padding="symmetric",
        stride_in_1x1=False,
    ),
    # ImageNet, as TensorFlow's EfficientNet-Lite was trained.
    "efficientnet_lite0": Flavour(mean=(127.0,) * 3, std=(128.0,) * 3, epsilon=1e-3),
}


def for_stream(model: ModelConfig, stream: str) -> Flavour:
    """Return the flavour of a network's 'rgb' or 'flow' stream.

    'own' follows --stride_in_1x1, --pixel_scale and --roi_align, other flavours ignore them.
    """
    name = getattr(model, f"{stream}_flavour")
    if name != "own":
        return FLAVOURS[name]
    return dataclasses.replace(
        FLAVOURS["own"],
        std=(1 / model.pixel_scale,) * 3,
        stride_in_1x1=model.stride_in_1x1,
        roi_align=model.roi_align,
    )


def own_flags(name: str) -> dict:
    """Return the values that a flavour implies for the flags that only 'own' follows."""
    if name == "own":
        return {}
    flavour = FLAVOURS[name]
    return {
        "stride_in_1x1": flavour.stride_in_1x1,
        "roi_align": flavour.roi_align,
        "pixel_scale": 1.0,
    }


def check(name: str, fields: dict, path: str) -> None:
    """Raise InputError unless a file's fields are those of the flavour that it names."""
    known = dataclasses.asdict(FLAVOURS[name]) if name in FLAVOURS else {}
    for field, value in known.items():
        if fields.get(field) != value:
            raise InputError(
                f"{path}: '{field}' is {fields.get(field)}, but {name} weights have {value}; "
                "import them again with tools/import_weights.py"
            )
    if not known:
        raise InputError(f"{path}: of an unknown flavour '{name}'; one of {', '.join(FLAVOURS)}")
