"""Predict the frames of a video into a folder."""

from __future__ import annotations

import collections
import contextlib
import pathlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Union

from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.behaviour.prediction_folder import RESULT_FILES
from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import devices
from a2d_tf.core.machine.signals import stop_on_signal
from a2d_tf.core.machine.workers import in_threads
from a2d_tf.runs import held_out_scores
from a2d_tf.video.frames import streaming
from a2d_tf.video.frames.instances import Finder
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS, TrackSettings
from a2d_tf.video.outputs.output_folder import open_library_outputs, open_outputs
from a2d_tf.video.predictors.detector_predictor import DetectorPredictor
from a2d_tf.video.predictors.track_predictor import TrackPredictor
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import EVERY_FRAME, Span

VideoPredictor = Union[Finder, TrackPredictor, DetectorPredictor]
"""What predicts videos: it finds instances, or labels those that are given, or those
that a detector finds.
"""


class Outcome(NamedTuple):
    """What `predict` has done.

    Attributes:
      predictor: the one that was loaded.
      frames: how many were written.
      is_interrupted: whether a signal ended the prediction.
    """

    predictor: VideoPredictor
    frames: int
    is_interrupted: bool


def predict(
    load: Callable[[], VideoPredictor],
    reader: Reader,
    output: str,
    span: Span = EVERY_FRAME,
    *,
    track_settings: TrackSettings = TRACK_DEFAULTS,
    kinds: Collection[str] = tuple(RESULT_FILES),
    record: dict[str, Any] | None = None,
    progress: str | None = "predict",
) -> Outcome:
    """Predict the frames of a video into a folder.

    Ctrl-C or SIGTERM ends the prediction after the current frame; the files are then
    whole and hold the frames so far. Before the first frame, an earlier prediction
    stays as it was.

    Args:
      load: returns the predictor; called when `output` is known to be writable.
      reader, span, track_settings: as for `streaming.predict_frames`.
      output: folder of the prediction.
      kinds: as for `open_outputs`.
      record: of a video of a library, as for `open_library_outputs`; a signal then
        discards the frames so far.
      progress: what the bar is called; None for no bar.

    Raises:
      InputError: `output` cannot be written, or there are no frames.
      KeyboardInterrupt: a signal came, and there is nothing to keep.
    """
    if record is None:
        opening = open_outputs(output, reader, span.every, kinds=kinds)
    else:
        opening = open_library_outputs(
            output, reader, span.every, kinds=kinds, record=record
        )
    with stop_on_signal() as stops, opening as outputs:
        predictor = load()
        if stops:  # nothing is answered: what is there stays
            raise KeyboardInterrupt
        outputs.further_info["max_tracks"] = track_settings.max_tracks
        if "held_out" in predictor.info:
            facts = held_out_scores.video_facts(
                predictor.info["held_out"], name_of_path(pathlib.Path(reader.path))
            )
            outputs.further_info.update(facts)
        if isinstance(predictor, (TrackPredictor, DetectorPredictor)):
            outputs.further_info.update(predictor.video_facts(reader))
            outputs.track_names.update(predictor.track_names(reader))
            video_frames = predictor.frames(reader, span, track_settings, stops=stops)
        else:
            if predictor.info.get("boxes_only"):
                outputs.further_info["boxes_only"] = True
            video_frames = streaming.predict_frames(
                predictor, reader, span, track_settings, stops=stops
            )
        frames = progress_bar(
            video_frames,
            desc=progress,
            total=span.count(reader.expected),
            unit="frame",
            leave=record is None,
            disable=progress is None,
        )
        written = in_threads(
            lambda frame: outputs.add(frame, predictor.labels),
            frames,
            ahead=2,
            threads=1,
            start=devices.lower_priority,
        )
        # Closed, so that nothing is written any more where this thread is interrupted.
        with contextlib.closing(written):
            collections.deque(written, maxlen=0)
        if not outputs.frames and not stops:
            raise InputError("no frame of the video lies between --start and --end")
        if stops and record is not None:
            raise KeyboardInterrupt
    return Outcome(predictor, outputs.frames, is_interrupted=bool(stops))
