"""Segment a video: a2d predict --saved_model=DIR --video=FILE --output=DIR.

`--workdir=RUN` takes a run that is not exported, `--model=DIR` a model of a2d export
--pack, in place of `--saved_model`. `--init_rgb=coco`, or a file of a2d weights, takes
a detector's weights before any training: it finds COCO's classes, named by `--actors`,
and no actions.

`--detector=DIR` takes the boxes of any model of TensorFlow's Object Detection API,
which one of these models labels; or none of them: `--actions=kinetics` labels what
people do by the 400 actions of Kinetics, without any training.

Frames are numbered from 1, as in the video: in `label_maps/`, in `detections.json`
(`image_id`), in `tracks.json` and in `summary.csv`. `--every=N` segments every Nth
frame and leaves out the others, also in the overlay, which plays at the video's speed;
clips and flow still use neighbouring frames.

Tracks of any tool that you have are labelled by `--tracks=EXPORT`: their boxes or masks
and their numbers stay; the model says what each of them is, where the export does not,
and does.

A folder of videos, a glob or a list (`--videos`) is a library: the results are
OUTPUT/<file name without suffix>/ for each video, and OUTPUT/summary.csv. The same
command resumes.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from a2d_tf.annotations.exports import exports_digest
from a2d_tf.annotations.given_tracks import Reading
from a2d_tf.annotations.reading_flags import ReadingFlags
from a2d_tf.annotations.video_tracks import FLAG as TRACKS_FLAG
from a2d_tf.behaviour import prediction_folder
from a2d_tf.core import command_flags, command_line, tasks
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.runs import model_source, training_length
from a2d_tf.runs.model_source import ModelSource
from a2d_tf.video import (
    detector_predictor,
    kinetics_actions,
    library,
    library_request,
    library_tables,
    library_videos,
    object_detector,
    predictor,
    track_predictor,
    video_prediction,
    video_reader,
)
from a2d_tf.video.detector_classes import DetectorClasses
from a2d_tf.video.detector_predictor import DetectorPredictor
from a2d_tf.video.shortfall import shortfall
from a2d_tf.video.span import Span
from a2d_tf.video.track_settings import TrackSettings
from a2d_tf.video.video_prediction import VideoPredictor

Predict = Callable[..., dict[str, str]]
"""Predicts videos of a library, as `library.predict`; returns {failed video: why}."""

FLAGS = command_line.Register()
_SAVED_MODEL = FLAGS.define_string("saved_model", None, "Folder of a2d export.")
_WORKDIR = command_flags.define_workdir(FLAGS)
_MODEL = command_flags.define_packed_model(FLAGS)
_CHECKPOINT = command_flags.define_checkpoint(FLAGS)
_INIT_RGB = FLAGS.define_string(
    "init_rgb", None, "Imported weights of a detector: coco, or a file."
)
_ACTORS = FLAGS.define_list(
    "actors",
    [],
    "Classes of COCO to find, as CLASS or NAME=CLASS; by default all. Those of"
    " --detector may be numbers; by default a model's actors, and =CLASS leaves the"
    " name to the model.",
)
_DETECTOR = FLAGS.define_string(
    "detector",
    None,
    "SavedModel of TensorFlow's Object Detection API, whose boxes are labelled in place"
    " of those that the model would find.",
)
_ACTIONS = FLAGS.define_list(
    "actions",
    [],
    "With --detector and no model: what people do, as kinetics, for its 400 actions, or"
    " as some of these, CLASS or NAME=CLASS.",
)
_SOURCES = (_SAVED_MODEL, _WORKDIR, _MODEL, _INIT_RGB)
_DEVICE = command_flags.define_device(FLAGS)
_VIDEO = FLAGS.define_string(
    "video",
    None,
    "Video file, folder of images, or camera index, which runs until Ctrl-C; or a"
    " library: folder of videos, or a glob in quotes.",
)
_VIDEOS = FLAGS.define_string(
    "videos", None, "Library: text file of videos, one per line."
)
_OUTPUT = FLAGS.define_string(
    "output",
    None,
    f"Folder for {', '.join(prediction_folder.RESULTS)}; of a library, a folder per"
    " video.",
)
_RESULTS = FLAGS.define_list(
    "results",
    list(prediction_folder.RESULT_FILES),
    f"Results to write: {','.join(prediction_folder.RESULT_FILES)}.",
)
_OVERWRITE = FLAGS.define_bool(
    "overwrite", False, "Library: replace predictions of other settings."
)
_ON_ERROR = FLAGS.define_enum(
    "on_error",
    "fail",
    ["fail", "skip"],
    "Library: stop at a video that fails, or list it.",
)
_TASK = FLAGS.define_string("task", None, f"Library: {tasks.HELP}")
_EVERY = FLAGS.define_integer(
    "every", 1, "Segment only every Nth frame.", lower_bound=1
)
_START = FLAGS.define_float(
    "start", 0.0, "Start of the segmented part, seconds.", lower_bound=0
)
_END = FLAGS.define_float(
    "end", None, "End of the segmented part, seconds; by default the video's end."
)
_FPS = FLAGS.define_float(
    "fps",
    None,
    "Images a second of a folder of images; by default 25, which is only assumed.",
    1e-3,
    1e6,
)
_WINDOW = FLAGS.define_integer(
    "window",
    TrackSettings.window,
    "Segmented frames that vote on a track's label; of its action, only where no times"
    " of actions were coded. 1: the network's own labels.",
    1,
)
_PATIENCE = FLAGS.define_integer(
    "patience",
    TrackSettings.patience,
    "Segmented frames that may miss a track in a row.",
    0,
)
_MAX_TRACKS = FLAGS.define_string(
    "max_tracks",
    None,
    "Number of individuals, for all actors or as in mouse=2,wheel=1.",
)
_MIN_BOUT, _MERGE_GAP = command_flags.define_bout_lengths(FLAGS)
_TRACKS = FLAGS.define_multi_string(
    "tracks",
    [],
    "Tracks that you have, which are labelled in place of those that the model would"
    " find: an export of an annotation tool or a tracker; VIDEO=PATH"
    " names its video.",
)
_READING = ReadingFlags(FLAGS, "tracks")
_OF_FINDING = (
    "patience",
    "max_tracks",
    "init_rgb",
    "actors",
    "detector",
    "actions",
)
"""Flags of finding and following instances, which --tracks leaves nothing to do."""
Config.define_flags(FLAGS, ["inference", "compute"])


def main(argv: list[str], predict_elsewhere: Predict | None = None) -> int | None:
    """Predict one video, or the videos of a library.

    Args:
      predict_elsewhere: predicts the videos of a library, as `library.predict` does
        here; one video is then an error.

    Returns:
      the exit status: 1 if every video of a library failed.
    """
    command_line.require(
        argv, video=_VIDEO.value or _VIDEOS.value, output=_OUTPUT.value
    )
    if _VIDEO.value and _VIDEOS.value:
        raise InputError("--videos is a list in place of --video; use one or the other")
    source = _source()
    _check_model_flags()
    _check_times()
    kinds = kinds_of_results(_RESULTS.value)
    _check_tracks()
    _check_detector(source)
    track_settings = TrackSettings(
        _WINDOW.value,
        _PATIENCE.value,
        _MAX_TRACKS.value,
        min_bout=_MIN_BOUT.value,
        merge_gap=_MERGE_GAP.value,
    )
    output = os.path.normpath(_OUTPUT.value)
    jobs = library_videos.plan(_VIDEO.value, _VIDEOS.value, output)
    reading = _READING.reading_of_tracks(_TRACKS.value, TRACKS_FLAG)
    load = _loader(source, reading, [job.path for job in jobs or ()] or [_VIDEO.value])
    if jobs is None:
        if _TASK.value or predict_elsewhere is not None:
            raise InputError(
                f"--video={_VIDEO.value}: a single video; use a folder, or a glob"
            )
        _predict_video(load, output, kinds, track_settings)
        return None
    request = library_request.Request(
        start=_START.value,
        end=_END.value,
        every=_EVERY.value,
        track_settings=track_settings,
        kinds=kinds,
        model=model_source.identity(source.path),
        settings=_recorded_settings(source, reading),
        fps=_FPS.value,
        overwrite=_OVERWRITE.value,
        run=_WORKDIR.value,
        warning=training_length.warning(source.path),
    )
    predict: Predict = predict_elsewhere or library.predict
    return _predict_library(jobs, request, output, functools.partial(predict, load))


def _source() -> ModelSource:
    """Return the model that the flags name, or a detector that nothing labels."""
    values = {flag.name: flag.value for flag in _SOURCES}
    if _DETECTOR.value and not any(values.values()):
        if _CHECKPOINT.present:
            raise InputError("--checkpoint selects a run's weights; it needs --workdir")
        return ModelSource(_DETECTOR.name, os.path.normpath(_DETECTOR.value))
    return model_source.of_flags(_CHECKPOINT.present, **values)


def _loader(
    source: ModelSource, reading: Reading, videos: Sequence[str]
) -> Callable[[], VideoPredictor]:
    """Return what loads the predictor of the videos.

    It can be pickled, for other machines.

    Args:
      reading: of the exports of --tracks.
      videos: their paths.
    """
    load: Callable[..., VideoPredictor]
    arguments: dict[str, Any]
    if _TRACKS.value:
        load = track_predictor.load
        arguments = {"path": source.path, "reading": reading, "videos": videos}
    elif _DETECTOR.value:
        load = detector_predictor.load
        model = None
        if source.flag != _DETECTOR.name:
            model = source.path
        arguments = {
            "detector": _DETECTOR.value,
            "model": model,
            "actors": _ACTORS.value,
            "actions": _ACTIONS.value,
        }
    else:
        load = predictor.load
        arguments = {
            "source": source.flag,
            "path": source.path,
            "actors": _ACTORS.value,
        }
    return functools.partial(
        load,
        **arguments,
        checkpoint=_CHECKPOINT.value,
        device=_DEVICE.value,
        settings=Config.given(FLAGS, "inference", "compute"),
    )


def _recorded_settings(source: ModelSource, reading: Reading) -> dict[str, Any]:
    """Return the settings that tell the predictions of a library apart."""
    settings: dict[str, Any] = Config.given(FLAGS, "inference", "compute")
    if _WORKDIR.value:
        settings["checkpoint"] = _CHECKPOINT.value
    settings["actors"] = ",".join(_ACTORS.value) or None
    if _ACTIONS.value:
        settings["actions"] = ",".join(_ACTIONS.value)
    if _DETECTOR.value and source.flag != _DETECTOR.name:
        detector = model_source.identity(_DETECTOR.value)
        settings["detector"] = f"{detector['model']} {detector['model_sha256'][:16]}"
    if _TRACKS.value:
        settings["tracks"] = exports_digest(reading.exports)
        for name in _READING.given(FLAGS):
            settings[name] = FLAGS[name].value
    return settings


def _check_model_flags() -> None:
    """Check --actors, and that the folders of a model are what their flags say."""
    if _ACTORS.value and not (_INIT_RGB.value or _DETECTOR.value):
        raise InputError(
            "--actors names classes of COCO's weights; it needs --init_rgb=coco, or"
            " --detector"
        )
    for flag, mark in ((_SAVED_MODEL, "saved_model.pb"), (_WORKDIR, "flags.txt")):
        if flag.value and not os.path.isfile(os.path.join(flag.value, mark)):
            raise InputError(
                f"--{flag.name}={flag.value}: no {mark} there; --saved_model takes a"
                " folder of a2d export, --workdir one of a2d train"
            )


def _check_detector(source: ModelSource) -> None:
    """Check the flags of --detector."""
    if not _DETECTOR.value:
        if _ACTIONS.value:
            raise InputError(
                "--actions labels the boxes of --detector, which is missing"
            )
        return
    object_detector.check_path(_DETECTOR.value)
    if _INIT_RGB.value:
        raise InputError(
            "--detector and --init_rgb both find boxes; leave out one of both"
        )
    if _ACTIONS.value and source.flag != _DETECTOR.name:
        raise InputError(
            f"--actions: the model of --{source.flag} says what is done; leave out one"
            " of both"
        )
    if source.flag == _DETECTOR.name:  # names are wrong before anything is written
        DetectorClasses.parse(_ACTORS.value)
        kinetics_actions.chosen_classes(_ACTIONS.value)
    for name in Config.given(FLAGS, "inference"):
        if name != "score_threshold":
            raise InputError(
                f"--detector finds the instances, so --{name} has nothing to do; leave"
                " out one of both"
            )


def _check_tracks() -> None:
    """Check that flags of --tracks come with it, and those of finding without it."""
    given = _READING.given(FLAGS)
    if not _TRACKS.value and given:
        raise InputError(f"--{given[0]} says how --tracks is read, which is missing")
    if not _TRACKS.value:
        return
    useless = [name for name in _OF_FINDING if FLAGS[name].present]
    useless += Config.given(FLAGS, "inference")
    if useless:
        raise InputError(
            f"--tracks: instances are given, so --{useless[0]} has nothing to do; leave"
            " out one of both"
        )


def _check_times() -> None:
    """Check --start and --end."""
    end = sys.float_info.max if _END.value is None else _END.value
    if not _START.value < end < math.inf:
        span = f"--start={_START.value:g}, --end={_END.value}"
        raise InputError(f"{span}: use seconds, with the end after the start")


def kinds_of_results(names: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds that --results names, and what the page is made of."""
    known = prediction_folder.RESULT_FILES
    kinds = set(names)
    if not kinds or not kinds <= set(known):
        raise InputError(
            f"--results={','.join(names)}: use one or more of {','.join(known)}"
        )
    if "page" in kinds:
        kinds |= {"overlay", "tracks"}
    return tuple(kind for kind in known if kind in kinds)


def _predict_video(
    load: Callable[[], VideoPredictor],
    output: str,
    kinds: tuple[str, ...],
    track_settings: TrackSettings,
) -> None:
    """Predict one video, and print what was written."""
    source = os.path.realpath(_VIDEO.value)
    folder, name = os.path.split(source)
    if folder == os.path.realpath(output) and name in prediction_folder.RESULTS:
        raise InputError(f"{_VIDEO.value}: would be overwritten; use another --output")
    reader = video_reader.open_video(_VIDEO.value, _FPS.value)
    span = Span.of_seconds(reader, _START.value, _END.value, _EVERY.value)
    outcome = video_prediction.predict(
        load, reader, output, span, track_settings=track_settings, kinds=kinds
    )
    files = ",".join(prediction_folder.RESULT_FILES[kind] for kind in kinds)
    model = _described(outcome.predictor)
    print(f"{model}: {outcome.frames} frames -> {output}/{{{files}}}")
    if outcome.is_interrupted:
        raise KeyboardInterrupt
    note = shortfall(reader, span)
    if note:
        print(f"note: {_VIDEO.value} {note}", file=sys.stderr)


def _described(predictor: VideoPredictor) -> str:
    """Return what has found the instances, in words."""
    info = predictor.info
    if isinstance(predictor, DetectorPredictor):
        threshold = predictor.detector.score_threshold
        return f"{os.path.normpath(_DETECTOR.value)}, score >= {threshold:g}"
    if _TRACKS.value:
        return f"{info['checkpoint']}, given tracks"
    return f"{info['checkpoint']}, p(actor) >= {info['score_threshold']:g}"


def _predict_library(
    jobs: Sequence[library_videos.Job],
    request: library_request.Request,
    output: str,
    predict: Predict,
) -> int:
    """Predict the videos of a library that are this task's and not finished.

    Args:
      predict: takes the videos, the request and what to do at an error.

    Returns:
      the exit status: 1 if every video of this task failed.
    """
    task = tasks.ALONE
    if _TASK.value:
        task = tasks.Task.parse(_TASK.value)
    unfinished = {job for job in jobs if not request.is_finished(job)}
    own_jobs = task.share(jobs)
    jobs_to_do = [job for job in own_jobs if job in unfinished]
    failures: dict[str, str] = {}
    if jobs_to_do:
        failures = predict(jobs_to_do, request, _ON_ERROR.value)
    library_tables.conclude(output, jobs, request, failures, task)
    for reason in failures.values():
        print(f"skipped {reason}")
    print(
        f"{output}: of {len(jobs)} videos {len(jobs_to_do) - len(failures)} predicted,"
        f" {len(jobs) - len(unfinished)} finished before, {len(failures)} failed"
    )
    return int(bool(failures) and len(failures) == len(own_jobs))


run = command_line.command(main, FLAGS)


if __name__ == "__main__":
    run()
