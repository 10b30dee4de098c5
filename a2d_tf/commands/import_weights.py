"""Import public weights, and verify that they fit the network.

  a2d import-weights --source matterport --input mask_rcnn_coco.h5 --output coco.h5
  a2d import-weights --source keras_resnet101 --input notop.h5 --output imagenet.h5
  a2d train ... --init_rgb=coco.h5 --init_flow=imagenet.h5

The report lists every tensor of the input (used, or skipped) and every variable of the
paper's network (loaded, or why it is initialised).
"""

from __future__ import annotations

from a2d_tf.core import command_line
from a2d_tf.core.files import file_digest

FLAGS = command_line.Register()
_SOURCES = ["matterport", "keras_resnet101", "efficientnet_lite0"]
_SOURCE = FLAGS.define_enum("source", None, _SOURCES, "Weight source.")
_INPUT = FLAGS.define_string("input", None, "File of published weights: .h5 or .pth.")
_OUTPUT = FLAGS.define_string(
    "output", None, "File of imported weights (.h5) to write."
)


def main(argv: list[str]) -> None:
    command_line.require(
        argv, source=_SOURCE.value, input=_INPUT.value, output=_OUTPUT.value
    )
    from a2d_tf.core.config import ModelConfig
    from a2d_tf.core.labels import A2D
    from a2d_tf.model.network import Network
    from a2d_tf.pretrained import cache, layouts
    from a2d_tf.pretrained import weights as weights_lib

    tensors, digest = cache.read_tensors(_INPUT.value), file_digest(_INPUT.value)
    weights, used, skipped = layouts.convert(
        _SOURCE.value, tensors, _INPUT.value, digest
    )
    weights.write(_OUTPUT.value)
    stream = "rgb" if weights.classes else "flow"
    network = Network(ModelConfig(**weights.model_fields(stream)), A2D)
    report = weights_lib.load(network, weights, stream)
    print(f"{_INPUT.value}: {len(used)} tensors used, {len(skipped)} skipped")
    for name in used:
        print(f"  {name}: used")
    for name in skipped:
        print(f"  {name}: skipped, not part of the network")
    print(report)


run = command_line.command(main, FLAGS)
