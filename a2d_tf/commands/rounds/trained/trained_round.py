"""a2d start with annotations: they train a network, which predicts all videos.

Each stage is a single command, and leaves out finished work. Later stages read the
files of earlier ones. The folder's logs have what the commands print.
"""

from __future__ import annotations

from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.trained import (
    next_steps,
    round_records,
    round_scores,
    round_settings,
    stage_times,
    trained_folds,
    training_steps,
)
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.commands.rounds.trained.stage_times import StageTimes
from a2d_tf.commands.rounds.trained.track_scoring import TrackScoring
from a2d_tf.commands.rounds.trained.training_steps import TrainingSteps
from a2d_tf.commands.rounds.trained.video_sizes import VideoSizes
from a2d_tf.core.command import flagfiles
from a2d_tf.core.command.register import Register
from a2d_tf.data.record_folder.manifest import NO_COUNTS, Manifest
from a2d_tf.runs import run_folder, training_length
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.suggestion_file import Suggestion
from a2d_tf.video.video_flags import VideoFlags


def run(request: RoundRequest) -> None:
    """Run all stages, then print the scores, the next steps and the path of the page.

    Raises:
      InputError: a command failed.
    """
    folder = request.folder
    folder.logs.mkdir(parents=True, exist_ok=True)
    sizes = VideoSizes.read(request.jobs)
    stages = StageRunner(
        folder.logs, request.further_flags, announce_times(request, sizes)
    )

    manifest = round_records.build(request, stages)
    round_records.draw_sheets(folder, stages)
    if manifest.motion:
        print(round_records.describe_motion(manifest.motion))

    suggestion = round_settings.suggest(request, stages, manifest)
    print(suggestion.duration)
    steps = training_steps.choose(request, suggestion)
    stages = expect_measured_times(
        stages, request, suggestion, steps.number, manifest, sizes
    )
    train(folder, stages, steps)

    is_tested = TEST in manifest.splits
    if is_tested:
        round_scores.evaluate(request, stages, manifest)
    predict("videos", request, stages, suggestion)
    scoring = TrackScoring(
        stages, request.jobs, folder.records / "labels.json", suggestion.predict_flag()
    )
    folds = None
    if request.folds:
        folds = trained_folds.cross_validate(request, stages, manifest, scoring)
    tables = []
    if is_tested:
        tables = round_scores.score_tracks(request, stages, scoring, manifest, folds)
        predict("pages", request, stages, suggestion)  # pages show the new scores
    if folds:
        tables.append(folds.table)
    stages.run(
        "export", "export", f"--workdir={folder.run}", f"--output={folder.model}"
    )

    for table in tables:
        print(f"\n{table}")
    warning = training_length.warning(str(folder.run))
    if warning:
        print(f"\n{warning}")
    print("\nWhat to do next:")
    for line in next_steps.lines(request, manifest, suggestion):
        print(f"- {line}")
    print(folder.videos / "index.html")


def announce_times(request: RoundRequest, sizes: VideoSizes) -> StageTimes:
    """Print how long the round takes; return the times of its unfinished stages."""
    times = stage_times.estimated_times(
        sizes,
        Host.here(),
        request.minutes,
        has_round_before=request.before is not None,
    )
    if request.folds:
        print(trained_folds.describe_time(request.folds, request.folder, times))
    times = times.without(finished_stages(request.folder))
    total = stage_times.in_words(times.total())
    print(
        f"{total} in all, by the sizes of the videos and the load of this machine;"
        " steps of the training are measured before it begins",
        flush=True,
    )
    return times


def finished_stages(folder: RoundFolder) -> set[str]:
    """Return the stages that an earlier call has finished, of those with times."""
    finished = set()
    if folder.has_records():
        finished |= {"check", "records"}
    if folder.sheets.is_dir():
        finished.add("sheets")
    if folder.flagfile.exists():
        finished.add("settings")
    if folder.is_trained():
        finished.add("training")
    return finished


def expect_measured_times(
    stages: StageRunner,
    request: RoundRequest,
    suggestion: Suggestion,
    steps: int,
    manifest: Manifest,
    sizes: VideoSizes,
) -> StageRunner:
    """Return a runner that expects the measured times of the suggestion, if it has any.

    Args:
      steps: number of steps of the training.
    """
    if suggestion.times is None:
        return stages
    checkpoints = run_folder.checkpoint_folder(request.folder.run)
    steps_done = max(run_folder.checkpoint_steps(checkpoints), default=0)
    measured = stage_times.measured_times(
        suggestion.times,
        steps=max(steps - steps_done, 0),
        test_frames=manifest.counts.get(TEST, NO_COUNTS)["records"],
        frames=sizes.unpredicted_frames,
        every=_predicted_every(request),
    )
    return stages.expecting(measured)


def train(folder: RoundFolder, stages: StageRunner, steps: TrainingSteps) -> None:
    """Train with the suggested settings; a finished training is left as it is."""
    stages.run(
        "training",
        "train",
        f"--flagfile={folder.flagfile}",
        f"--records={folder.records}",
        f"--workdir={folder.run}",
        *steps.flags,
    )


def predict(
    stage: str, request: RoundRequest, stages: StageRunner, suggestion: Suggestion
) -> None:
    """Predict all videos; finished predictions stay, their pages are renewed."""
    folder = request.folder
    stages.run(
        stage,
        "predict",
        f"--workdir={folder.run}",
        f"--video={request.videos}",
        f"--output={folder.videos}",
        suggestion.predict_flag(),
        "--overwrite",
        "--on_error=skip",
    )


def _predicted_every(request: RoundRequest) -> int:
    """Return the interval of the frames that the user's flags of a2d predict answer."""
    words = request.further_flags.get("predict", ())
    register = Register()
    VideoFlags.define(register)
    flagfiles.parse_flags(
        [word for word in words if word.startswith("--every=")], register
    )
    return register.every
