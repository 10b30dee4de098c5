"""The model of a prediction, as flags name it: loaded where it is used, in any process."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import packed

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor


@dataclasses.dataclass(frozen=True)
class Model:
    """What to load; one of the first four is given.

    Attributes:
      saved_model: folder of a2d_tf.export.
      workdir: run folder of a2d_tf.train.
      packed: name or folder of a packed model.
      init_rgb: "coco" or a file: weights of a detector, before any training.
      checkpoint: of the run, "last" or "best".
      device: as for `devices.prepare`.
      given: {name: value} of the settings of inference and computing that were given.
      threshold: on p(actor) for a SavedModel; -1: its own.
    """

    saved_model: str | None = None
    workdir: str | None = None
    packed: str | None = None
    init_rgb: str | None = None
    checkpoint: str = "last"
    device: str = "auto"
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    threshold: float = -1.0

    def load(self) -> Predictor:
        """Load the predictor, and announce the device.

        Raises:
          InputError: there is no such model, it is damaged, or the settings are not for it.
        """
        # Late, because TensorFlow takes seconds to load: a mistyped flag should not wait for it.
        from a2d_tf.core import devices

        device = devices.prepare(self.device)
        predictor = self._predictor()
        # Exports of the first versions do not name their precision, which was always float32.
        device.announce(predictor.facts.get("precision", "float32"))
        return predictor

    def _predictor(self):
        from a2d_tf.video.predictor import Predictor

        if self.workdir or self.packed:
            from a2d_tf.training import run_folder

            folder = packed.folder_of(self.workdir, self.packed)
            return Predictor.from_run(run_folder.load(folder, self.given, self.checkpoint))
        if self.init_rgb:
            from a2d_tf.training import run_start

            return Predictor.from_run(run_start.untrained(self.init_rgb, self.given))
        assert self.saved_model
        predictor = Predictor.from_saved_model(os.path.normpath(self.saved_model))
        lowest = predictor.facts["score_threshold"]
        if 0 <= self.threshold < lowest:
            raise InputError(
                f"--threshold={self.threshold:g} is below {lowest:g}, which is fixed in "
                f"{self.saved_model}; export again with --score_threshold={self.threshold:g}, or "
                "use --workdir"
            )
        return predictor
