"""A network of a run or an export that computes features, and answers frames by these.

TensorFlow takes seconds to load, so it is imported where it is used: the error for a
mistyped flag does not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops.motion_maps import frame_size
from a2d_tf.runs import packed, run_folder
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.serving.signatures import FrameSignatures
from a2d_tf.video.frames.feature_network import FrameFeatures

if TYPE_CHECKING:
    import tensorflow as tf

    from a2d_tf.serving.export_folder import FrameFunctions


_Self = TypeVar("_Self", bound="ServedFeatureNetwork")


class ServedFeatureNetwork:
    """The network of a run or an export, called by its signatures.

    `load` makes one from a folder. The subclasses add what the second signature
    computes:
    `Predictor` finds instances, `ServedLabeller` labels boxes.

    Args:
      frame: function of the first signature, which computes the features of a frame.
        All three functions are called by keyword, see `serving.descriptions`.
      answer: function of the second signature, which answers a key frame by the
        features of its clip.
      info: the description of the network, as in `a2d_tf.json`.
      block: function of the third signature, which computes motion maps of a block of
        frames; None without an action backbone.

    Attributes:
      info: the argument.
      labels: the label space of the network.
    """

    SIGNATURES: ClassVar[FrameSignatures]
    """The names of the signatures: VIDEO_SIGNATURES or BOX_SIGNATURES."""

    def __init__(
        self,
        frame: Callable,
        answer: Callable,
        info: ModelInfo,
        block: Callable | None = None,
    ) -> None:
        self._frame = frame
        self._answer = answer
        self._block = block
        self.info = info
        self.labels = LabelSpace.from_fields(info["labels"])

    @classmethod
    def load(
        cls: type[_Self],
        path: str | os.PathLike[str],
        *,
        checkpoint: str = "last",
        **settings: Any,
    ) -> _Self:
        """Load an exported SavedModel or a run folder.

        Args:
          path: folder of `a2d export`, `a2d train` or `a2d export --pack`, or the name
            of a packed model that comes with the package.
          checkpoint: weights of a run, "last" or "best" by its validations.
          **settings: settings of inference and computing for a run, such as
            score_threshold=0.5.

        Raises:
          InputError: there is no model, or it is damaged; a SavedModel got settings,
            which it cannot take; an older export cannot label boxes, or a model can
            only label boxes.
        """
        return cls(*_load_functions(path, checkpoint, settings, cls.SIGNATURES))

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Compute the features of one frame by the first signature.

        Args:
          rgb: the frame, RGB uint8 [h, w, 3], scaled as the frames in the records.
          flow: float32 [h, w, 2], displacement of each pixel from the previous frame,
            in pixels of that size.

        Returns:
          {name: tensor [1, ...]}.
        """
        import tensorflow as tf

        return self._frame(rgb=tf.constant(rgb[None]), flow=tf.constant(flow[None]))

    def motion_stream(self) -> MotionStream:
        """Return a new stream that computes the motion maps of one video.

        Call it only if `info` has "motion".
        """
        block_function = None if self._block is None else self._block_maps
        return MotionStream(block_function, self.info["motion"]["flow_histograms"])

    def _block_maps(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the maps of a block, see `motion_stream.BlockFunction`."""
        import tensorflow as tf

        assert self._block is not None
        maps = self._block(rgb=tf.constant(frames[None]))
        return {name: values.numpy()[0] for name, values in maps.items()}

    def _answer_key_frame(
        self,
        clip: Sequence[FrameFeatures],
        size: tuple[int, int],
        motion: Mapping[str, np.ndarray] | None,
        **inputs_of_signature: tf.Tensor,
    ) -> dict[str, np.ndarray]:
        """Return the outputs for a key frame, {name: array without the batch's axis}.

        Args:
          clip: the features of the 2L + 1 frames around it.
          size: (height, width) of the native frame.
          motion: the motion maps of the key frame; None if the network reads none.
          **inputs_of_signature: further inputs of the signature.
        """
        import tensorflow as tf

        inputs = {"size": tf.constant(size, tf.int32), **inputs_of_signature}
        for name in clip[0]:
            inputs[name] = tf.stack([features[name] for features in clip], axis=1)
        if motion is not None:
            inputs["motion_size"] = tf.constant([frame_size(*size)], tf.int32)
            for name, values in motion.items():
                inputs[name] = tf.constant(values[None])
        outputs = self._answer(**inputs)
        return {name: values.numpy()[0] for name, values in outputs.items()}


def _load_functions(
    path: str | os.PathLike[str],
    checkpoint: str,
    settings: dict[str, Any],
    signatures: FrameSignatures,
) -> FrameFunctions:
    """Load the functions of an exported SavedModel or of a run.

    Args:
      path: path of the folder, or the name of a packed model.
      checkpoint: weights of a run, "last" or "best".
      settings: {name: value} of settings for a run.
      signatures: names of the functions.
    """
    folder = os.path.normpath(path)
    if not os.path.isdir(folder) and folder in packed.names():
        folder = packed.find(folder)
    is_run = os.path.isfile(os.path.join(folder, run_folder.FLAGS))
    if not is_run and (settings or checkpoint != "last"):
        names = ", ".join(settings) or "checkpoint"
        raise InputError(
            f"{folder}: a SavedModel takes no settings ({names}); pass them to a2d"
            " export, or use its run folder"
        )
    if is_run:
        from a2d_tf.serving import export_cache

        return export_cache.load(folder, settings, checkpoint, signatures)
    from a2d_tf.serving import export_folder

    return export_folder.load(folder, signatures)
