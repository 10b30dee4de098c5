"""Import public weights, and verify that they fit the network.

  python tools/import_weights.py --source matterport --input mask_rcnn_coco.h5 --output coco.h5
  python tools/import_weights.py --source keras_resnet101 --input notop.h5 --output imagenet.h5
  python -m a2d_tf.train ... --init_rgb=coco.h5 --init_flow=imagenet.h5

The report lists every tensor of the input (used, or why it was skipped) and every variable of the
paper's network (loaded, or why it is initialised). For a detector,

  python tools/import_weights.py --source matterport --input mask_rcnn_coco.h5
      --output coco.h5 --check_image photo.jpg --check_output check.png

draws what the network with these weights finds on a photo, of A2D's actors.
"""

from __future__ import annotations

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.files import file_digest

_SOURCE = flags.DEFINE_enum(
    "source", None, ["matterport", "keras_resnet101", "efficientnet_lite0"], "Whose weights."
)
_INPUT = flags.DEFINE_string("input", None, "File of public weights: .h5 or .pth.")
_OUTPUT = flags.DEFINE_string("output", None, "File of imported weights (.h5) to write.")
_IMAGE = flags.DEFINE_string("check_image", None, "Photo to run the detector on.")
_CHECK = flags.DEFINE_string("check_output", None, "Picture (.png) of the detections to write.")


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


def _check(path: str, photo: str, output: str) -> None:
    """Draw what a network with imported weights alone finds on a photo."""
    import numpy as np

    from a2d_tf.data.frames import read_image
    from a2d_tf.evaluation.label_maps import write_png
    from a2d_tf.ops import visualize
    from a2d_tf.training import run_start
    from a2d_tf.video.predictor import Predictor

    predictor = Predictor.from_run(run_start.untrained(path, {"score_threshold": 0.7}))
    image = np.ascontiguousarray(read_image(photo, "give another --check_image")[..., ::-1])
    size = image.shape[0], image.shape[1]
    found = predictor.key_frame([predictor.frame(image, np.zeros((*size, 2), np.float32))], size)
    drawn = visualize.draw_instances(
        image,
        found.boxes,
        found.codes,
        found.decoded_masks(),
        label_space=predictor.labels,
        scores=found.scores,
    )
    write_png(output, drawn[..., ::-1])
    names = [f"{predictor.labels.name(c)} {s:.2f}" for c, s in zip(found.codes, found.scores)]
    print(f"{photo}: {', '.join(names) or 'nothing'} -> {output}")


def main(argv: list[str]) -> None:
    command_line.require(argv, source=_SOURCE.value, input=_INPUT.value, output=_OUTPUT.value)
    if _IMAGE.value or _CHECK.value:
        command_line.require(argv, check_image=_IMAGE.value, check_output=_CHECK.value)
    # Imported here because TensorFlow takes seconds to load; a missing flag is reported at once.
    from a2d_tf.pretrained import cache, layouts

    tensors, digest = cache.read_tensors(_INPUT.value), file_digest(_INPUT.value)
    weights, used, skipped = layouts.convert(_SOURCE.value, tensors, _INPUT.value, digest)
    weights.write(_OUTPUT.value)
    _report(weights, used, skipped)
    if _IMAGE.value:
        _check(_OUTPUT.value, _IMAGE.value, _CHECK.value)


run = command_line.command(main)
