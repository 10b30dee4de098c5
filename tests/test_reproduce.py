"""One command for all runs: its order, what it keeps, and one real run."""

import collections
import json
import math
import os
import pathlib
import re
import shutil
import types

import pytest
from absl.testing import flagsaver
from processes import ROOT, complaint, run_a2d
from test_mains import TINY

from a2d_tf.commands import reproduce as command
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.core.machine import processes
from a2d_tf.core.settings.config import Config
from a2d_tf.paper import reproduction, stages, table_rows, training_flags
from a2d_tf.paper.folds import Fold
from a2d_tf.runs import scores
from a2d_tf.training import run_settings

pytestmark = pytest.mark.slow


@pytest.fixture
def manifest(monkeypatch):
    """Stands in for the manifest of the records."""
    manifest = types.SimpleNamespace(source="a")
    monkeypatch.setattr(
        reproduction, "Manifest", types.SimpleNamespace(load=lambda _: manifest)
    )
    return manifest


@pytest.fixture
def run_all(manifest, tmp_path):
    """Return `Plan.run_all` of seeds and names in the test's folder, as a dictionary.

    It maps (seed, row) to the error. Further arguments are fields of the plan.
    """

    def call(seeds, names, **fields):
        plan = reproduction.Plan("configs/mini.flags", **fields)
        results = plan.run_all(Fold(str(tmp_path)), seeds, names)
        return {(result.seed, result.row): result.error for result in results}

    return call


@pytest.fixture
def runs(monkeypatch):
    """Puts a `Runs` in place of the trainings."""
    return lambda made: monkeypatch.setattr(reproduction.Plan, "train_and_score", made)


class Runs:
    """Stands in for `Plan.train_and_score`."""

    def __init__(self, failing=()):
        self.calls, self.failing = [], failing

    def __call__(self, stage):
        done = f"{stage.row.name}_final" if stage.final else stage.row.name
        self.calls.append((os.path.basename(stage.row.folder), done))
        if done in self.failing:
            raise self.failing[done]
        folder = stage.scored_run
        metrics = folder / "evaluation" / "test" / "metrics.json"
        metrics.parent.mkdir(parents=True, exist_ok=True)
        metrics.write_text("{}")
        plan = reproduction.Plan("configs/mini.flags")
        *_, training = table_rows.trainings(
            stage.row.name, plan.base, stage.row.folder, final=stage.final
        )
        config = Config.parse(
            [*training.flagfiles, f"--seed={stage.row.seed}", *training.start]
        )
        config.with_settings(score_threshold=0.5).write(folder / "flags.txt")
        (folder / "finished.json").touch()
        source = reproduction.Manifest.load(stage.row.fold.records).source
        origin = scores.origin("", Config.read(folder / "flags.txt"), source)
        write_json(metrics.with_name(scores.ORIGIN), origin)
        return folder


def test_failed_and_interrupted_runs_are_taken_up_again(
    run_all, runs, manifest, tmp_path
):
    names = ["full", "no_flow", "no_joint"]
    first = Runs({"no_flow": InputError("disk full"), "no_joint": KeyboardInterrupt()})
    runs(first)
    assert run_all([0], names[:2]) == {(0, "full"): None, (0, "no_flow"): "disk full"}
    assert first.calls[0] == ("seed0", "full")
    with pytest.raises(KeyboardInterrupt):
        run_all([0], names[2:])

    second = Runs()
    runs(second)
    found = run_all([0, 1], names[:2])
    assert second.calls == [
        ("seed0", "no_flow"),
        ("seed1", "full"),
        ("seed1", "no_flow"),
    ]
    # What is not asked for this time is known, and said to be unfinished.
    assert found.pop((0, "no_joint")) == "not finished" and set(found.values()) == {
        None
    }

    # A run whose figures are deleted is scored again.
    (tmp_path / "seed0" / "full" / "evaluation" / "test" / "metrics.json").unlink()
    run_all([0], names[:2])
    assert second.calls[3:] == [("seed0", "full")]
    # Figures of other records are none.
    manifest.source = "others"
    assert run_all([0], names[1:2])[0, "full"] == "not finished"
    assert [call[1] for call in second.calls[4:]] == ["no_flow"]


def test_a_run_of_another_row_or_seed_is_none_of_this_one(run_all, runs, tmp_path):
    runs(first := Runs())
    run_all([0], ["full", "no_flow"])
    for place in ("seed0/no_flow", "seed1/full"):
        shutil.rmtree(tmp_path / place, ignore_errors=True)
        shutil.copytree(tmp_path / "seed0" / "full", tmp_path / place)
    runs(
        second := Runs(
            {"no_flow": InputError("differs"), "full": InputError("differs")}
        )
    )
    failed = {
        (0, "no_flow"): "differs",
        (1, "full"): "differs",
        (1, "no_flow"): "differs",
    }
    assert run_all([0, 1], ["full", "no_flow"]) == {(0, "full"): None, **failed}
    assert run_all([], [])[0, "no_flow"] == "not finished"
    assert [len(each.calls) for each in (first, second)] == [2, 3]


def test_weights_of_a_scored_row_can_be_deleted(run_all, runs, tmp_path):
    runs(Runs({"no_flow": InputError("disk full")}))
    folders = [
        tmp_path / "seed0" / name / kind
        for kind in ("checkpoints", "best")
        for name in ("no_joint_actor", "no_joint_action", "no_flow")
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "ckpt-1.index").touch()
    run_all([0], ["no_joint", "no_flow"], delete_weights=True)
    # What is not scored goes on from them.
    assert [folder for folder in folders if folder.exists()] == [folders[2], folders[5]]


def test_rows_of_the_tables_end_with_final_runs(run_all, runs, tmp_path):
    names, first = ["full", "no_joint", "zero_shot_cat"], Runs()
    runs(first)
    assert run_all([0], names) == {(0, name): None for name in names}
    # Asked for later, they are done beside what is there, and a failed one is taken up
    # again.
    final = {"final": True, "delete_weights": True}
    kept = tmp_path / "seed0" / "full" / "checkpoints"
    gone = tmp_path / "seed0" / "no_joint_actor_final" / "checkpoints"
    for folder in (kept, gone):
        folder.mkdir(parents=True)
    second = Runs({"full_final": InputError("disk full")})
    runs(second)
    found = run_all([0], names, **final)
    assert found == {
        (0, "full"): "disk full",
        (0, "no_joint"): None,
        (0, "zero_shot_cat"): None,
    }
    assert [call[1] for call in second.calls] == ["full_final", "no_joint_final"]
    assert kept.exists() and not gone.exists()
    # A row that is not asked for is not missed.
    assert run_all([0], ["no_joint"], **final) == {(0, name): None for name in names}
    assert run_all([0], [], **final) == {(0, name): None for name in names}
    third = Runs()
    runs(third)
    run_all([0], names, **final)
    assert [call[1] for call in third.calls] == ["full_final"]
    scored = (
        tmp_path
        / "seed0"
        / "no_joint_action_final"
        / "evaluation"
        / "test"
        / "metrics.json"
    )
    assert scored.exists()


def test_final_runs_take_thresholds_and_weights_of_the_right_runs(tmp_path):
    for phase, chosen in (("no_mask", 0.45), ("no_mask_refiner", 0.3)):
        (tmp_path / phase).mkdir()
        path = tmp_path / phase / "score_threshold.json"
        path.write_text(json.dumps({"score_threshold": chosen}))
    (first, _, start), (second, _, later) = table_rows.trainings(
        "no_mask",
        "configs/mini.flags",
        tmp_path,
        final=True,
    )
    assert (first.name, second.name) == ("no_mask_final", "no_mask_refiner_final")
    assert start == ["--val_fraction=0", "--score_threshold=0.45"]
    assert f"--init_run={first}" in later
    assert later[-2:] == ["--val_fraction=0", "--score_threshold=0.3"]


def test_processes_share_the_runs(run_all, runs):
    """While one is at its first run, another does the rest; then all is done."""
    names, first, second, shared = ["full", "no_flow", "no_joint"], Runs(), Runs(), []

    def share(plan, stage):
        runs(second)
        shared.append(run_all([0], names))
        return first(stage)

    runs(share)
    assert run_all([0], names) == {(0, name): None for name in names}
    assert [call[1] for call in first.calls] == ["full"]
    assert [call[1] for call in second.calls] == ["no_flow", "no_joint"]
    assert shared == [{(0, "no_flow"): None, (0, "no_joint"): None}]


def test_flags_of_trainings(monkeypatch, tmp_path):
    """Flags of one row follow those of all; mistakes are found before records exist."""
    train = ["no_joint:--steps=450", "--steps=900", "no_flow:--batch_size=2"]
    plan = reproduction.Plan("configs/mini.flags", train)
    assert plan.train_flags("no_joint") == ["--steps=900", "--steps=450"]
    calls = []
    monkeypatch.setattr(processes, "call", calls.append)
    row = reproduction.SeededRow(Fold(str(tmp_path)), "no_joint", 7)
    plan.train_and_score(reproduction.Stage(row))
    *trained, scored = calls
    assert scored[0] == "evaluate"
    for words, phase in zip(trained, ("actor", "action")):
        run = tmp_path / "seed7" / f"no_joint_{phase}"
        assert words[0] == "train" and f"--workdir={run}" in words
        assert (
            words.index("--steps=900")
            < words.index("--steps=450")
            < words.index("--seed=7")
        )

    def check(*train, names=("full", "no_joint")):
        plan = reproduction.Plan("configs/mini.flags", train)
        plan.check(names, Fold(str(tmp_path)), seed=0)

    check("--pictures=1", "--steps=9", "no_joint:--steps=4", "--nodeterministic")
    check("--init_rgb=coco", "--init_flow=imagenet", names=table_rows.order())
    for flag, words in (
        ("--stepz=9", "stepz"),
        ("no_joint:--steps=x", "steps"),
        ("no_such:--steps=1", "use a flag, e.g. --steps=900, or a run and its flag"),
    ):
        with pytest.raises(InputError, match=words):
            check(flag)


def test_settings_that_a_training_turns_off_are_those_of_its_flags():
    """Without pretrained weights there is no readout, and no maps that it reads."""
    words = ["--readout", "--action_backbone=i3d", "--flow_histograms", "--steps=9"]
    wanted = training_flags.config_of(words)
    written = run_settings.resolve_config(wanted, given_flags=())
    assert not written.model.readout
    assert not (written.model.action_backbone or written.model.flow_histograms)
    assert training_flags.are_those_of(written, wanted)
    shorter = training_flags.config_of([*words, "--steps=8"])
    assert not training_flags.are_those_of(written, shorter)
    # A readout that is there has read other maps.
    other = training_flags.config_of([*words, "--noflow_histograms"])
    assert not training_flags.are_those_of(wanted, other)


@pytest.mark.parametrize(
    "words, named",
    [
        (["--workdir=w", "--runs=full,no_such"], "'no_such'"),
        (["--workdir=w", f"--seeds={2**32}"], f"--seed={2**32}"),
        (["--workdir=w", "--seeds=0,x"], "--seeds: 'x' is not an integer"),
        (["--workdir={old}"], "settings.json"),
    ],
)
def test_mistakes(words, named, tmp_path):
    (tmp_path / "settings.json").write_text('{"base": "other"}')
    (tmp_path / "seed0" / "full").mkdir(parents=True)
    (tmp_path / "seed0" / "full" / "flags.txt").touch()
    assert named in complaint(
        run_a2d("reproduce", *(w.format(old=tmp_path) for w in words))
    )


@pytest.mark.parametrize(
    "path", ROOT.glob("configs/reproduce_*.flags"), ids=lambda p: p.stem
)
def test_flagfiles_name_a_base_and_flags_of_trainings(path, tmp_path):
    found = collections.defaultdict(list)
    for name, value in re.findall("^--([a-z_]+)=(.*)", path.read_text(), re.MULTILINE):
        found[name].append(value)
    names = found["runs"][0].split(",") if "runs" in found else table_rows.order()
    plan = reproduction.Plan(found["base"][0], found["train"])
    plan.check(names, Fold(str(tmp_path)), seed=0)


def test_records_are_of_the_networks_size(monkeypatch, tmp_path):
    calls, base = [], tmp_path / "base.flags"
    base.write_text("--image_height=64\n--image_width=96\n--temporal_layers=1\n")
    monkeypatch.setattr(processes, "call", calls.append)
    source = ["--workers=3", "--release=A2D"]
    reproduction.Plan(str(base)).make_records(
        Fold(str(tmp_path)), source, ["v1", "v,2"]
    )
    (records,) = calls
    assert {"--release=A2D", f"--output={tmp_path}/records", "--workers=3"} < {*records}
    assert records[-1] == '--test_videos=v1,"v,2"'
    assert {"--image_height=64", "--image_width=96", "--clip_frames=3"} < {*records}


@pytest.mark.parametrize(
    "words, source",
    [
        (["--mini_videos=6"], ["--release=mini"]),
        (["--release=A2D"], ["--release=A2D"]),
        (
            ["--annotations=a.json", "--videos=v"],
            ["--annotations=a.json", "--videos=v"],
        ),
    ],
)
def test_what_records_are_made_of(words, source, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        command.mini_a2d, "make_release", lambda *made: drawn.append(made) or "mini"
    )
    before = flagsaver.save_flag_values(command.FLAGS)
    command.FLAGS(["", "--workers=3", *words])
    assert command.source_flags("work") == ["--workers=3", *source]
    flagsaver.restore_flag_values(before, command.FLAGS)
    assert drawn == ([("work/mini_a2d", 6, 0, 3)] if "mini" in source[0] else [])


def row(records, work, name, *train):
    """A row over a tiny network."""
    base = work / "tiny.flags"
    base.write_text("\n".join([*TINY, "--refiner_size=32", "--refiner_channels=8"]))
    release = pathlib.Path(records.directory).with_name("Release")
    flags = [f"--base={base}", f"--release={release}", f"--workdir={work}"]
    return run_a2d(
        "reproduce", f"--runs={name}", *flags, *(f"--train={flag}" for flag in train)
    )


def test_two_phases_and_their_score(mini_records, tmp_path, tiny_run):
    train = f"--steps=2 --pictures=0 --init_checkpoint={tiny_run}".split()
    train += [
        "--refiner_backbone=resnet14",
        "--pixel_scale=0.015625",
        "--flow_scale=0.5",
    ]
    done = row(mini_records, tmp_path, "no_mask", *train)
    assert done.returncode == 0, done.stderr
    first, second = (
        tmp_path / "seed0" / phase for phase in ("no_mask", "no_mask_refiner")
    )
    for folder, phase in ((first, "joint"), (second, "refiner")):
        training = Config.read(folder / "flags.txt").training
        assert (training.train_phase, training.steps) == (phase, 2)
    # Pretrained weights start the first phase; they must not stand in the way of the
    # second.
    assert Config.read(first / "flags.txt").training.init_checkpoint == str(tiny_run)
    assert (training.init_run, training.init_checkpoint) == (str(first), "")
    metrics = json.loads((second / "evaluation" / "test" / "metrics.json").read_text())
    for values in metrics["segmentation"].values():
        assert all(
            0 <= value <= 100 and math.isfinite(value) for value in values.values()
        )
    assert not (first / "evaluation").exists()


def test_a_training_that_fails_is_named(mini_records, tmp_path):
    done = row(mini_records, tmp_path, "full", "--steps=1", "--init_checkpoint=none")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    # the training has said its own before
    assert "full, seed 0" in done.stderr.splitlines()[-1]


def test_folders_and_locks_of_others_are_no_rows(tmp_path):
    for name in ("seed0/full", "seed0_old/full", "seed1/no_flow", "seed1/my_row"):
        path = tmp_path / f"{name}.lock"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    rows = stages.begun_rows(Fold(str(tmp_path)))
    assert [(row.seed, row.name) for row in rows] == [(0, "full"), (1, "no_flow")]
