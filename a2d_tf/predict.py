"""Segment a video, or each video of a library.

  a2d predict --saved_model=exports/full --video=my.mp4 --output=out
  a2d predict --saved_model=exports/full --video=clips --output=out_clips --every=5
  a2d predict --saved_model=exports/full --video=my.mp4 --tracks=tracks.txt --output=out

The model is one of these:

  --saved_model   an export of a2d export or a2d start
  --workdir       a run that is not exported
  --model         a packed model of a2d export --pack
  --init_rgb=coco a detector of COCO's classes, before any training; it knows no actions
  --detector      any model of TensorFlow's Object Detection API. One of the models
                  above labels its boxes, or --actions=kinetics without training

--tracks=EXPORT labels tracks that you have. Their boxes, masks and numbers stay; the
model says what each individual does and, if the export does not, what it is.

Frames are numbered from 1, as in the video. --every=N segments every Nth frame and
leaves out the others, also in the overlay. Flow and clips still use neighbours.

A folder of videos, a glob or a list (--videos) is a library. Each video has a folder in
OUTPUT, and OUTPUT/summary.csv has all bouts. The same command resumes.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence

from a2d_tf.annotations.tracks.given_tracks import Reading
from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import model_source, training_length
from a2d_tf.runs.model_source import ModelSource
from a2d_tf.video import video_prediction
from a2d_tf.video.library import (
    library_prediction,
    library_tables,
    library_videos,
    renewed_pages,
)
from a2d_tf.video.library.library_request import Request
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.model_flags import ModelFlags
from a2d_tf.video.predictors import track_predictor
from a2d_tf.video.predictors.network_predictor import LoadedModel, video_predictor
from a2d_tf.video.reading import video_reader
from a2d_tf.video.reading.shortfall import shortfall
from a2d_tf.video.reading.span import Span
from a2d_tf.video.track_flags import TrackFlags
from a2d_tf.video.video_flags import VideoFlags

PredictLibrary = Callable[
    [Callable[[], LoadedModel], Sequence[Job], Request, str], "dict[str, str]"
]
"""Predicts videos; see `library_prediction.predict`."""

FLAGS = command_line.Register()
_MODEL = ModelFlags.define(FLAGS)
_VIDEO = VideoFlags.define(FLAGS)
_TRACKS = TrackFlags.define(FLAGS)
Config.define_flags(FLAGS, ["inference", "compute"])


def main(
    argv: list[str], predict_elsewhere: PredictLibrary | None = None
) -> int | None:
    """Predict one video, or the videos of a library.

    Args:
      predict_elsewhere: predicts the videos of a library on other machines; a single
        video is then an error.

    Returns:
      the exit status: 1 if every video of a library failed.
    """
    command_line.require(argv, video=FLAGS.video or FLAGS.videos, output=FLAGS.output)
    _VIDEO.check()
    _TRACKS.check()
    source = _MODEL.source()
    _MODEL.check_detector(source)
    jobs = library_videos.plan(FLAGS.video, FLAGS.videos, _VIDEO.output)
    if jobs is not None:
        predict = predict_elsewhere or library_prediction.predict
        return _predict_library(source, jobs, predict)
    if FLAGS.task or predict_elsewhere is not None:
        raise InputError(
            f"--video={FLAGS.video}: a single video; use a folder, or a glob"
        )
    _predict_video(source)
    return None


def _predict_video(source: ModelSource) -> None:
    """Predict one video, and print what was written."""
    output = _VIDEO.output
    kinds = _VIDEO.kinds()
    folder, name = os.path.split(os.path.realpath(FLAGS.video))
    if folder == os.path.realpath(output) and name in prediction_folder.RESULTS:
        raise InputError(f"{FLAGS.video}: would be overwritten; use another --output")
    load = _loader(source, _TRACKS.reading_of_tracks(), [FLAGS.video])
    track_settings = _TRACKS.settings()
    reader = video_reader.open_video(FLAGS.video, FLAGS.fps)
    span = Span.of_seconds(reader, FLAGS.start, FLAGS.end, FLAGS.every)
    outcome = video_prediction.predict(
        load, reader, output, span, track_settings=track_settings, kinds=kinds
    )
    files = ",".join(prediction_folder.RESULT_FILES[kind] for kind in kinds)
    model = video_predictor(outcome.model).description()
    print(f"{model}: {outcome.frames} frames -> {output}/{{{files}}}")
    if outcome.is_interrupted:
        raise KeyboardInterrupt
    note = shortfall(reader, span)
    if note:
        print(f"note: {FLAGS.video} {note}", file=sys.stderr)


def _predict_library(
    source: ModelSource, jobs: Sequence[Job], predict: PredictLibrary
) -> int:
    """Predict the videos of this process's task that are not finished.

    Returns:
      the exit status: 1 if every video of the task failed.
    """
    reading = _TRACKS.reading_of_tracks()
    request = _request(source, reading)
    load = _loader(source, reading, [job.path for job in jobs])
    task = _VIDEO.task()
    unfinished = {job for job in jobs if not request.is_finished(job)}
    own_jobs = task.share(jobs)
    jobs_to_do = [job for job in own_jobs if job in unfinished]
    failures: dict[str, str] = {}
    if jobs_to_do:
        failures = predict(load, jobs_to_do, request, FLAGS.on_error)
    if request.run and "tracks" in request.kinds:
        finished_jobs = [job for job in own_jobs if job not in unfinished]
        renewed_pages.renew(finished_jobs, request.run)
    output = _VIDEO.output
    library_tables.conclude(output, jobs, request, failures, task)
    for reason in failures.values():
        print(f"skipped {reason}")
    print(
        f"{output}: of {len(jobs)} videos {len(jobs_to_do) - len(failures)} predicted,"
        f" {len(jobs) - len(unfinished)} finished before, {len(failures)} failed"
    )
    return int(bool(failures) and len(failures) == len(own_jobs))


def _request(source: ModelSource, reading: Reading) -> Request:
    """Return how each video of a library is predicted.

    Args:
      reading: how --tracks is read.
    """
    return Request(
        start=FLAGS.start,
        end=FLAGS.end,
        every=FLAGS.every,
        track_settings=_TRACKS.settings(),
        kinds=_VIDEO.kinds(),
        model=model_source.identity(source.path),
        settings={**_MODEL.recorded(source), **_TRACKS.recorded(reading)},
        fps=FLAGS.fps,
        overwrite=FLAGS.overwrite,
        run=FLAGS.workdir,
        warning=training_length.warning(source.path),
    )


def _loader(
    source: ModelSource, reading: Reading, videos: Sequence[str]
) -> Callable[[], LoadedModel]:
    """Return a function that loads the model, and the tracks of videos if given.

    It can be pickled, for other machines.

    Args:
      reading: how --tracks is read.
      videos: the paths of all videos.
    """
    if not FLAGS.tracks:
        return _MODEL.loader(source)
    return functools.partial(
        track_predictor.load,
        source.path,
        reading=reading,
        videos=videos,
        **_MODEL.loading(),
    )


run = command_line.command(main, FLAGS)


if __name__ == "__main__":
    run()
