"""Bottleneck ResNets (He et al. 2016), the backbones of both streams (3.1, 3.2).

One builder covers the variants of public weights: the stride is in the first 1x1
convolution (the original, matterport, keras.applications) or in the 3x3, and strided
windows are padded TensorFlow's way (matterport) or PyTorch's (keras.applications).
"""

from __future__ import annotations

import functools
import math

import tensorflow as tf

from a2d_tf.model.backbones.entry import Backbone, Convention, Published
from a2d_tf.model.layers import ConvNorm


def resnet(
    x: tf.Tensor,
    width_multiplier: float = 1.0,
    norm: str = "frozen_bn",
    *,
    blocks: tuple[int, ...],
    convention: Convention,
    stem_norm: str | None = None,
    deviation: float = 1.0,
    name: str = "resnet",
) -> list[tf.Tensor]:
    """Build a bottleneck ResNet up to its last stage, without the classifier.

    A frozen norm's initial gamma keeps activations near one: before each sum it also
    divides by the square root of a stage's number of blocks.

    Args:
      x: float32 [N, H, W, 3], normalised RGB, or (u, v, length) of flow.
      width_multiplier: factor on the numbers of channels.
      norm: normalisation of the layers, 'frozen_bn', 'frozen_stats', 'group_norm' or
        'none'.
      blocks: number of bottlenecks of each of the four stages.
      convention: the weight convention, what pretrained weights ask of the network;
        padding, position of strides and epsilon are read.
      stem_norm: normalisation of the first convolution; None for `norm`.
      deviation: the typical size of the input's values, by which the stem divides under
        a frozen norm.
      name: prefix of the layers' names.

    Returns:
      C2 to C5: [N, H/4, W/4, 4w], [N, H/8, W/8, 8w], [N, H/16, W/16, 16w], [N, H/32,
      W/32, 32w] with w = 64 * width_multiplier.
    """
    width = int(round(64 * width_multiplier))
    x = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
    x = ConvNorm(
        width,
        7,
        2,
        stem_norm or norm,
        epsilon=convention.epsilon,
        padding="valid",
        gain=1 / deviation,
        name=f"{name}_stem",
    )(x)
    # Zero padding does not change a maximum after the ReLU.
    x, pooling = _pad(x, convention.padding)
    x = tf.keras.layers.MaxPooling2D(3, 2, padding=pooling, name=f"{name}_pool")(x)
    maps = []
    for stage, count in enumerate(blocks):
        for block in range(count):
            strides = 2 if block == 0 and stage > 0 else 1
            x = _bottleneck(
                x,
                width * 2**stage,
                strides,
                f"{name}_c{stage + 2}_b{block}",
                convention=convention,
                gain=count**-0.5,
                norm=norm,
            )
        maps.append(x)
    return maps


def _pad(x: tf.Tensor, padding: str) -> tuple[tf.Tensor, str]:
    """Pad the input of a strided 3x3 window; return it and the window's own padding."""
    if padding == "symmetric":
        return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "valid"
    return x, padding


def _bottleneck(
    x: tf.Tensor,
    width: int,
    strides: int,
    name: str,
    *,
    convention: Convention,
    gain: float,
    norm: str,
) -> tf.Tensor:
    """Build 1x1, 3x3 and 1x1 convolutions, and a shortcut around them.

    The shortcut is projected if the shape changes.
    """
    options: dict = {"norm": norm, "epsilon": convention.epsilon}
    strides_1x1 = 1
    strides_3x3 = 1
    if convention.stride_in_1x1:
        strides_1x1 = strides
    else:
        strides_3x3 = strides
    y = ConvNorm(width, 1, strides_1x1, name=f"{name}_conv1", **options)(x)
    padding = "same"
    if strides_3x3 > 1:
        y, padding = _pad(y, convention.padding)
    conv2 = ConvNorm(
        width, 3, strides_3x3, padding=padding, name=f"{name}_conv2", **options
    )
    y = conv2(y)
    conv3 = ConvNorm(
        4 * width, 1, relu=False, gain=gain, name=f"{name}_conv3", **options
    )
    y = conv3(y)
    if strides != 1 or x.shape[-1] != 4 * width:
        shortcut = ConvNorm(
            4 * width, 1, strides, relu=False, name=f"{name}_shortcut", **options
        )
        x = shortcut(x)
    return tf.keras.layers.ReLU(name=f"{name}_out")(x + y)


def _parts(role: str) -> tuple[int, int, str]:
    """Return (stage 2..5, block, part) of a role such as c2_b0_conv1."""
    stage, block, part = role.split("_", 2)
    return int(stage[1:]), int(block[1:]), part


def _matterport_names(role: str) -> tuple[str, str]:
    if role == "stem":
        return "conv1", "bn_conv1"
    stage, block, part = _parts(role)
    branch = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}[part]
    name = f"{stage}{chr(ord('a') + block)}_branch{branch}"
    return f"res{name}", f"bn{name}"


def _keras_names(role: str) -> tuple[str, str]:
    if role == "stem":
        return "conv1_conv", "conv1_bn"
    stage, block, part = _parts(role)
    number = {"shortcut": 0, "conv1": 1, "conv2": 2, "conv3": 3}[part]
    name = f"conv{stage}_block{block + 1}_{number}"
    return f"{name}_conv", f"{name}_bn"


# Mask R-CNN on COCO, from which the paper starts. The address is COCO_MODEL_URL of
# mrcnn/utils.py in github.com/matterport/Mask_RCNN, whose release page gives no hash;
# release v1.0 had another file of this name (issue 59 there). The hash is in the README
# of TensorRT's sampleUffMaskRCNN (github.com/NVIDIA/TensorRT) and in
# macro_benchmark/Mask_RCNN/checksum.md5 of github.com/alibaba/ai-matrix.
_COCO = Published(
    name="coco",
    source="matterport",
    convention=Convention(
        epsilon=1e-3,
        rpn_weights=(10.0, 10.0, 5.0, 5.0),
        max_log_scale=math.inf,
        roi_align="legacy",
        anchors=(32.0, 64.0, 128.0, 256.0, 512.0),
    ),
    tensors=_matterport_names,
    url="https://github.com/matterport/Mask_RCNN/releases/download/v2.0/"
    "mask_rcnn_coco.h5",
    md5="e98aaff6f99e307b5e2a8a3ff741a518",
    licence="MIT, as matterport/Mask_RCNN",
    detector=True,
)
# keras.applications. Address and hash are BASE_WEIGHTS_PATH and
# WEIGHTS_HASHES["resnet101"][1] of keras/applications/resnet.py.
_IMAGENET = Published(
    name="imagenet",
    source="keras_resnet101",
    convention=Convention(
        channels="bgr",
        mean=(103.939, 116.779, 123.68),
        epsilon=1.001e-5,
        padding="symmetric",
    ),
    tensors=_keras_names,
    url="https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
    "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
    md5="88cf7a10940856eca736dc7b7e228a21",
    licence="MIT, as keras-team/keras-applications",
)
BLOCKS = {
    "resnet14": (1, 1, 1, 1),
    "resnet26": (2, 2, 2, 2),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
_PUBLISHED = {"resnet101": (_COCO, _IMAGENET)}
BACKBONES = {
    name: Backbone(
        functools.partial(resnet, blocks=blocks),
        family="resnet",
        stem=64,
        published=_PUBLISHED.get(name, ()),
    )
    for name, blocks in BLOCKS.items()
}
