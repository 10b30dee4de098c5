"""The network that labels the instances of given tracks; it detects none.

It is the network that `suggestion` has for few videos: EfficientNet-Lite0 sees single
frames, and a readout, a linear layer fitted in closed form, labels instances by its
features and by motion maps. The heads of the network are not trained, and nothing reads
their outputs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping

from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.model.network import Network
from a2d_tf.model.readout.label_fit import FittedLabels
from a2d_tf.pretrained import cache
from a2d_tf.pretrained.action_features import ActionFeatures
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs.held_out_scores import HeldOutScores
from a2d_tf.runs.loading import Run, facts_without_records
from a2d_tf.training import initial_weights, run_settings
from a2d_tf.training.suggestion.canvas_size import canvas_of_frame
from a2d_tf.training.suggestion.presets import (
    SINGLE_FRAME,
    available_motion_maps,
    single_frame_config,
)
from a2d_tf.training.suggestion.record_flags import MOST_SIDE


@dataclasses.dataclass(frozen=True)
class LabellingNetwork:
    """The settings of a network that labels instances of given tracks.

    Attributes:
      config: settings of the network.
      frame_sides: (height, width) in pixels that frames are resized to fit in before
        the network sees them, as records would store them.
      motion: which motion maps the readout reads.
    """

    config: Config
    frame_sides: tuple[int, int]
    motion: MotionFacts

    @classmethod
    def for_videos(cls, sizes: Iterable[tuple[int, int]]) -> LabellingNetwork:
        """Choose the settings for videos: the canvas, and the motion maps.

        The canvas fits the largest video. Motion maps are all kinds whose weights are
        installed.

        Args:
          sizes: (height, width) in pixels of each video.

        Raises:
          InputError: pretrained weights are missing.
        """
        height = 1
        width = 1
        for video_height, video_width in sizes:
            height = max(height, min(video_height, MOST_SIDE))
            width = max(width, min(video_width, MOST_SIDE))
        canvas_height, canvas_width = canvas_of_frame(
            height, width, SINGLE_FRAME.most_pixels
        )
        maps = available_motion_maps()
        action_backbone = maps.get("action_backbone", "")
        digest = ""
        if action_backbone:
            digest = ActionFeatures.get(action_backbone).sha256
        config = single_frame_config(canvas_height, canvas_width, maps)
        config = config.with_settings(use_mask=False, mask_image=False)
        config = run_settings.resolve_config(config, ())
        config = config.with_settings(score_threshold=0.0)
        motion = MotionFacts(action_backbone, digest, flow_histograms=True)
        return cls(config, (height, width), motion)

    def digest(self) -> str:
        """Return a digest (SHA-256, hexadecimal) of all that features depend on.

        These are the public weights, the canvas, the size of frames and the motion
        maps. Kept features with another digest are computed again.
        """
        weights = Weights.read(cache.resolve(self.config.training.init_rgb))
        model = self.config.model
        facts = (
            weights.sha256,
            (model.image_height, model.image_width),
            self.frame_sides,
            dataclasses.astuple(self.motion),
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def build(
        self,
        labels: LabelSpace,
        fitted: FittedLabels | None = None,
        bout_seconds: Mapping[str, float] | None = None,
        held_out: HeldOutScores | None = None,
    ) -> Run:
        """Build the network, with public weights and with the weights of its readout.

        Args:
          labels: the label space of the readout.
          fitted: the weights of the readout; None if only features are computed.
          bout_seconds: {action: mean length in seconds of its coded bouts}; None if
            unknown.
          held_out: how good its labels were in videos left out of the fit; None if
            unknown.

        Returns:
          the network with its settings, as if loaded from a run, marked as one that
          only labels.
        """
        network = Network(self.config.model, labels, self.config.compute)
        initial_weights.initialise(network, self.config)
        if fitted is not None:
            assert network.readout is not None
            network.readout.assign(fitted)
        return Run(
            config=self.config,
            network=network,
            records=facts_without_records(*self.frame_sides),
            checkpoint="labels_only",
            motion=self.motion,
            bout_seconds=dict(bout_seconds or {}),
            labels_only=True,
            held_out=held_out,
        )
