"""a2d start --tracks: from tracks and coded times to the pages of all videos.

No detector is trained; one that is there may find the tracks (--detector). The features
of the tracks are computed once and kept, so that more coded times cost seconds; what
each track does is a closed form of them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.annotations.readers.exports import exports_digest
from a2d_tf.annotations.tracks.given_tracks import GivenTracks, Reading
from a2d_tf.behaviour.prediction_folder import LEFT_OUT, RESULT_FILES, SEEN
from a2d_tf.commands.rounds import chosen_folds
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.stage_clock import stage_time
from a2d_tf.commands.source_flags import SourceFlags
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.command import command_flags, flagfiles
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.core.machine import devices
from a2d_tf.data.decoding import video_frames
from a2d_tf.evaluation import fold_scores, learning_curve
from a2d_tf.evaluation.coded_seconds import NOTE, CodedSeconds
from a2d_tf.evaluation.fold_scores import FoldScores
from a2d_tf.evaluation.unsure import unsure_below
from a2d_tf.runs import model_source
from a2d_tf.training.given_tracks.coded_instances import CodedInstance, CodesOfVideo
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.library import library_prediction, library_request, library_tables
from a2d_tf.video.library.detected_tracks import DetectedTracks
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import video_reader
from a2d_tf.video.video_flags import kinds_of_results

if TYPE_CHECKING:
    from a2d_tf.commands.rounds.tracks.track_folds import TrackFolds
    from a2d_tf.training.given_tracks.fit_tracks import TrackFit
    from a2d_tf.training.given_tracks.labelling_network import LabellingNetwork
    from a2d_tf.training.given_tracks.left_out_videos import LeftOutPredictor
    from a2d_tf.training.given_tracks.track_features import TrackFeatures

COMMAND = "start --tracks"
"""In `Round.further_flags`: it has the flags that are given behind `--`."""
FLAGS = Register()
"""These: some of a2d records, and some of a2d predict."""
_SOURCE = SourceFlags.define(FLAGS)
_EVERY = FLAGS.define_integer(
    "every", None, "Label only every Nth frame; by default some five a second.", 1
)
_WINDOW = FLAGS.define_integer(
    "window", TrackSettings.window, "As of a2d predict.", lower_bound=1
)
_MIN_BOUT, _MERGE_GAP = command_flags.define_bout_lengths(FLAGS)
_RESULTS = FLAGS.define_list("results", list(RESULT_FILES), "As of a2d predict.")
_DEVICE = command_flags.define_device(FLAGS)
_LABELLED = 5  # frames a second
_USUAL_FOLDS = 5  # of the learning curve
_NOTHING_LEFT_OUT = (
    "one coded video, or one behaviour: nothing can be left out of the fit to be"
    " scored; the labels of coded videos are of a fit that has seen them, so judge by"
    " the others"
)

_WITHOUT_MOTION = (
    "note: weights of I3D, which know actions by their motion, are not installed, and"
    " labels do without; to read them, too: {install}, and the same command again"
)


class _Trust(NamedTuple):
    """How far the labels can be trusted.

    Attributes:
      scores: of coded videos that were left out of the fit; None if none can be.
      lines: the same in words.
      unsure_below: the score below which labels are rather wrong; None without
        scores, or with too few.
      folds: scores of each fold, if they were wanted.
    """

    scores: CodedSeconds | None
    lines: list[str]
    unsure_below: float | None = None
    folds: Sequence[FoldScores] = ()

    def held_out(self, coded: Iterable[str]) -> dict[str, Any] | None:
        """Return what the model keeps of it, see `runs.held_out_scores`.

        Args:
          coded: names of the videos that it is fitted to.
        """
        if self.scores is None:
            return None
        return {
            **self.scores.held_out(),
            "unsure_below": self.unsure_below,
            "trained_on": sorted(coded),
        }


@dataclasses.dataclass(frozen=True)
class TrackRound:
    """What the user has given.

    Attributes:
      output: folder of all results.
      jobs: all videos, and the folders of their pages.
      source: the videos with coded times; it knows the labels.
      reading: how the tracks were read.
      given: the tracks of all videos.
      every: of so many frames one is labelled.
      fps: images a second of folders of images; None: 25.
      track_settings: how labels are read along tracks.
      kinds: the results that are wanted of each video.
      detector: the name of what found the tracks; None if the user gave them.
      folds: of `Round`.
    """

    output: pathlib.Path
    jobs: Sequence[Job]
    source: AnnotatedVideos
    reading: Reading
    given: GivenTracks
    every: int
    fps: float | None
    track_settings: TrackSettings
    kinds: tuple[str, ...]
    detector: str | None = None
    folds: str | None = None

    @classmethod
    def read(
        cls, this: RoundRequest, detected: DetectedTracks | None = None
    ) -> TrackRound:
        """Read the tracks and the coded times.

        Args:
          detected: completes the tracks first; None if the user gave them.

        Raises:
          InputError: a flag behind `--` is wrong, or the tracks or the coded times do
            not fit the videos; or as of `DetectedTracks.complete`.
        """
        words = [f"--annotations={export}" for export in this.exports]
        words += [f"--bouts={path}" for path in this.bouts]
        words += [f"--videos={this.videos}", *this.further_flags[COMMAND]]
        flagfiles.parse_flags(words, FLAGS)
        kinds = kinds_of_results(_RESULTS.value)
        if detected is not None:
            _SOURCE.check_coding()  # before the detector's hours
            with _stage("tracks"):
                detected.complete(this.jobs, _DEVICE.value, FLAGS.fps)
        source = _SOURCE.open(has_split=False, by_sight=detected is not None)
        assert isinstance(source, AnnotatedVideos)
        for doubt in source.doubts:
            print(f"note: {doubt}", file=sys.stderr)
        reading = _SOURCE.reading_of_tracks()
        paths = [pathlib.Path(job.path).absolute() for job in this.jobs]
        folder = VideoFolder.of_paths(pathlib.Path(this.videos), paths)
        names = [name_of_path(path) for path in paths]
        given = GivenTracks.read(
            reading,
            folder,
            source.label_space,
            names,
            of_detector=detected is not None,
        )
        for actor, count in given.left_out.items():
            print(
                f"note: nobody coded {actor}, so its {count} boxes are left out;"
                " --actors chooses what is detected",
                file=sys.stderr,
            )
        return cls(
            output=this.folder.path,
            jobs=this.jobs,
            source=source,
            reading=reading,
            given=given,
            every=_EVERY.value or _usual_every(this.jobs, FLAGS.fps),
            fps=FLAGS.fps,
            track_settings=TrackSettings(
                window=_WINDOW.value,
                min_bout=_MIN_BOUT.value,
                merge_gap=_MERGE_GAP.value,
            ),
            kinds=kinds,
            detector=None if detected is None else detected.name,
            folds=this.folds,
        )

    def run(self) -> None:
        """Do all steps; each leaves out what is done."""
        from a2d_tf.training.given_tracks import coded_instances
        from a2d_tf.training.given_tracks.fit_tracks import fit_tracks
        from a2d_tf.training.given_tracks.labelling_network import LabellingNetwork
        from a2d_tf.training.suggestion.presets import INSTALL_ACTION_BACKBONE
        from a2d_tf.video.library.feature_folder import FeatureFolder

        devices.prepare(_DEVICE.value)
        labels = self.source.label_space
        self._note_gaps()
        with _stage("features"):
            sizes = [video_frames.size(job.path) for job in self.jobs]
            settings = LabellingNetwork.for_videos(sizes)
            if not settings.motion.action_backbone:
                note = _WITHOUT_MOTION.format(install=INSTALL_ACTION_BACKBONE)
                print(note, file=sys.stderr, flush=True)
            folder = FeatureFolder(
                self.output / "features", settings, self.given, self.every, self.fps
            )
            features = folder.complete(self.jobs, labels)
        if self.folds:
            print("--folds: follow from the fit in closed form; nothing is trained")
        with _stage("fit"):
            rows = coded_instances.find(features, self._codes(), self.every)
            if not rows:
                raise InputError(
                    f"--every={self.every}: no answered frame has a coded time; answer"
                    " more, as in -- --every=1"
                )
            fit = fit_tracks(features, rows, labels)
            trust = self._score(fit, features, rows)
        print("\n".join(trust.lines), flush=True)
        if trust.folds:
            fold_scores.write(self.output, trust.folds)
            print(f"\n{fold_scores.table(trust.folds, 'seconds').text()}\n", flush=True)
        with _stage("model"):
            self._write_model(settings, fit, trust.held_out(fit.videos))
        with _stage("videos"):
            self._write_pages(fit, features, trust.lines)
        print(self.output / "videos" / "index.html")

    @property
    def _model(self) -> pathlib.Path:
        return self.output / "model"

    def _note_gaps(self) -> None:
        """Say if bouts will be cut where a frame to be labelled lacks a track."""
        gaps = sum(
            tracks.short_gaps(self.every) for tracks in self.given.videos.values()
        )
        if not gaps or self.track_settings.merge_gap:
            return
        print(
            f"note: one of {self.every} frames is labelled, and {gaps} times a track is"
            " missing just there, for fewer frames: this cuts its bout in two; to join"
            " the parts: -- --merge_gap=0.5 (seconds)",
            file=sys.stderr,
            flush=True,
        )

    def _codes(self) -> dict[str, CodesOfVideo]:
        """Return the codes of the coded instances: {video: {(frame, track): code}}."""
        codes: dict[str, CodesOfVideo] = {}
        for video in self.source.videos:
            tracks = self.given.videos.get(video.vid)
            if tracks is None:
                continue
            of_video = {}
            for frame in self.source.annotated_frames(video.vid):
                numbers = tracks.numbers(frame)
                for track, code in zip(numbers, self.source.codes(video.vid, frame)):
                    of_video[frame, track] = code
            codes[video.vid] = of_video
        return codes

    def _score(
        self,
        fit: TrackFit,
        features: Mapping[str, TrackFeatures],
        rows: Sequence[CodedInstance],
    ) -> _Trust:
        """Score the coded videos by fits without them, and write the scores."""
        from a2d_tf.training.given_tracks.left_out_videos import LeftOutPredictor

        if not fit.can_leave_out:
            self._draw_curve([])  # that of an earlier call goes
            return _Trust(None, [_NOTHING_LEFT_OUT])
        predictor = LeftOutPredictor(
            labels=fit.labels,
            videos=features,
            every=self.every,
            bout_seconds=self.source.bout_seconds,
            window=self.track_settings.window,
        )
        scored_rows = predictor.predict_left_out(fit, rows)
        scores = CodedSeconds.count(
            fit.labels.actions,
            videos=[row.coded.video for row in scored_rows],
            seconds=[row.coded.seconds for row in scored_rows],
            coded=[row.action for row in scored_rows],
            predicted=[row.predicted for row in scored_rows],
        )
        scores.write(self.output)
        lines = [f"{NOTE}:", *scores.lines()]
        if fit.fitted.skills.summary:
            lines.append(
                f"{fit.fitted.skills.summary}; 100 is all right, each behaviour counts"
                " alike, and each frame by itself"
            )
        limit = unsure_below(
            np.array([row.score for row in scored_rows]),
            right=np.array([row.action == row.predicted for row in scored_rows]),
            seconds=np.array([row.coded.seconds for row in scored_rows]),
        )
        folds = self._folds(fit, rows, predictor)
        curve = folds.curve()
        self._draw_curve(learning_curve.points_of_fits(curve))
        if len(curve) > 1:
            lines.append(learning_curve.sentence(curve))
        return _Trust(scores, lines, limit, folds.scores() if self.folds else ())

    def _draw_curve(self, points: Sequence[learning_curve.Point]) -> None:
        axes = learning_curve.OF_CODED_VIDEOS
        learning_curve.write(self.output, points, axes)

    def _folds(
        self, fit: TrackFit, rows: Sequence[CodedInstance], predictor: LeftOutPredictor
    ) -> TrackFolds:
        """Return the folds that are wanted, or usual ones for the learning curve."""
        from a2d_tf.commands.rounds.tracks.track_folds import TrackFolds

        videos_of_actions: dict[str, set[str]] = collections.defaultdict(set)
        for row in rows:
            videos_of_actions[fit.labels.name(row.code)].add(row.video)
        folder = self.output / "folds"
        number = str(min(_USUAL_FOLDS, len(fit.videos)))
        return TrackFolds(
            folds=chosen_folds.choose(self.folds or number, videos_of_actions, folder),
            fit=fit,
            rows=rows,
            predictor=predictor,
        )

    def _write_model(
        self, settings: LabellingNetwork, fit: TrackFit, held_out: dict[str, Any] | None
    ) -> None:
        """Export the network with the fit, unless it is there."""
        bout_seconds = self.source.bout_seconds
        path = self.output / "model.json"
        content = hashlib.sha256(settings.digest().encode())
        content.update(fit.labels.to_json().encode())
        content.update(repr((sorted(bout_seconds.items()), held_out)).encode())
        for part in (fit.fitted.actor, fit.fitted.action):
            for values in (*part.kernels, part.bias):
                content.update(np.float32(values).tobytes())
        identity = {}
        if self._model.exists():
            identity = model_source.identity(str(self._model))
        facts = {"weights": content.hexdigest(), **identity}
        if path.exists() and load_json(path, {}, "delete it") == facts:
            return

        from a2d_tf.serving import exporter
        from a2d_tf.serving.signatures import BOX_SIGNATURES

        run = settings.build(fit.labels, fit.fitted, bout_seconds, held_out)
        exporter.export(run, str(self._model), BOX_SIGNATURES)
        facts.update(model_source.identity(str(self._model)))
        write_json(path, facts)

    def _write_pages(
        self,
        fit: TrackFit,
        features: Mapping[str, TrackFeatures],
        notes: Sequence[str],
    ) -> None:
        """Predict all videos from their features; those that fail are listed.

        Coded videos have the labels of the fit without them, if there is one.
        """
        from a2d_tf.serving import model_info
        from a2d_tf.video.predictors.fitted_labeller import FittedLabeller
        from a2d_tf.video.predictors.track_predictor import TrackPredictor

        info = model_info.read(str(self._model))

        def labeller_of(name: str) -> FittedLabeller:
            weights = fit.weights
            if name in fit.videos and fit.can_leave_out:
                weights = fit.without(name)
            return FittedLabeller(weights, fit.labels, features[name], info)

        coded = dict.fromkeys(fit.videos, LEFT_OUT if fit.can_leave_out else SEEN)
        predictor = TrackPredictor(
            info, fit.labels, self.given, labeller_of, coded, self.detector
        )
        request = library_request.Request(
            every=self.every,
            track_settings=self.track_settings,
            kinds=self.kinds,
            model=model_source.identity(str(self._model)),
            settings={"tracks": exports_digest(self.reading.exports)},
            fps=self.fps,
            overwrite=True,
            notes=tuple(notes),
            curve=str(self.output / learning_curve.PICTURE),
        )
        unfinished = [job for job in self.jobs if not request.is_finished(job)]
        failures: dict[str, str] = {}
        if unfinished:
            failures = library_prediction.predict(
                lambda: predictor, unfinished, request, "skip"
            )
        output = str(self.output / "videos")
        library_tables.conclude(output, self.jobs, request, failures)
        for reason in failures.values():
            print(f"skipped {reason}", file=sys.stderr)


def _usual_every(jobs: Sequence[Job], fps: float | None) -> int:
    """Return of how many frames one is labelled: some five a second."""
    rates = [video_reader.open_video(job.path, fps).fps for job in jobs]
    return max(1, round(float(np.median(rates)) / _LABELLED))


@contextlib.contextmanager
def _stage(name: str) -> Iterator[None]:
    """Do a step, and print its time."""
    start = time.monotonic()
    yield
    print(stage_time(name, start), flush=True)
