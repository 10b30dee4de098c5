"""Import public weights, and verify that they fit the network.

  python tools/import_weights.py --source matterport --input mask_rcnn_coco.h5 --output coco.h5
  python tools/import_weights.py --source keras_resnet101 --input notop.h5 --output imagenet.h5
  python -m a2d_tf.train ... --init_rgb=coco.h5 --init_flow=imagenet.h5

The report lists every tensor of the input (used, or why it was skipped) and every variable of the
paper's network (loaded, or why it is initialised). For a detector,

  python tools/import_weights.py --source matterport --input mask_rcnn_coco.h5
      --check_image photo.jpg --check_output check

runs the original network on a photo: check/check.png shows the detections, check/check.npz holds
the outputs of every stage.
"""

from __future__ import annotations

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest

_SOURCE = flags.DEFINE_string(
    "source", None, "Source of the weights: matterport, keras_resnet101 or efficientnet_lite0."
)
_INPUT = flags.DEFINE_string("input", None, "File of public weights: .h5 or .pth.")
_OUTPUT = flags.DEFINE_string("output", None, "File of imported weights (.h5) to write.")
_IMAGE = flags.DEFINE_string("check_image", None, "Photo to run the detector on.")
_CHECK = flags.DEFINE_string("check_output", None, "Folder of check.png and check.npz to write.")
_PROPOSALS = flags.DEFINE_integer("check_proposals", 1000, "Number of proposals in the check.", 1)


def _report(weights, used, skipped):
    """Print every tensor of the input, and every variable of a network that the weights fill."""
    from a2d_tf.core.config import ModelConfig
    from a2d_tf.core.labels import A2D
    from a2d_tf.model.network import Network
    from a2d_tf.pretrained import weights as weights_lib

    stream = "rgb" if weights.classes else "flow"
    network = Network(ModelConfig(**weights.model_fields(stream)), A2D)
    report = weights_lib.load(network, weights, stream)
    print(f"{_INPUT.value}: {len(used)} tensors used, {len(skipped)} skipped")
    for name in used:
        print(f"  {name}: used")
    for name, reason in skipped.items():
        print(f"  {name}: skipped, {reason}")
    print(report)


def main(argv: list[str]) -> None:
    """Run the command."""
    command_line.require(argv, source=_SOURCE.value, input=_INPUT.value)
    if not _OUTPUT.value and not _IMAGE.value:
        raise InputError("--output is missing, and so is --check_image; give one or both")
    if bool(_IMAGE.value) != bool(_CHECK.value):
        raise InputError("--check_image and --check_output belong together; give both")
    # Imported here because TensorFlow takes seconds to load; a missing flag is reported at once.
    from a2d_tf.pretrained import cache, coco_check, layouts

    if _SOURCE.value not in layouts.SOURCES:
        raise InputError(f"--source={_SOURCE.value}: give one of {', '.join(layouts.SOURCES)}")
    tensors, digest = cache.read_tensors(_INPUT.value), file_digest(_INPUT.value)
    weights, used, skipped = layouts.convert(_SOURCE.value, tensors, _INPUT.value, digest)
    if _OUTPUT.value:
        weights.write(_OUTPUT.value)
        _report(weights, used, skipped)
    if _IMAGE.value:
        coco_check.run(weights, _IMAGE.value, _CHECK.value, proposals=_PROPOSALS.value)


run = command_line.command(main)
