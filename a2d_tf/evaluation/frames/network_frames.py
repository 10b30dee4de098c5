"""The frames of a split as a network sees them, batch by batch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.frames.batch_boxes import BOX_SPECS, BatchBoxes
from a2d_tf.evaluation.frames.evaluated_frames import FIELDS, Frame
from a2d_tf.evaluation.frames.wider_labels import WiderLabels
from a2d_tf.model.inference import (
    Inference,
    infer_boxes,
    infer_key_frames,
)
from a2d_tf.model.network import Network

FrameMaker = Callable[[], Frame]
"""A function that makes the `Frame` of one clip.

It decodes the ground truth, so call it in a thread, while the network goes on.
"""


class NetworkFrames:
    """Runs a network over splits of the records, and yields its answers frame by frame.

    The weights of the network may change between calls.

    Args:
      network: the network.
      config: the settings of the run.
      manifest: the manifest of the records; frames have the labels of these, which may
        be more than those of the network.
      floor: the least p(actor) of an instance. If the score threshold of `config` is
        lower, that holds instead.
    """

    def __init__(
        self, network: Network, config: Config, manifest: Manifest, floor: float
    ) -> None:
        self._config = config
        self._manifest = manifest
        self._wider_labels: WiderLabels | None = None
        if manifest.label_space != network.labels:
            self._wider_labels = WiderLabels(network.labels, manifest.label_space)
        if config.inference.score_threshold >= 0:
            floor = min(floor, config.inference.score_threshold)
        settings = dataclasses.replace(config.inference, score_threshold=floor)
        self._needed = [*network.clip_fields, "size"]
        # by split: each takes a second to trace
        self._batches: dict[str, tf.data.Dataset] = {}

        # There is no `if` or `for` on tensors for AutoGraph to find.
        @tf.function(autograph=False)
        def graph(
            batch: dict[str, tf.Tensor], given: BatchBoxes | None
        ) -> tuple[Inference, Inference | None]:
            """Return the inference of a batch, and that in given boxes, if any."""
            features = network.extract_features(batch)
            size = batch["size"]
            rgb = batch["rgb"]
            outputs = infer_key_frames(
                network, features, size, settings, rgb, every_roi=True
            )
            if given is None:
                return outputs, None
            in_boxes = infer_boxes(network, features, *given, size, rgb)
            labels = in_boxes.detections._replace(head_results={})
            return outputs, in_boxes._replace(detections=labels)

        self._graph = graph

    def makers(self, split: str, true_boxes: bool = False) -> Iterator[FrameMaker]:
        """Run the network over a split; yield a function for each frame, in order.

        Each function returns the `Frame` of one clip, see `FrameMaker`.

        Args:
          split: "train" (without the validation videos), "val" or "test".
          true_boxes: whether the network also labels the true boxes, for
            `Frame.true_boxes`.

        Raises:
          InputError: a record is damaged; the functions that are yielded raise it, too.
        """
        directory = self._manifest.directory
        if split not in self._batches:
            self._batches[split] = pipeline.evaluation(
                self._manifest,
                split,
                self._config,
                self._config.training.evaluation_batch,
                fields={*self._needed, *FIELDS},
            )
        # For batches of any size, so that a smaller last one is not traced by itself.
        specs = {name: self._batches[split].element_spec[name] for name in self._needed}
        box_specs = BOX_SPECS if true_boxes else None
        traced = self._graph.get_concrete_function(specs, box_specs)
        batches = iter(self._batches[split])
        frame_of = clip_records.reporting_damage(directory)(self._frame_of)
        while True:
            with clip_records.reporting_damage(directory):
                batch = next(batches, None)
            if batch is None:
                return
            inputs = {name: batch[name] for name in self._needed}
            given = None
            if true_boxes:
                with clip_records.reporting_damage(directory):
                    given = BatchBoxes.of(batch)
            outputs, in_true_boxes = traced(inputs, given)
            # Arrays that are on the host already are not copied.
            arrays, outputs, in_true_boxes = tf.nest.map_structure(
                lambda x: None if x is None else np.asarray(x),
                ({name: batch[name] for name in FIELDS}, outputs, in_true_boxes),
            )
            for row in range(len(arrays["size"])):
                yield functools.partial(frame_of, arrays, outputs, in_true_boxes, row)

    def _frame_of(
        self,
        batch: dict[str, np.ndarray],
        outputs: Inference,
        in_true_boxes: Inference | None,
        row: int,
    ) -> Frame:
        """Return a frame of a batch with answers in the labels of the records.

        The arguments are those of `Frame.of`.
        """
        frame = Frame.of(batch, outputs, in_true_boxes, row)
        if self._wider_labels is not None:
            return self._wider_labels.of_frame(frame)
        return frame
