"""The basis of a suggestion: records, the machine, and the time for a training."""

from __future__ import annotations

from typing import NamedTuple

from a2d_tf.data.record_folder.inspection import Contents
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.training.step_timing import StepTimes
from a2d_tf.training.suggestion.host import Host


class Basis(NamedTuple):
    """The facts that a suggestion of settings depends on.

    Attributes:
      manifest: the manifest of the records to train on.
      contents: statistics of these records, with boxes on the network's canvas.
      host: the machine that trains.
      minutes: how many minutes the training may take; None for no limit of the user's,
        which on a CPU means about 180.
      step_times: how long steps take, as measured with the suggested settings; None to
        estimate it from the preset.
    """

    manifest: Manifest
    contents: Contents
    host: Host
    minutes: float | None = None
    step_times: StepTimes | None = None

    @property
    def videos(self) -> set[str]:
        """Names of the training videos."""
        return self.contents.summaries["train"].videos
