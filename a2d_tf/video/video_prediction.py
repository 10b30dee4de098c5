"""Predict the frames of one video, and write the results into a folder."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.behaviour.prediction_folder import RESULT_FILES
from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.core.machine.signals import stop_on_signal
from a2d_tf.core.machine.workers import in_threads
from a2d_tf.runs.held_out_scores import HeldOutScores, video_facts
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS, TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs.output_folder import open_library_outputs, open_outputs
from a2d_tf.video.outputs.prediction_writer import PredictionWriter
from a2d_tf.video.predictors.network_predictor import LoadedModel, video_predictor
from a2d_tf.video.predictors.roles import VideoPredictor
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import EVERY_FRAME, Span


class Outcome(NamedTuple):
    """The result of the prediction of a video.

    Attributes:
      model: the model that predicted the video, as `load` returned it.
      frames: number of frames that were written.
      is_interrupted: whether a signal (Ctrl-C, SIGTERM) ended the prediction.
    """

    model: LoadedModel
    frames: int
    is_interrupted: bool


def predict(
    load: Callable[[], LoadedModel],
    reader: Reader,
    output: str,
    span: Span = EVERY_FRAME,
    *,
    track_settings: TrackSettings = TRACK_DEFAULTS,
    kinds: Collection[str] = tuple(RESULT_FILES),
    record: dict[str, Any] | None = None,
    progress: str | None = "predict",
) -> Outcome:
    """Predict the frames of a video, and write the results into a folder.

    Ctrl-C or SIGTERM ends the prediction after the current frame; the files are then
    whole and hold the frames so far. Before the first frame, an earlier prediction
    stays as it was.

    Args:
      load: function that returns the model; it is called when `output` is known to be
        writable.
      reader: the reader of the video, which has just been opened.
      output: path of the folder of the prediction.
      span: the answered frames, in which instances are predicted.
      track_settings: how individuals are tracked.
      kinds: the kinds of results to write, such as "tracks" and "overlay": keys of
        `RESULT_FILES`.
      record: contents of `prediction.json`, for a video of a library; None for a single
        video. With a record, a signal discards the frames so far.
      progress: title of the progress bar; None for no bar.

    Returns:
      the model, the number of frames, and whether a signal came.

    Raises:
      InputError: `output` cannot be written, a frame cannot be read, or there are no
        frames in the span.
      KeyboardInterrupt: a signal came, and there is nothing to keep.
    """
    if record is None:
        opening = open_outputs(output, reader, span.every, kinds=kinds)
    else:
        opening = open_library_outputs(
            output, reader, span.every, kinds=kinds, record=record
        )
    with stop_on_signal() as stops, opening as outputs:
        model = load()
        if stops:  # no frame is answered: the earlier prediction stays
            raise KeyboardInterrupt
        predictor = video_predictor(model)
        outputs.describe(
            _video_facts(predictor, reader, track_settings),
            predictor.track_names(reader),
        )
        frames = progress_bar(
            predictor.frames(reader, span, track_settings, stops=stops),
            desc=progress,
            total=span.count(reader.expected),
            unit="frame",
            leave=record is None,
            disable=progress is None,
        )
        _write_frames(frames, outputs, predictor.labels)
        if not outputs.frames and not stops:
            raise InputError("no frame of the video lies between --start and --end")
        if stops and record is not None:
            raise KeyboardInterrupt
    return Outcome(model, outputs.frames, is_interrupted=bool(stops))


def _video_facts(
    predictor: VideoPredictor, reader: Reader, track_settings: TrackSettings
) -> dict[str, Any]:
    """Return what `video.json` says of the prediction of a video."""
    facts: dict[str, Any] = {"max_tracks": track_settings.max_tracks}
    if "held_out" in predictor.info:
        name = name_of_path(reader.path)
        held_out = HeldOutScores.from_json(predictor.info["held_out"])
        facts.update(video_facts(held_out, name))
    facts.update(predictor.video_facts(reader))
    return facts


def _write_frames(
    frames: Iterable[VideoFrame], outputs: PredictionWriter, labels: LabelSpace
) -> None:
    """Write frames in a thread, while the next ones are predicted."""
    written = in_threads(
        lambda frame: outputs.add(frame, labels),
        frames,
        ahead=2,
        threads=1,
        start=devices.lower_priority,
    )
    # Closed, so that nothing is written any more where this thread is interrupted.
    with contextlib.closing(written):
        collections.deque(written, maxlen=0)
