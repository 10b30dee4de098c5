"""a2d start --tracks: from tracks and coded times to the pages of all videos.

No detector is trained. The features of the tracks are computed once and kept, so that
more coded times cost seconds; what each track does is a closed form of them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from a2d_tf import predict
from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.given_tracks import GivenTracks, Reading, digest
from a2d_tf.annotations.video_folder import VideoFolder
from a2d_tf.annotations.video_names import name_of_path
from a2d_tf.commands.rounds import stage_time
from a2d_tf.commands.source_flags import SourceFlags
from a2d_tf.core import devices, flagfiles
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.register import Register
from a2d_tf.data import video_frames
from a2d_tf.evaluation.coded_seconds import NOTE, CodedSeconds
from a2d_tf.runs import model_source
from a2d_tf.video import library, library_request, library_tables, video_reader
from a2d_tf.video.library_videos import Job
from a2d_tf.video.track_settings import TrackSettings

if TYPE_CHECKING:
    from a2d_tf.training.fit_tracks import CodesOfVideo, TrackFit
    from a2d_tf.training.labels_only import LabelsOnly
    from a2d_tf.training.track_features import TrackFeatures

PREDICT_FLAGS = (
    "every",
    "window",
    "min_bout",
    "merge_gap",
    "results",
    "fps",
    "device",
)
"""Flags of a2d predict that have a meaning here."""
_ANSWERED = 5  # frames a second
_SECONDS = 0.03  # that a frame's features take on one core, with I3D


@dataclasses.dataclass(frozen=True)
class TrackRound:
    """What the user has given.

    Attributes:
      output: folder of all results.
      tracks: exports of them, as for --annotations.
      bouts: files of coded times.
      videos: folder of all videos.
      jobs: these videos, and the folders of their pages.
    """

    output: pathlib.Path
    tracks: Sequence[str]
    bouts: Sequence[str]
    videos: str
    jobs: Sequence[Job]

    def run(self, further_flags: Mapping[str, list[str]]) -> None:
        """Do all steps; each leaves out what is done.

        Args:
          further_flags: {command: flags that the user gave it after `--`}.

        Raises:
          InputError: the tracks or the coded times do not fit the videos.
        """
        words = [f"--annotations={export}" for export in self.tracks]
        words += [f"--bouts={path}" for path in self.bouts]
        words.append(f"--videos={self.videos}")
        register = Register()
        source_flags = SourceFlags.define(register)
        _parse([*words, *further_flags.get("records", ())], register)
        _parse(further_flags.get("predict", ()), predict.FLAGS)
        source = source_flags.open(has_split=False)
        assert isinstance(source, AnnotatedVideos)
        labels = source.label_space
        reading = source_flags.reading_of_tracks()
        given = self._given_tracks(reading, labels)
        codes = _codes(source, given)
        devices.prepare(predict.FLAGS["device"].value)

        start = time.monotonic()
        settings = self._settings()
        features = self._features(given, settings, labels)
        print(stage_time("features", start), flush=True)

        from a2d_tf.training.fit_tracks import fit_tracks

        start = time.monotonic()
        if not _any_coded(features, codes):
            raise InputError(
                f"--every={self._every}: no answered frame has a coded time; answer"
                " more, as in -- --every=1"
            )
        fit = fit_tracks(
            features,
            codes,
            labels,
            every=self._every,
            bout_seconds=source.bout_seconds,
        )
        lines = _score(fit, self.output)
        print(stage_time("fit", start), flush=True)
        print("\n".join(lines), flush=True)

        start = time.monotonic()
        self._write_model(settings, fit, source.bout_seconds)
        print(stage_time("model", start), flush=True)
        start = time.monotonic()
        self._write_pages(fit, features, given, reading, lines)
        print(stage_time("videos", start), flush=True)
        print(self.output / "videos" / "index.html")

    @property
    def _model(self) -> pathlib.Path:
        return self.output / "model"

    def _given_tracks(self, reading: Reading, labels: LabelSpace) -> GivenTracks:
        """Return the tracks of all videos."""
        paths = [pathlib.Path(job.path).absolute() for job in self.jobs]
        folder = VideoFolder.of_paths(pathlib.Path(self.videos), paths)
        wanted = [name_of_path(path) for path in paths]
        return GivenTracks.read(reading, folder, labels, wanted)

    @functools.cached_property
    def _every(self) -> int:
        """Return of how many frames one is answered: some five a second."""
        if predict.FLAGS["every"].present:
            return predict.FLAGS["every"].value
        rates = []
        for job in self.jobs:
            reader = video_reader.open_video(job.path, predict.FLAGS["fps"].value)
            rates.append(reader.fps)
        return max(1, round(float(np.median(rates)) / _ANSWERED))

    def _settings(self) -> LabelsOnly:
        """Return the settings of the network."""
        from a2d_tf.training.labels_only import LabelsOnly

        return LabelsOnly.suggest([video_frames.size(job.path) for job in self.jobs])

    def _features(
        self, given: GivenTracks, settings: LabelsOnly, labels: LabelSpace
    ) -> dict[str, TrackFeatures]:
        """Return the features of all videos; make and keep those that are missing."""
        from a2d_tf.training import track_features

        folder = self.output / "features"
        folder.mkdir(parents=True, exist_ok=True)
        every = self._every
        request = library_request.Request(every=every, fps=predict.FLAGS["fps"].value)
        digest_of_settings = settings.digest()
        features = {}
        missing = []
        digests = {}
        for job in self.jobs:
            facts = (
                digest_of_settings,
                given.videos[job.name].digest(),
                request.record(job)["digest"],
                every,
                request.fps,
            )
            digests[job.name] = hashlib.sha256(repr(facts).encode()).hexdigest()
            kept = track_features.read(folder / f"{job.name}.npz", digests[job.name])
            if kept is None:
                missing.append(job)
            else:
                features[job.name] = kept
        if not missing:
            return features

        from a2d_tf.video.feature_maker import FeatureMaker

        print(_expectation(missing, request.fps), flush=True)
        maker = FeatureMaker(settings.build(labels))
        with progress_bar(missing, "features", unit="video", smoothing=0) as bar:
            for job in bar:
                reader = video_reader.open_video(job.path, request.fps)
                made = maker.make(
                    reader, given.videos[job.name], every, digests[job.name]
                )
                made.write(folder / f"{job.name}.npz")
                features[job.name] = made
        return features

    def _write_model(
        self,
        settings: LabelsOnly,
        fit: TrackFit,
        bout_seconds: Mapping[str, float],
    ) -> None:
        """Export the network with the fit, unless it is there."""
        path = self.output / "model.json"
        weights = hashlib.sha256(settings.digest().encode())
        weights.update(fit.labels.to_json().encode())
        weights.update(repr(sorted(bout_seconds.items())).encode())
        for part in (fit.fitted.actor, fit.fitted.action):
            for values in (*part.kernels, part.bias):
                weights.update(np.float32(values).tobytes())
        identity = {}
        if self._model.exists():
            identity = model_source.identity(str(self._model))
        facts = {"weights": weights.hexdigest(), **identity}
        if path.exists() and load_json(path, {}, "delete it") == facts:
            return

        from a2d_tf.serving import exporter
        from a2d_tf.serving.signatures import BOX_SIGNATURES

        run = settings.build(fit.labels, fit.fitted, bout_seconds)
        exporter.export(run, str(self._model), BOX_SIGNATURES)
        facts.update(model_source.identity(str(self._model)))
        write_json(path, facts)

    def _write_pages(
        self,
        fit: TrackFit,
        features: Mapping[str, TrackFeatures],
        given: GivenTracks,
        reading: Reading,
        notes: Sequence[str],
    ) -> None:
        """Predict all videos from their features; those that fail are listed."""
        from a2d_tf.serving import model_info
        from a2d_tf.video.kept_labeller import KeptLabeller
        from a2d_tf.video.track_predictor import TrackPredictor

        info = model_info.read(str(self._model))
        request = library_request.Request(
            every=self._every,
            track_settings=TrackSettings(
                window=predict.FLAGS["window"].value,
                min_bout=predict.FLAGS["min_bout"].value,
                merge_gap=predict.FLAGS["merge_gap"].value,
            ),
            kinds=predict.kinds_of_results(),
            model=model_source.identity(str(self._model)),
            settings={"tracks": digest(reading.exports)},
            fps=predict.FLAGS["fps"].value,
            overwrite=True,
            notes=tuple(notes),
        )
        predictor = TrackPredictor(
            info,
            fit.labels,
            given,
            labeller_of=lambda name: KeptLabeller(fit, features[name], info),
        )
        unfinished = [job for job in self.jobs if not request.is_finished(job)]
        failures: dict[str, str] = {}
        if unfinished:
            failures = library.predict(lambda: predictor, unfinished, request, "skip")
        output = str(self.output / "videos")
        library_tables.conclude(output, self.jobs, request, failures)
        for reason in failures.values():
            print(f"skipped {reason}", file=sys.stderr)


def _parse(words, register):
    """Parse the flags of a single command; InputError for one that is wrong."""
    try:
        flagfiles.parse(["", *words], register)
    except flags.Error as error:
        raise InputError(str(error)) from error


def _codes(source: AnnotatedVideos, given: GivenTracks) -> dict[str, CodesOfVideo]:
    """Return the codes of the coded instances: {video: {(frame, track): code}}."""
    codes: dict[str, CodesOfVideo] = {}
    for video in source.videos:
        tracks = given.videos.get(video.vid)
        if tracks is None:
            continue
        of_video = {}
        for frame in source.annotated_frames(video.vid):
            numbers = tracks.numbers(frame)
            for track, code in zip(numbers, source.codes(video.vid, frame)):
                of_video[frame, track] = code
        codes[video.vid] = of_video
    return codes


def _any_coded(features, codes):
    """Return whether an answered frame shows a coded instance."""
    for vid, codes_of_video in codes.items():
        answered = set(features[vid].numbers.tolist())
        if any(frame in answered for frame, _ in codes_of_video):
            return True
    return False


def _score(fit: TrackFit, output: pathlib.Path) -> list[str]:
    """Write the scores of coded videos that are left out; return them in words."""
    left_out = [instance for instance in fit.coded if instance.predicted >= 0]
    if not left_out:
        return [
            "one coded video, or one behaviour: nothing can be left out of the fit to"
            " be scored"
        ]
    scores = CodedSeconds.count(
        fit.labels.actions,
        videos=[instance.video for instance in left_out],
        seconds=[instance.seconds for instance in left_out],
        coded=[instance.action for instance in left_out],
        predicted=[instance.predicted for instance in left_out],
    )
    scores.write(output)
    lines = [f"{NOTE}:", *scores.lines()]
    worth = fit.fitted.skills.worth
    if worth:
        lines.append(worth)
    return lines


def _expectation(jobs: Sequence[Job], fps: float | None) -> str:
    """Say how long the features of videos take on this machine."""
    frames = 0
    for job in jobs:
        frames += video_reader.open_video(job.path, fps).expected or 0
    minutes = frames * _SECONDS / min(devices.cores(), 2) / 60
    return (
        f"features of {len(jobs)} videos, {frames} frames: about {minutes:.0f} minutes;"
        " they are kept"
    )
