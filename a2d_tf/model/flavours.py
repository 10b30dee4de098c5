"""Flavours: everything beside the numbers that a set of weights was trained with.

Two networks of the same shapes compute different functions where these differ, and nothing fails:
the results are merely poor. So a file of imported weights names its flavour, and the network takes
it from there. What a permutation can settle (the order of channels inside tensors, of classes, of
anchor ratios, of coordinates) is settled once, when the weights are imported, and is no part of it.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.ops.boxes import MAX_LOG_SCALE, BoxCoder

_ONE = (1.0, 1.0, 1.0)
_IMAGENET_BGR = (103.53, 116.28, 123.675)


@dataclasses.dataclass(frozen=True)
class Flavour:
    """How the values of a set of weights want to be used.

    Attributes:
      channels: 'rgb' or 'bgr', the order of the input's channels.
      mean, std: in that order; the input is (x - mean) / std of values 0..255.
      epsilon: of every batch normalisation.
      padding: of the stem's pooling and of strided 3x3 convolutions: 'same' (TensorFlow's: more at
        the end) or 'symmetric' (PyTorch's: one pixel on either side).
      stride_in_1x1: whether a stage strides in its first 1x1 or in its 3x3 convolution.
      head_norm: of the actor and mask heads; '' is that of the backbone.
      rpn_weights, head_weights: of the box coders (dy, dx, dh, dw).
      max_log_scale: where dh and dw are clamped; infinite for no clamp.
      roi_align: 'aligned' or 'legacy'; see `ops.roi_align`. With 'legacy' the box coders, clipping
        and suppression work on boxes that end at their last pixel.
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

    def preprocess(self, rgb):
        """RGB values 0..255, float [..., W, 3] of static sides, as the weights want them."""
        pixels = tf.gather(rgb, [2, 1, 0], axis=-1) if self.channels == "bgr" else rgb
        # A row at a time: to broadcast along three channels takes ten times as long.
        width = rgb.shape[-2]
        mean, std = (np.tile(np.float32(values), width) for values in (self.mean, self.std))
        rows = (tf.reshape(pixels, [-1, 3 * width]) - mean) / std
        return tf.reshape(rows, [-1, *rgb.shape[1:]])

    @property
    def rpn_coder(self):
        return BoxCoder(self.rpn_weights, self.roi_align == "legacy", self.max_log_scale)

    @property
    def rpn_beta(self):
        """Where the proposals' smooth L1 turns from square to linear, in units of the deltas.

        In plain deltas 1/9 (Ren et al. 2015). matterport's are ten times as large: there 1 is about
        the same, and 1/9 would be an L1.
        """
        return 1.0 if max(self.rpn_weights) > 1.0 else 1.0 / 9

    @property
    def head_coder(self):
        return BoxCoder(self.head_weights, self.roi_align == "legacy", self.max_log_scale)


FLAVOURS = {
    "own": Flavour(),
    # Mask R-CNN on COCO, the paper's start; its proposal network has the heads' box coder.
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
    # ImageNet, values 0..1.
    "torchvision": Flavour(
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        padding="symmetric",
        stride_in_1x1=False,
    ),
    # ImageNet, as TensorFlow's EfficientNet-Lite was trained.
    "efficientnet_lite0": Flavour(mean=(127.0,) * 3, std=(128.0,) * 3, epsilon=1e-3),
}


def of(config, stream):
    """The flavour of a network's stream.

    With 'own' the flags --stride_in_1x1, --pixel_scale and --roi_align say what they say.

    Args:
      config: a ModelConfig.
      stream: 'rgb' or 'flow'.
    """
    name = getattr(config, f"{stream}_flavour")
    if name != "own":
        return FLAVOURS[name]
    return dataclasses.replace(
        FLAVOURS["own"],
        std=(1 / config.pixel_scale,) * 3,
        stride_in_1x1=config.stride_in_1x1,
        roi_align=config.roi_align,
    )


def own_flags(name):
    """{flag: value} of the flags that speak for the flavour 'own', as another flavour has them."""
    if name == "own":
        return {}
    flavour = FLAVOURS[name]
    return {
        "stride_in_1x1": flavour.stride_in_1x1,
        "roi_align": flavour.roi_align,
        "pixel_scale": 1.0,
    }


def check(name, fields, path):
    """InputError unless a file's fields are those of the flavour that it names."""
    known = dataclasses.asdict(FLAVOURS[name]) if name in FLAVOURS else {}
    for field, value in known.items():
        if fields.get(field) != value:
            raise InputError(
                f"{path}: '{field}' is {fields.get(field)}, but {name} weights have {value}; "
                "import them again with tools/import_weights.py"
            )
    if not known:
        raise InputError(f"{path}: of an unknown flavour '{name}'; one of {', '.join(FLAVOURS)}")
