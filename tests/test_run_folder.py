"""The run folder: what may differ between two uses of it, and what is refused."""

import functools
import json
import shutil
import types

import pytest
import tiny_network
from tiny_network import manifest

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.core.settings.config import ComputeConfig, Config, TrainingConfig
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.runs import chosen_threshold, creation, loading, run_folder
from a2d_tf.serving import model_info
from a2d_tf.training import initial_weights
from a2d_tf.training.events import Events


def test_records_made_otherwise_are_refused(tmp_path, monkeypatch):
    config = Config(tiny_network.config())
    creation.create(tmp_path, config, manifest())
    monkeypatch.setattr(run_folder, "is_new", lambda _: False)
    facts = {name: getattr(manifest(), name) for name in run_folder.INPUT_SETTINGS}
    run = loading.Run(config, types.SimpleNamespace(labels=A2D), facts, "")
    run.check_records(manifest())
    others = dict(flow_method="tvl1", image_height=32, image_width=32, clip_stride=2)
    for field, value in others.items():
        for refuse in (
            run.check_records,
            lambda m: creation.create(tmp_path, config, m),
        ):
            with pytest.raises(InputError, match=f"RECORDS: {field}="):
                refuse(manifest(**{field: value}))


def test_a_run_keeps_the_facts_of_motion_maps(tmp_path):
    motion = MotionFacts("i3d", "5" * 64, flow_histograms=True)
    config = Config(tiny_network.config())
    for name, facts in (("with", motion), ("without", None)):
        creation.create(tmp_path / name, config, manifest(motion=facts))
    assert run_folder.record_facts(tmp_path / "with")["motion"] == vars(motion)
    assert "motion" not in run_folder.record_facts(tmp_path / "without")


def test_a_run_and_its_export_keep_how_long_coded_bouts_last(tmp_path):
    seconds = {"run": 1.5}
    config = Config(tiny_network.config())
    network = tiny_network.make()
    for name, known in (("with", seconds), ("without", {})):
        creation.create(tmp_path / name, config, manifest(bout_seconds=known))
        facts = run_folder.record_facts(tmp_path / name)
        run = loading.Run(config, network, {}, "", bout_seconds=known)
        expected = known or None
        assert facts.get("bout_seconds") == expected
        assert model_info.of_run(run).get("bout_seconds") == expected


@pytest.mark.parametrize(
    "motion, message",
    [
        (None, "RECORDS: records without the motion maps of --action_backbone=i3d"),
        (
            MotionFacts("i3d", "6" * 64, True),
            "RECORDS: motion maps by other weights of i3d than those of RUN",
        ),
    ],
)
def test_records_of_other_motion_maps_are_refused(motion, message):
    model = tiny_network.config(readout=True, action_backbone="i3d")
    facts = {name: getattr(manifest(), name) for name in run_folder.INPUT_SETTINGS}
    network = types.SimpleNamespace(labels=A2D)
    own = MotionFacts("i3d", "5" * 64, flow_histograms=False)
    run = loading.Run(Config(model), network, facts, "RUN/ckpt-9", motion=own)

    def records(motion):
        made = manifest(motion=motion)
        made.check_motion = functools.partial(Manifest.check_motion, made)
        return made

    run.check_records(records(own))
    with pytest.raises(InputError, match=message):
        run.check_records(records(motion))


def learns(**training):
    return Config(tiny_network.config(), training=TrainingConfig(**training))


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A folder of a run from COCO's weights that has a checkpoint."""
    creation.create(tmp_path, learns(init_rgb="coco"), manifest())
    monkeypatch.setattr(run_folder, "is_new", lambda _: False)
    return tmp_path


def test_all_may_change_before_the_first_checkpoint(tmp_path):
    creation.create(tmp_path, learns(), manifest())
    creation.create(tmp_path, learns(init_rgb="coco"), manifest())
    assert Config.read(tmp_path / "flags.txt").training.init_rgb == "coco"


def test_initial_weights_may_be_left_out_and_the_precision_may_change(begun, caplog):
    other = Config(tiny_network.config(), compute=ComputeConfig("mixed_bfloat16"))
    for config in (learns(init_rgb="coco"), learns(), other):
        creation.create(begun, config, manifest())
        assert Config.read(begun / "flags.txt").training.init_rgb == "coco"
        assert not caplog.text
    assert Config.read(begun / "flags.txt").compute == other.compute


def test_other_initial_weights_are_ignored_once_a_run_has_begun(begun, caplog):
    creation.create(begun, learns(init_rgb="other.h5", init_run="b"), manifest())
    training = Config.read(begun / "flags.txt").training
    assert training == learns(init_rgb="coco").training
    assert "the run has already begun; --init_rgb=other.h5 is ignored" in caplog.text


@pytest.mark.parametrize(
    "config, flag",
    [
        (learns(optimizer="adam"), "--optimizer"),
        (learns(backbone_rate=0.1, init_rgb="coco"), "--backbone_rate"),
        (learns(seed=1), "--seed"),
        (Config(tiny_network.config(roi_align="legacy")), "--roi_align"),
    ],
)
def test_what_is_learned_may_not_change(begun, config, flag):
    with pytest.raises(InputError, match=flag):
        creation.create(begun, config, manifest())


def test_records_of_another_source_are_refused(begun):
    other = manifest(source="b", videos=lambda split: {"w"})
    with pytest.raises(InputError, match="RECORDS: source=.*--init_run"):
        creation.create(begun, learns(), other)


def test_the_rate_of_a_finished_run_changes_with_more_steps(begun):
    (begun / "finished.json").write_text('{"steps": 5}')
    (begun / "checkpoints").mkdir()
    (begun / "checkpoints" / "ckpt-5.index").touch()

    def rate(steps):
        creation.create(begun, learns(steps=steps, learning_rate=0.5), manifest())
        return Config.read(begun / "flags.txt").training.learning_rate

    assert rate(steps=5) == 2e-4  # it is finished
    assert rate(steps=6) == 0.5


def test_a_run_on_another_may_have_other_videos_but_no_other_clips(tmp_path):
    creation.create(tmp_path, learns(), manifest())
    other = manifest(source="b", videos=lambda split: {"w"})
    after = learns(init_run=str(tmp_path))
    creation.create(tmp_path / "next", after, other)
    facts = json.loads((tmp_path / "next/records.json").read_text())
    assert facts["videos"] == ["v", "w"]
    with pytest.raises(
        InputError, match="RECORDS: clip_stride=2 differs from the run's 1"
    ):
        creation.create(tmp_path / "3", after, manifest(clip_stride=2))


def test_withheld_actions_are_not_learned_in_the_run_before(tmp_path, monkeypatch):
    def run(name, **training):
        config = Config(tiny_network.config(), training=TrainingConfig(**training))
        creation.create(tmp_path / name, config, manifest())
        return str(tmp_path / name)

    def check(actor, before="", **more):
        more.setdefault("init_run", before)
        initial_weights._check_withheld(TrainingConfig(zero_shot_actor=actor, **more))

    learned, withheld = run("learned"), run("withheld", zero_shot_actor="cat")
    actor = run("actor", train_phase="actor")
    late = run("late", train_phase="actor", init_checkpoint=learned)
    gone = run("from gone", train_phase="actor", init_run=run("gone"))
    shutil.rmtree(tmp_path / "gone")
    for before in (withheld, actor, gone, ""):
        check("cat", before)
    check("robot", learned)  # whose labels know no robot
    monkeypatch.chdir(learned)  # a run folder that is not started from
    check("cat", "")
    for before, name in ((learned, "cat"), (late, "cat"), (withheld, "dog")):
        for start in ("init_run", "init_checkpoint"):
            with pytest.raises(InputError, match=f"'{name}'"):
                check(name, **{start: before})


def test_what_a_training_that_is_gone_has_chosen_is_forgotten(tmp_path):
    config = Config(tiny_network.config())
    creation.create(tmp_path, config, manifest())
    chosen_threshold.save(tmp_path, 0.4, {"segmentation": 1}, {0.4: 50.0})
    (tmp_path / "finished.json").write_text('{"steps": 3}')
    for name in ("best/validation.json", "weights.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    Events(tmp_path).write("train", 1, {"loss/total": 1.0})
    (tmp_path / "tensorboard" / "notes.txt").touch()
    for _ in range(2):
        creation.create(tmp_path, config, manifest())
        names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
        assert names == {"flags.txt", "labels.json", "records.json", "notes.txt"}


def test_a_run_with_an_action_backbone_names_its_authors(tmp_path):
    """In a file that goes when the folder's next run has none."""
    model = tiny_network.config(readout=True, action_backbone="i3d")
    creation.create(tmp_path, Config(model), manifest())
    notice = (tmp_path / "NOTICE").read_text()
    for words in ("J. Carreira", "Apache License", "Copyright (c) 2022 Wilson Yan"):
        assert words in notice
    assert "MIT License" in notice and max(map(len, notice.splitlines())) <= 88
    creation.create(tmp_path, Config(tiny_network.config()), manifest())
    assert not (tmp_path / "NOTICE").exists()


def test_the_best_checkpoint_has_its_own_threshold(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with pytest.raises(InputError, match="validation.json.*--checkpoint=last"):
        loading.load(str(run), kind="best")
    shutil.copytree(run / "checkpoints", run / "best")
    best = {"step": 7, "score": 1.0, "score_threshold": 0.25}
    (run / "best" / "validation.json").write_text(json.dumps(best))
    loaded = loading.load(str(run), kind="best")
    assert loaded.config.inference.score_threshold == 0.25
    assert loaded.checkpoint == str(run / "best" / "ckpt-7")
    (run / "best" / "validation.json").write_text(json.dumps({**best, "step": 5}))
    with pytest.raises(InputError, match="step 5.*ckpt-7"):
        loading.load(str(run), kind="best")
