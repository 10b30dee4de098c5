"""Oracles: backbones as their libraries build them; ours, from the files of these."""

import importlib

import numpy as np
import tensorflow as tf

from a2d_tf.model.backbones import resnet
from a2d_tf.model.flavours import FLAVOURS


def ours(weights, shape):
    """C2..C5 of imported weights in our builder."""
    flavour = FLAVOURS[weights.flavour]
    image = tf.keras.Input([*shape, 3])
    width = weights.tensors["backbone/stem/kernel"].shape[-1] / 64
    maps = resnet.resnet(
        flavour.preprocess(image),
        weights.backbone,
        width,
        "frozen_bn",
        stride_in_1x1=flavour.stride_in_1x1,
        epsilon=flavour.epsilon,
        padding=flavour.padding,
        name="rgb_resnet",
    )
    model = tf.keras.Model(image, maps)
    for layer in model.layers:
        for weight in ("kernel", "gamma", "beta", "mean", "variance"):
            if hasattr(layer, weight):
                role = f"backbone/{layer.name[len('rgb_resnet_') :]}/{weight}"
                getattr(layer, weight).assign(np.asarray(weights.tensors[role]))
    return model


def torchvision_resnet101():
    """torchvision's ResNet-101, with batch norm statistics of a trained one's size."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    model = models.resnet101(weights=None).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.2, 0.6)
            module.bias.data.normal_(0, 0.1)
    return model


def torchvision_maps(model, rgb):
    """C2..C5 of RGB float [N, H, W, 3], 0..255, by torchvision's network: [N, h, w, C] each."""
    import torch

    x = (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float32)
    maps = []
    with torch.no_grad():
        x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        for number in range(1, 5):
            x = getattr(model, f"layer{number}")(x)
            maps.append(x.numpy().transpose(0, 2, 3, 1))
    return maps


def keras_resnet(blocks):
    """A ResNet of keras.applications with so many blocks a stage."""
    package = tf.keras.Model.__module__.split(".")[0]  # keras, or tf_keras
    keras = importlib.import_module(f"{package}.src.applications.resnet")
    tf.keras.utils.set_random_seed(0)

    def stages(x):
        for stage, count in enumerate(blocks):
            name = f"conv{stage + 2}"
            x = keras.stack1(x, 64 * 2**stage, count, stride1=1 if stage == 0 else 2, name=name)
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
    """C2..C5 of RGB float [N, H, W, 3], 0..255, by that network."""
    names = [f"conv{stage}_block{block}_out" for stage, block in enumerate(blocks, 2)]
    reference = tf.keras.Model(model.input, [model.get_layer(name).output for name in names])
    maps = reference(tf.keras.applications.resnet.preprocess_input(rgb.copy()))
    return [x.numpy() for x in maps]


def lite0_maps(path, pixels):
    """C2..C5 of preprocessed RGB [N, H, W, 3] by efficientnet-lite-pytorch: [N, h, w, C] each."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    maps = []
    with torch.inference_mode():
        x = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
        x = net._swish(net._bn0(net._conv_stem(x)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in (2, 4, 10, 15):
                maps.append(x.numpy().transpose(0, 2, 3, 1))
    return maps
