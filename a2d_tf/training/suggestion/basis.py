"""What settings are suggested for: records, the machine, and the time of a training."""

from __future__ import annotations

from typing import NamedTuple

from a2d_tf.data.record_folder.inspection import Contents
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.training.step_timing import StepTimes
from a2d_tf.training.suggestion.host import Host


class Basis(NamedTuple):
    """What settings are suggested for.

    Attributes:
      manifest: of the records.
      contents: of the records, on the network's canvas.
      host: the machine that trains.
      minutes: of training at most; by default 180 on a CPU.
      step_times: measured with these settings; by default estimated from the preset's.
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
