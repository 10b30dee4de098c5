"""Oracles: backbones as their libraries build them; ours, from the files of these."""

import importlib

import numpy as np
import tensorflow as tf

from a2d_tf.model import backbones


def ours(weights, shape):
    """Build our backbone with imported weights.

    Args:
      weights: the weights, a `Weights`.
      shape: (height, width) of the image.

    Returns:
      a Keras model from RGB [N, H, W, 3], 0 to 255, to the maps C2 to C5.
    """
    convention = backbones.CONVENTIONS[weights.source]
    image = tf.keras.Input([*shape, 3])
    backbone = backbones.BACKBONES[weights.backbone]
    width = weights.model_fields()["width_multiplier"]
    pixels = convention.preprocess(image)
    maps = backbone.build(pixels, width, convention=convention, name="backbone")
    model = tf.keras.Model(image, maps)
    for layer in model.layers:
        for variable in layer.weights:
            weight = variable.name.split("/")[-1].split(":")[0]
            role = f"{layer.name.replace('_', '/', 1)}/{weight}"
            variable.assign(np.asarray(weights.tensors[role]))
    return model


def keras_resnet(blocks):
    """Build a ResNet of keras.applications with random weights.

    Args:
      blocks: number of residual blocks of each of the four stages.
    """
    package = tf.keras.Model.__module__.split(".")[0]  # keras, or tf_keras
    keras = importlib.import_module(f"{package}.src.applications.resnet")
    tf.keras.utils.set_random_seed(0)

    def stages(x):
        for stage, count in enumerate(blocks):
            name = f"conv{stage + 2}"
            x = keras.stack1(
                x, 64 * 2**stage, count, stride1=1 if stage == 0 else 2, name=name
            )
        return x

    model = keras.ResNet(stages, False, True, include_top=False, weights=None)
    _randomise(model)
    return model


def _randomise(model):
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            spans = ((0.2, 0.6), (-0.1, 0.1), (-0.1, 0.1), (0.5, 1.5))
            layer.set_weights([rng.uniform(*span, layer.gamma.shape) for span in spans])
        elif isinstance(layer, tf.keras.layers.Conv2D):
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))


def keras_maps(model, blocks, rgb):
    """Compute the maps C2 to C5 by a ResNet of keras.applications.

    Args:
      model: the result of `keras_resnet`.
      blocks: number of residual blocks of each of the four stages.
      rgb: float [N, H, W, 3], 0 to 255.
    """
    names = [f"conv{stage}_block{block}_out" for stage, block in enumerate(blocks, 2)]
    reference = tf.keras.Model(
        model.input, [model.get_layer(name).output for name in names]
    )
    maps = reference(tf.keras.applications.resnet.preprocess_input(rgb.copy()))
    return [x.numpy() for x in maps]


LAST_BLOCKS = {"lite0": (2, 4, 10, 15), "lite2": (3, 6, 14, 20)}
"""{variant: index of the last block of each stage from C2 to C5}."""


def lite_maps(variant, path, pixels):
    """Compute the maps C2 to C5 by the package efficientnet-lite-pytorch.

    Args:
      variant: lite0 or lite2.
      path: path of its file of weights.
      pixels: preprocessed RGB, float32 [N, H, W, 3].

    Returns:
      four arrays [N, h, w, C].
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    name = f"efficientnet-{variant}"
    # It pads for images of one size, by default an odd one for Lite2.
    size = pixels.shape[1:3]
    net = EfficientNet.from_pretrained(name, weights_path=path, image_size=size).eval()
    maps = []
    with torch.inference_mode():
        x = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
        x = net._swish(net._bn0(net._conv_stem(x)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in LAST_BLOCKS[variant]:
                maps.append(x.numpy().transpose(0, 2, 3, 1))
    return maps
