"""The tracks that a detector found, as exports that a user can correct in a tool."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from a2d_tf.annotations.writers import tool_exports
from a2d_tf.annotations.writers.key_frames import interpolate_boxes, keep_key_frames
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.runs import model_source
from a2d_tf.video import video_prediction
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS, TrackSettings
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.predictors import detector_predictor
from a2d_tf.video.predictors.detector_predictor import DetectorPredictor
from a2d_tf.video.predictors.object_detector import SCORE_THRESHOLD
from a2d_tf.video.reading import video_reader
from a2d_tf.video.reading.video_content import video_content

_FORM = "cvat"
_SUFFIXES = (".xml", ".zip")
"""Suffix of an export as it is written, and as CVAT gives it back."""
_MIN_IOU = 0.95  # of interpolated boxes, as in a2d export-annotations
_KINDS = ("label_maps", "detections", "tracks")  # results that an export is made from
_RECORD = {"model": str, "model_sha256": str, "settings": {}, "videos": {}}


@dataclasses.dataclass(frozen=True)
class DetectedTracks:
    """The tracks that a detector finds in videos, kept as an export for CVAT each.

    `complete` makes the exports that are missing. A user may correct an export and put
    it back; it is then not made again.

    Attributes:
      output: path of the folder with `tracks`, which has the exports, and
        `tracks.json`, which has the settings they were made with.
      detector: path of the folder of the detector's SavedModel.
      actors: words of --actors, CLASS or NAME=CLASS each: the classes whose boxes are
        followed; all of COCO's without words.
      score_threshold: the least score of a box, 0 to 1.
      track_settings: how individuals are tracked.
    """

    output: pathlib.Path
    detector: str
    actors: Sequence[str] = ()
    score_threshold: float = SCORE_THRESHOLD
    track_settings: TrackSettings = TRACK_DEFAULTS

    @property
    def folder(self) -> pathlib.Path:
        """The path of the folder of the exports."""
        return self.output / "tracks"

    @property
    def name(self) -> str:
        """The name of the detector: that of its folder."""
        return os.path.basename(os.path.abspath(self.detector))

    def complete(self, jobs: Sequence[Job], device: str, fps: float | None) -> None:
        """Find the tracks of the videos that have no export, and write their exports.

        It writes `tracks.json` first, then NAME.xml in `folder` for each video.

        Args:
          jobs: all videos, also those with an export.
          device: 'cpu', 'gpu' or 'auto', see `devices.prepare`.
          fps: number of images a second of folders of images; None for 25.

        Raises:
          InputError: the exports so far are of another detector, of other settings or
            of other videos; or a video cannot be predicted.
          KeyboardInterrupt: a signal came; the exports so far are whole.
        """
        missing = [job for job in jobs if not self._has_export(job)]
        self._record(jobs, missing)
        if not missing:
            return

        @functools.cache
        def load() -> DetectorPredictor:
            return detector_predictor.load(
                self.detector,
                None,
                actors=self.actors,
                actions=(),
                checkpoint="",
                device=device,
                settings={"score_threshold": self.score_threshold},
            )

        prediction = self.output / ".detected"
        try:
            for job in missing:
                shutil.rmtree(prediction, ignore_errors=True)  # of a killed process
                self._detect(load, job, prediction, fps)
        finally:
            shutil.rmtree(prediction, ignore_errors=True)

    def _detect(
        self,
        load: Callable[[], DetectorPredictor],
        job: Job,
        prediction: pathlib.Path,
        fps: float | None,
    ) -> None:
        """Write the export of a video from a prediction in a temporary folder.

        Args:
          load: returns the predictor.
          prediction: the temporary folder.
        """
        outcome = video_prediction.predict(
            load,
            video_reader.open_video(job.path, fps),
            str(prediction),
            track_settings=self.track_settings,
            kinds=_KINDS,
            progress=job.name,
        )
        if outcome.is_interrupted:
            raise KeyboardInterrupt
        video = keep_key_frames(read_tracked_video(prediction), every=1)
        if video.boxes_only:
            video = interpolate_boxes(video, _MIN_IOU)
        tool_exports.save(video, str(self._export(job)), _FORM)

    def _export(self, job: Job, suffix: str = _SUFFIXES[0]) -> pathlib.Path:
        return self.folder / f"{job.name}{suffix}"

    def _has_export(self, job: Job) -> bool:
        """Return whether there is an export of a video, corrected or not."""
        return any(self._export(job, suffix).exists() for suffix in _SUFFIXES)

    def _record(self, jobs: Sequence[Job], missing: Sequence[Job]) -> None:
        """Write the settings of the exports, before the first export.

        Raises:
          InputError: the exports so far have other settings.
        """
        digests = {job.name: video_content(job.path).digest for job in jobs}
        settings = {
            "actors": ",".join(self.actors) or None,
            "score_threshold": self.score_threshold,
            "patience": self.track_settings.patience,
            "max_tracks": self.track_settings.max_tracks,
        }
        record: dict[str, Any] = {
            **model_source.identity(self.detector),
            "settings": settings,
            "videos": digests,
        }
        path = self.output / "tracks.json"
        remedy = (
            f"use another --output, or remove {self.folder}, and with it what was"
            " corrected there"
        )
        if self.folder.is_dir() and any(self.folder.iterdir()):
            kept = load_json(path, _RECORD, remedy)
            if kept["model_sha256"] != record["model_sha256"]:
                raise InputError(
                    f"{self.folder}: tracks of another detector ({kept['model']});"
                    f" {remedy}"
                )
            for name, value in settings.items():
                kept_value = kept["settings"].get(name)
                if kept_value != value:
                    raise InputError(
                        f"{self.folder}: tracks with --{name}={kept_value}, not"
                        f" {value}; {remedy}"
                    )
            missing_names = {job.name for job in missing}
            for name, digest in kept["videos"].items():
                if name in missing_names or digest in (None, digests.get(name, digest)):
                    continue
                raise InputError(
                    f"{self.folder}: tracks of another video '{name}'; {remedy}"
                )
            record["videos"] = {**kept["videos"], **digests}
        write_json(path, record)
