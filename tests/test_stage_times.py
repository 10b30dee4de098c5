"""A round says how long it takes, and trains enough, and never less than promised."""

import dataclasses
import json
import os
import types

import pytest
from a2d_files import coloured_frames, write_video
from test_start import request_of, runner_of

from a2d_tf.commands.rounds.trained import (
    next_steps,
    round_settings,
    stage_times,
    trained_round,
    training_steps,
)
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.commands.rounds.trained.stage_times import StageTimes
from a2d_tf.commands.rounds.trained.video_sizes import VideoSizes
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import training_length
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags
from a2d_tf.training.suggestion.suggestion_file import (
    MeasuredTimes,
    Suggestion,
    json_path,
)
from a2d_tf.video.library.library_videos import Job

CPU = Host(2, 16 * 2**30)
TIMES = MeasuredTimes(start=30.0, step=2.0, answer=0.5, motion=0.1)


def suggestion_of(steps, minutes=30.0):
    """A suggestion of so many steps, for records of source "s"."""
    return Suggestion(
        title="",
        settings=[ReasonedFlags({"steps": steps}, "")],
        remarks=[],
        individuals=1,
        source="s",
        minutes=minutes,
        duration="on this machine",
        times=TIMES,
    )


@pytest.fixture
def round_calls(tmp_path, monkeypatch):
    """A round, the commands that it runs, and what a suggestion would be."""
    request = request_of(tmp_path)
    calls = []
    suggested = {"steps": 4500}

    def run(self, stage, command, *flags):
        calls.append((command, *flags))
        if command == "suggest-config":
            request.folder.flagfile.touch()
            path = json_path(request.folder.flagfile)
            suggestion_of(**suggested).write(path)

    monkeypatch.setattr(StageRunner, "run", run)
    return request, calls, suggested


MANIFEST = types.SimpleNamespace(source="s", counts={"test": {"records": 10}})


def train(request):
    """Suggest settings unless that was done, and train."""
    stages = runner_of(request)
    suggestion = round_settings.suggest(request, stages, MANIFEST)
    steps = training_steps.choose(request, suggestion)
    trained_round.train(request.folder, stages, steps)


def begin(request, number):
    """Leave the settings of a run of so many steps."""
    run = request.folder.run
    run.mkdir(exist_ok=True)
    Config.parse([f"--steps={number}"]).write(run / "flags.txt")


def test_few_steps_are_an_error_with_the_minutes_that_are_enough(round_calls):
    request, calls, suggested = round_calls
    suggested["steps"] = 99
    with pytest.raises(InputError) as error:
        train(request)
    assert str(error.value) == (
        "--minutes=30 are 99 training steps on this machine as busy as it is now, and"
        " fewer than 100 teach next to nothing; end other programs, or give it"
        " --minutes=4 or more, and run the same command again"
    )
    assert [command for command, *_ in calls] == ["suggest-config"]
    # It is measured again when the machine may have more time.
    suggested["steps"] = 100
    train(request)
    assert [command for command, *_ in calls[1:]] == ["suggest-config", "train"]


def test_few_steps_that_are_asked_for_are_trained_with_a_warning(round_calls, capsys):
    request, calls, suggested = round_calls
    suggested["steps"] = 1
    asked = dataclasses.replace(request, accepts_few_steps=True)
    train(asked)
    assert "warning: --minutes=30 are 1 training steps" in capsys.readouterr().out
    train(asked)  # its settings stay
    assert [command for command, *_ in calls] == ["suggest-config", "train", "train"]


@pytest.mark.parametrize("now, flags", [(1, ["--steps=141"]), (200, [])])
def test_a_run_goes_on_to_the_steps_that_it_began_with(round_calls, now, flags, capsys):
    """Also if its settings have to be suggested again, on a machine that is busier."""
    request, calls, suggested = round_calls
    begin(request, 141)
    suggested["steps"] = now
    train(request)
    *_, training = calls
    assert [word for word in training if "steps" in word] == flags
    said = "the training goes on to the 141 steps that it began with"
    assert (said in capsys.readouterr().out) == bool(flags)


def test_the_time_of_steps_that_a_user_gives_is_told(round_calls, capsys):
    request, *_ = round_calls
    request.further_flags["train"] = ["--steps=900"]
    train(request)
    assert capsys.readouterr().out == (
        "--steps=900 in place of the suggested 4500 steps: about 30.5 minutes of"
        " training\n"
    )


def test_steps_of_a_user_are_no_promise_and_no_error(tmp_path):
    assert training_steps.steps_of_flags(["--noflip"]) is None
    assert training_steps.steps_of_flags(["--steps=9", "--noflip", "--steps=12"]) == 12
    with pytest.raises(InputError, match="--steps"):
        training_steps.steps_of_flags(["--steps=many"])
    assert training_steps.steps_of_run(tmp_path) == 0


def test_what_remains_is_the_sum_of_the_stages_to_come():
    times = stage_times.measured_times(
        TIMES, steps=100, test_frames=10, frames=60, every=5
    )
    assert times == {
        "training": 230.0,
        "scores": 35.0,
        "before": 35.0,
        "videos": 42.0,
    }
    assert StageTimes(times).remaining("check") == 342.0
    assert StageTimes(times).remaining("browse") == 0.0
    assert StageTimes(times).remaining("another") == 0.0
    finished = stage_times.measured_times(
        TIMES, steps=0, test_frames=0, frames=0, every=1
    )
    assert finished["training"] == 0.0
    words = [stage_times.in_words(x) for x in (20, 725, 2 * 3600)]
    assert words == ["about a minute", "about 12 minutes", "about 2.0 hours"]


def test_the_rough_time_is_that_of_the_videos_and_of_the_load(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    sizes = VideoSizes(frames=1000, unpredicted_frames=500, pixels=1e5)
    alone = stage_times.estimated_times(sizes, CPU, 30).seconds
    assert alone["records"] == pytest.approx(7.5 + 25)
    assert alone["training"] == pytest.approx((15 + 1100) / 2)
    assert stage_times.estimated_times(sizes, CPU, 2).seconds["training"] == 120
    gpu = Host(8, 64 * 2**30, 24 * 2**30)
    assert stage_times.estimated_times(sizes, gpu, 30).seconds["training"] == 1800
    monkeypatch.setattr(os, "getloadavg", lambda: (6.0, 0.0, 0.0))
    busy = stage_times.estimated_times(sizes, CPU, 1e6).seconds
    assert busy["records"] == pytest.approx(4 * alone["records"])
    assert busy["training"] == pytest.approx(4 * alone["training"])


def test_what_is_done_takes_no_time_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    sizes = VideoSizes(frames=1000, unpredicted_frames=0, pixels=1e5)
    request = request_of(tmp_path)
    anew = trained_round.announce_times(request, sizes).seconds
    minutes = round(sum(anew.values()) / 60)
    assert f"about {minutes} minutes in all, by the sizes" in capsys.readouterr().out
    folder = request.folder
    for path in (
        folder.records / "manifest.json",
        folder.flagfile,
        folder.run / "finished.json",
    ):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    times = trained_round.announce_times(request, sizes).seconds
    done = {"check", "records", "settings", "training"}
    assert anew.keys() - times.keys() == done
    assert all(times[stage] == anew[stage] for stage in times)


def test_sizes_are_those_of_the_videos_that_can_be_read(tmp_path):
    jobs = []
    for name, length in (("a", 3), ("b", 5)):
        path = tmp_path / f"{name}.mp4"
        write_video(path, coloured_frames(length, 64, 96))
        jobs.append(Job(str(path), str(tmp_path / "out" / name)))
    (tmp_path / "c.mp4").write_text("no video")
    jobs.append(Job(str(tmp_path / "c.mp4"), str(tmp_path / "out/c")))
    (tmp_path / "out/b").mkdir(parents=True)
    assert VideoSizes.read(jobs) == VideoSizes(8, 3, 64 * 96)


def test_a_network_that_was_hardly_trained_is_warned_of(tmp_path):
    assert training_length.warning("coco") == ""
    (tmp_path / "finished.json").write_text(json.dumps({"steps": 1}))
    assert training_length.warning(str(tmp_path)) == (
        "This network's last training had only 1 step; fewer than 100 teach next to"
        " nothing. Believe no label that was to be learned in it: train longer, as by"
        " a2d start with more --minutes."
    )
    (tmp_path / "finished.json").write_text(json.dumps({"steps": 100}))
    assert training_length.warning(str(tmp_path)) == ""
    export = tmp_path / "model"
    export.mkdir()
    for name, begin in (("ckpt-99", "This"), ("ckpt-100", ""), ("weights.npz", "")):
        (export / "a2d_tf.json").write_text(json.dumps({"checkpoint": name}))
        assert training_length.warning(str(export))[:4] == begin


def test_the_commands_of_new_videos_follow_one_another(tmp_path):
    manifest = types.SimpleNamespace(splits=("train",))
    request = request_of(tmp_path)
    *_, predicted, chosen = next_steps.lines(request, manifest, suggestion_of(9))
    assert predicted.endswith(" --video=FILE --output=FOLDER --max_tracks=1")
    assert chosen == (
        "to choose frames of it to correct: a2d next --prediction=FOLDER"
        f" --records={tmp_path / 'records'} --output=FOLDER_next"
    )
