"""Instances of a video's frames, from a run or from its SavedModel."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_FRAMES
from a2d_tf.data.manifest import check_facts
from a2d_tf.ops import masks as mask_ops
from a2d_tf.serving.export_folder import FACTS, check_folder, facts
from a2d_tf.serving.served_network import ServedNetwork


@dataclasses.dataclass(frozen=True)
class Instances:
    """What was found in a frame, in its native pixels.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2.
      codes: int32 [N].
      scores: float32 [N], of the pair.
      masks: N bool [H, W], or as RLEs (see `coco_results.encode_mask`).
      label_map: codes [H, W], in the label space's dtype.
      actor_scores: float32 [N, |X|]; action_scores: float32 [N, |Y|].
      probabilities: float32 [N, 28, 28], the masks inside their boxes.
    """

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list
    label_map: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    probabilities: np.ndarray

    def only(self, keep, paint):
        """Those of indices `keep`, and a label map that is painted of them.

        `paint` is that of the facts.
        """
        names = ("boxes", "codes", "scores", "actor_scores", "action_scores", "probabilities")
        rest = {name: getattr(self, name)[keep] for name in names}
        label_map = mask_ops.paint_one(
            rest["probabilities"],
            rest["boxes"],
            np.float32(rest["scores"]),
            np.int32(rest["codes"]),
            *self.label_map.shape,
            paint == "pixel",
        ).numpy()
        return Instances(
            masks=[self.masks[i] for i in keep],
            label_map=label_map.astype(self.label_map.dtype),
            **rest,
        )


class Predictor:
    """Answers on the frames of a video, one at a time.

    Args:
      frame, key_frame: callables by keyword; see SIGNATURES.
      facts: the contents of `a2d_tf.json`.

    Attributes:
      labels: the LabelSpace.
      facts: as given.
    """

    NEEDS = ("frame", "key_frame")

    def __init__(self, frame, key_frame, facts):
        self._frame, self._key_frame, self.facts = frame, key_frame, facts
        self.labels = LabelSpace.from_fields(facts["labels"])

    @classmethod
    def from_run(cls, run):
        """The predictor of a `runs.Run`."""
        served = ServedNetwork(run.network, run.config.inference)
        return cls(served.frame, lambda size, **frames: served.key_frame(frames, size), facts(run))

    @classmethod
    def from_saved_model(cls, folder):
        """The predictor of an exported folder.

        Raises:
          InputError: no such folder, one that a2d_tf.export did not make, one from before it knew
            streaming, or a damaged one.
        """
        check_folder(folder)
        try:
            known = read_json(os.path.join(folder, FACTS))
            check_facts(known)
            if type(known["frames"]) is not int or not 1 <= known["frames"] <= MAX_FRAMES:
                raise ValueError(f"frames {shown(known['frames'])}")
            _ = known["use_flow"], known["checkpoint"], float(known["score_threshold"])
            loaded = tf.saved_model.load(folder)
            predictor = cls(*(loaded.signatures.get(name) for name in cls.NEEDS), known)
        except (OSError, KeyError, TypeError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder}: damaged ({reason}); export the run again") from error
        for name in cls.NEEDS:
            if name not in loaded.signatures:
                raise InputError(
                    f"{folder}: no signature '{name}', so from an older a2d_tf.export; export the "
                    "run again"
                )
        # A signature does not keep its variables alive; the loaded object does.
        predictor._alive = loaded
        return predictor

    def frame(self, rgb, flow):
        """What `key_frame` needs of a frame; this is where the backbones run.

        Args:
          rgb: uint8 [h, w, 3]; flow: float32 [h, w, 2] from the previous frame to this one.

        Returns:
          dict of tensors; those of the flow are named `flow_*`.
        """
        return self._frame(rgb=tf.constant(rgb[None]), flow=tf.constant(flow[None]))

    def key_frame(self, frames, size):
        """Find the instances of a key frame.

        Args:
          frames: what `frame` returned of the 2L + 1 frames around it.
          size: (height, width) of the native frame.

        Returns:
          `Instances`, in native pixels, best first by p(actor).
        """
        stacked = {name: tf.stack([f[name] for f in frames], axis=1) for name in frames[0]}
        found = self._key_frame(size=tf.constant(size, tf.int32), **stacked)
        found = {name: x.numpy()[0] for name, x in found.items()}
        number = found["num_detections"]
        boxes, scores, codes, small, actors, actions = (
            found[name][:number]
            for name in ("boxes", "score", "code", "masks", "actor_scores", "action_scores")
        )
        # One by one: the masks of a full frame in float32 would be the largest thing in memory.
        masks = [_paste(small[i : i + 1], boxes[i : i + 1], *size).numpy() for i in range(number)]
        return Instances(boxes, codes, scores, masks, found["label_map"], actors, actions, small)


_SIDE = tf.TensorSpec([], tf.int32)


@tf.function(input_signature=[tf.TensorSpec([1, 28, 28]), tf.TensorSpec([1, 4]), _SIDE, _SIDE])
def _paste(mask, box, height, width):
    return mask_ops.paste(mask, box, height, width)[0] >= 0.5
