"""The run folder: what may differ between two uses of it, and what is refused."""

import dataclasses
import json
import shutil
import types

import pytest
import tiny_network

from a2d_tf.core.config import ComputeConfig, Config, InferenceConfig, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.manifest import SCHEMA, Manifest
from a2d_tf.training import run_folder, run_start


def manifest(**changes):
    facts = dict(flow_method="dis", image_height=64, image_width=96, clip_frames=3, clip_stride=1)
    return Manifest(
        **{
            **facts,
            "schema": SCHEMA,
            "counts": {},
            "sizes": {},
            "native_sizes": {},
            "durations": {},
            "flow_quality": {},
            "files": [],
            "skipped": [],
            "mended": [],
            "source": "",
            "labels": json.loads(A2D.to_json()),
            "directory": "RECORDS",
            **changes,
        }
    )


@pytest.mark.parametrize(
    "field, value",
    [("flow_method", "farneback"), ("image_height", 32), ("image_width", 32), ("clip_stride", 2)],
)
def test_records_made_otherwise_are_refused(field, value, tmp_path):
    config, other = Config(tiny_network.config(), InferenceConfig()), manifest(**{field: value})
    run_folder.create(tmp_path, config, manifest())
    run_folder.create(tmp_path, config, manifest(clip_frames=5))  # longer clips serve as well
    with pytest.raises(InputError, match="records.json: the run there learns from records made"):
        run_folder.create(tmp_path, config, other)
    facts = {name: getattr(manifest(), name) for name in run_folder.RECORD_FIELDS}
    run = run_folder.Run(config, types.SimpleNamespace(labels=A2D), facts, "")
    run.check_records(manifest())
    with pytest.raises(InputError, match=f"RECORDS: records with {field} {value}, but the network"):
        run.check_records(other)


def test_runs_that_compute_the_same_otherwise_are_of_one_network(tmp_path):
    run_folder.create(tmp_path, Config(tiny_network.config()), manifest())
    path = tmp_path / "flags.txt"
    other = Config(tiny_network.config(), compute=ComputeConfig("mixed_bfloat16", "segments"))
    run_folder.create(tmp_path, other, manifest())
    assert Config.read(path) == other
    with pytest.raises(InputError, match="--roi_align=aligned, not legacy"):
        run_folder.create(tmp_path, Config(tiny_network.config(roi_align="legacy")), manifest())


def test_a_run_that_has_begun_keeps_its_start(tmp_path, monkeypatch, caplog):
    config = Config(tiny_network.config())
    started, other = (
        dataclasses.replace(config, learning=LearningConfig(init_rgb=path))
        for path in ("coco", "other.h5")
    )
    run_folder.create(tmp_path, config, manifest())
    run_folder.create(tmp_path, started, manifest())  # there is no checkpoint yet
    monkeypatch.setattr(run_folder, "is_new", lambda _: False)
    for again in (started, config):
        run_folder.create(tmp_path, again, manifest())
        assert Config.read(tmp_path / "flags.txt").learning.init_rgb == "coco" and not caplog.text
    run_folder.create(tmp_path, other, manifest())
    assert Config.read(tmp_path / "flags.txt").learning.init_rgb == "coco"
    assert "the run has begun; --init_rgb=other.h5 is not used" in caplog.text


def test_a_run_that_has_begun_stays_readable_whatever_start_is_given(tmp_path, monkeypatch):
    config = Config(tiny_network.config())
    started, other = (
        dataclasses.replace(config, learning=LearningConfig(**start))
        for start in ({"init_checkpoint": "a"}, {"init_run": "b"})
    )
    run_folder.create(tmp_path, started, manifest())
    monkeypatch.setattr(run_folder, "is_new", lambda _: False)
    run_folder.create(tmp_path, other, manifest())
    assert Config.read(tmp_path / "flags.txt").learning == started.learning
    other = dataclasses.replace(started, learning=LearningConfig(optimizer="adam"))
    with pytest.raises(InputError, match="--optimizer=sgd, not adam; give that"):
        run_folder.create(tmp_path, other, manifest())


def test_inputs_that_weights_do_not_suit_are_told(caplog):
    model = Config().model
    for name, scale, bound in (
        ("keras", 16, 256),
        ("efficientnet_lite0", 0.125, 2),
        ("torchvision", 0.28, 4.5),
        ("torchvision", 1, 0),
    ):
        fitting = dataclasses.replace(model, flow_scale=scale, flow_bound=bound)
        run_start._warn_of_scale(fitting, name, "w.h5")
    assert not caplog.records
    run_start._warn_of_scale(model, "torchvision", "w.h5")
    assert "about --flow_scale=0.28 --flow_bound=4.4 suit" in caplog.records.pop().getMessage()
    frozen = dataclasses.replace(model, norm="frozen_bn")
    run_start._warn_of_norms(frozen, LearningConfig(init_rgb="coco", init_flow="imagenet"))
    run_start._warn_of_norms(dataclasses.replace(model, norm="group_norm"), LearningConfig())
    assert not caplog.records
    run_start._warn_of_norms(frozen, LearningConfig(init_rgb="coco"))
    said = caplog.records.pop().getMessage()
    assert said.startswith("the flow backbone starts random") and "--flow_norm=group_norm" in said
    run_start._warn_of_norms(dataclasses.replace(frozen, use_flow=False), LearningConfig())
    assert [record.args[0] for record in caplog.records] == ["rgb"]


def test_withheld_actions_are_not_learned_in_the_run_before(tmp_path, monkeypatch):
    def run(name, **learning):
        config = Config(tiny_network.config(), learning=LearningConfig(**learning))
        run_folder.create(tmp_path / name, config, manifest())
        return str(tmp_path / name)

    def check(actor, before="", **more):
        more.setdefault("init_run", before)
        run_start._check_withheld(LearningConfig(zero_shot_actor=actor, **more))

    learned, withheld = run("learned"), run("withheld", zero_shot_actor="cat")
    actor = run("actor", train_phase="actor")
    late = run("late", train_phase="actor", init_checkpoint=learned)
    around = run("around", train_phase="actor", init_run=str(tmp_path / "back"))
    run("back", train_phase="actor", init_run=around)
    (tmp_path / "gone").mkdir()
    gone = run("from gone", train_phase="actor", init_run=str(tmp_path / "gone"))
    for before in (withheld, actor, gone, around, ""):
        check("cat", before)
    check("robot", learned)  # whose labels know no robot
    monkeypatch.chdir(learned)  # a run folder that is not started from
    check("cat", "")
    for before, name in ((learned, "cat"), (late, "cat"), (withheld, "dog")):
        with pytest.raises(InputError, match=f"has learned the actions of '{name}'"):
            check(name, before)
        with pytest.raises(InputError, match=f"has learned the actions of '{name}'"):
            check(name, init_checkpoint=before)
    with pytest.raises(InputError, match="--train_phase=actor reads none; leave it out"):
        check("cat", train_phase="actor")


def test_what_a_training_that_is_gone_has_chosen_is_forgotten(tmp_path):
    chooser(tmp_path)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "validation.json").touch()
    run_folder.forget(tmp_path)
    names = {"flags.txt", "labels.json", "records.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    run_folder.forget(tmp_path)


def chooser(folder, **model):
    """A finished run whose validation has chosen .4, and a Config of one that asks for it."""
    config = Config(tiny_network.config(), learning=LearningConfig(steps=3))
    run_folder.create(folder, config, manifest())
    run_folder.save_threshold(folder, 0.4, {"segmentation": 1})
    (folder / "finished.json").write_text('{"steps": 3}')
    learning = LearningConfig(val_fraction=0.0, threshold_from=str(folder))
    return Config(tiny_network.config(**model), learning=learning)


def test_a_threshold_is_taken_from_another_run_with_its_origin(tmp_path):
    config = chooser(tmp_path / "held_out")
    inherited = run_folder.inherited_threshold(config, manifest())
    assert run_folder.inherited_threshold(Config(), manifest()) is None
    final = tmp_path / "final"
    run_folder.create(final, config, manifest())
    run_folder.save_threshold(final, **inherited)
    origin = str(tmp_path / "held_out")
    kept = {"score_threshold": 0.4, "validation": {"segmentation": 1}, "origin": origin}
    assert json.loads((final / "score_threshold.json").read_text()) == kept
    (final / "finished.json").write_text('{"steps": 60000}')
    learning = dataclasses.replace(config.learning, threshold_from=str(final))
    with pytest.raises(InputError, match=f"no threshold .*it is that of {origin}"):
        run_folder.inherited_threshold(dataclasses.replace(config, learning=learning), manifest())


def test_no_threshold_of_a_run_that_goes_on(tmp_path):
    config = chooser(tmp_path / "run")
    path = tmp_path / "run" / "flags.txt"
    path.write_text(path.read_text() + "--steps=6\n")
    with pytest.raises(InputError, match="no threshold .*it goes on from step 3"):
        run_folder.inherited_threshold(config, manifest())


OTHER_LABELS = json.loads(LabelSpace(("x",), ("a",), (11,)).to_json())


@pytest.mark.parametrize(
    "spoil, records, model, complaint",
    [
        ("", {}, {"head_units": 64}, "flags.txt: the run there has --head_units=32, not 64"),
        (
            "",
            {"labels": OTHER_LABELS},
            {},
            "labels.json: the run there has other actors or actions",
        ),
        (
            "",
            {"flow_method": "tvl1"},
            {},
            "records.json: the run there learns from records made other",
        ),
        (
            "finished.json",
            {},
            {},
            "score_threshold.json: no threshold that a finished run has chosen",
        ),
        ("score_threshold.json", {}, {}, "train that run to its end, with --val_fraction above 0"),
    ],
)
def test_no_threshold_of_another_network_or_of_an_unfinished_run(
    spoil, records, model, complaint, tmp_path
):
    config = chooser(tmp_path / "held_out", **model)
    if spoil:
        (tmp_path / "held_out" / spoil).unlink()
    with pytest.raises(InputError, match=complaint):
        run_folder.inherited_threshold(config, manifest(**records))


def test_the_best_checkpoint_has_its_own_threshold(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with pytest.raises(InputError, match="validation.json is not there.*--checkpoint=last"):
        run_folder.load(str(run), kind="best")
    shutil.copytree(run / "checkpoints", run / "best")
    best = {"step": 7, "joint_miou": 1.0, "score_threshold": 0.25}
    (run / "best" / "validation.json").write_text(json.dumps(best))
    loaded = run_folder.load(str(run), kind="best")
    assert loaded.config.inference.score_threshold == 0.25
    assert loaded.checkpoint == str(run / "best" / "ckpt-7")
    (run / "best" / "validation.json").write_text(json.dumps({**best, "step": 5}))
    with pytest.raises(InputError, match="of step 5, but beside it is .*ckpt-7"):
        run_folder.load(str(run), kind="best")
