"""Suite `learning`: our detector as a learner, and what a learner is.

A learner is trained on batches of `setups.batches` and detects on those of `pipeline.evaluation`,
so that both sides see the same frames, boxes and masks in the same order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Protocol
from unittest import mock

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config, InferenceConfig
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.model.network import Network
from a2d_tf.ops import masks as mask_ops
from a2d_tf.pretrained import cache, coco_classes, weights
from a2d_tf.training import losses
from a2d_tf.training.batches import without_names
from tools.benchmarks import setups

LITE0 = "efficientnet_lite0"
DETECTIONS = 100  # a frame, at most
SCORE, NMS = 0.05, 0.5  # torchvision's defaults


@dataclasses.dataclass(frozen=True)
class Found:
    """A frame's instances.

    Attributes:
      boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the canvas.
      actors: int [N], 0-based; scores: float [N].
      masks: bool [N, H, W].
    """

    boxes: np.ndarray
    actors: np.ndarray
    scores: np.ndarray
    masks: np.ndarray


class Learner(Protocol):
    """What the suite trains; its constructor takes a Config and a seed."""

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch of `pipeline.training`; returns the loss."""

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Found]:
        """Detect on the frames of a batch of `pipeline.evaluation`."""


def labels() -> LabelSpace:
    """A2D's actors with one action."""
    return coco_classes.label_space(A2D.actors, "one")


class Ours:
    """One RGB frame, one softmax over the actors: our network without actions.

    Args:
      config: settings; choice: a key of CHOICES, by which it differs, or None.
    """

    def __init__(self, config: Config, choice: str | None = None):
        self._learning = config.learning
        tf.keras.utils.set_random_seed(config.learning.seed)
        self.network = Network(config.model, labels(), config.compute)
        if config.model.backbone == LITE0:
            weights.load(self.network, weights.Weights.read(str(cache.get("lite0"))))
        if choice == "initialisation":
            _initialise(self.network, config.learning.seed)
        self._changed = CHOICES[choice] if choice else contextlib.nullcontext
        self._step = setups.make_step(self.network, config.learning)[1]
        settings = dataclasses.replace(
            config.inference, score_threshold=SCORE, nms_threshold=NMS, max_detections=DETECTIONS
        )
        self._detect = tf.function(self._graph(settings))

    def _graph(self, settings: InferenceConfig) -> Callable[[dict], dict]:
        inference = self.network.inference(settings)
        return lambda frames: inference(frames)["detections"]

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """See `Learner`."""
        batch = dict(without_names(batch), actions=tf.minimum(batch["actions"], 0))
        with self._changed():  # the first call traces
            return float(self._step(batch, tf.constant(number, tf.int64))["total"])

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Found]:
        """See `Learner`."""
        found = self._detect({"rgb": batch["rgb"], "size": batch["size"]})
        frames = []
        for row, count in enumerate(found["num_detections"].numpy()):
            boxes, masks = found["boxes"][row, :count], found["masks"][row, :count]
            pasted = mask_ops.paste(masks, boxes, *self.network.image_size) >= 0.5
            frames.append(
                Found(
                    boxes.numpy()[:, [1, 0, 3, 2]],
                    found["actor"].numpy()[row, :count] - 1,
                    found["class_score"].numpy()[row, :count],
                    pasted.numpy(),
                )
            )
        return frames


@contextlib.contextmanager
def _box_beta() -> Iterator[None]:
    """The actor head's smooth L1 has the proposals' beta, as torchvision's has."""
    ours = losses.smooth_l1
    with mock.patch.object(losses, "smooth_l1", lambda error, _: ours(error, 1 / 9)):
        yield


@contextlib.contextmanager
def _soft_masks() -> Iterator[None]:
    """Mask targets keep the values between 0 and 1 of their edges, as torchvision's do."""
    with mock.patch.object(mask_ops, "crop_targets", mask_ops.crop_masks):
        yield


CHOICES = {
    "box_beta": _box_beta,
    "initialisation": contextlib.nullcontext,
    "soft_masks": _soft_masks,
}
"""Choice of torchvision's -> context in which our training step is traced with it."""


def _initialise(network: Network, seed: int) -> None:
    """Draw the weights as torchvision does; a backbone's of ImageNet stay."""
    rng = np.random.default_rng(seed)
    for name, variable in weights.variables(network).items():
        layer, kind = name.rsplit("/", 1)
        if kind == "bias" and layer.startswith("actor"):
            bound = 1 / math.sqrt(_fan_in(network, layer))
            variable.assign(rng.uniform(-bound, bound, variable.shape))
        elif kind == "kernel" and LITE0.split("_")[0] not in layer:
            variable.assign(_kernel(layer, variable.shape.as_list(), rng))


def _fan_in(network, layer):
    return math.prod(weights.variables(network)[f"{layer}/kernel"].shape[:3])


def _kernel(layer, shape, rng):
    """A kernel [h, w, in, out], of a transposed convolution [h, w, out, in]."""
    area = shape[0] * shape[1]
    if layer.startswith("rpn"):
        return rng.normal(0, 0.01, shape)
    if layer.startswith("actor") or "_fpn_" in layer:
        # nn.Linear's default, and He's uniform for a linear output.
        gain = 1.0 if layer.startswith("actor") else 3.0
        bound = math.sqrt(gain / (area * shape[2]))
        return rng.uniform(-bound, bound, shape)
    return rng.normal(0, math.sqrt(2 / (area * shape[3])), shape)  # He's, by outputs
