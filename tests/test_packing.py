"""Packed models: what a folder holds, that it computes what the run does, refusals."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from a2d_files import write_video
from processes import run_a2d, succeeded

import a2d_tf
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.data.conversion import convert
from a2d_tf.data.mini import mini_a2d
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.release import Release
from a2d_tf.pretrained.transfer import variables
from a2d_tf.runs import (
    chosen_threshold,
    creation,
    loading,
    model_source,
    packed,
    packing,
    scores,
)

FILES = {
    "flags.txt",
    "labels.json",
    "records.json",
    "score_threshold.json",
    "weights.npz",
}


@pytest.fixture(scope="module")
def folder(tiny_run, loaded_run, tmp_path_factory):
    """A packed `tiny_run`, with scores, in a folder of models."""
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("run") / "run")
    path = run / "flags.txt"
    path.write_text(path.read_text() + "--init_rgb=/home/me/coco.h5\n")
    shares = {"ave": 50.25, "glo": 60.0, "miou": 40.0}
    metrics = {
        "segmentation": dict.fromkeys(("actor", "action", "joint"), shares),
        "detection": {"actor": 70.0, "action": 60.0, "joint": 55.55},
    }
    (run / "evaluation" / "test").mkdir(parents=True)
    (run / "evaluation" / "test" / "metrics.json").write_text(json.dumps(metrics))
    known = scores.origin(loaded_run.checkpoint, loaded_run.config, "a")
    (run / "evaluation" / "test" / scores.ORIGIN).write_text(json.dumps(known))
    output = tmp_path_factory.mktemp("models") / "tiny"
    made = packing.pack(str(run), str(output), notes="# Tiny\n\nNot for anything.")
    assert made.bytes == sum(path.stat().st_size for path in output.iterdir())
    return output


@pytest.fixture
def loads(monkeypatch, spare):
    """Makes no network to load a folder, but takes one that all these tests share."""
    monkeypatch.setattr(loading, "Network", lambda *_, **__: spare)


@pytest.fixture(scope="module")
def spare(tiny_run):
    return loading.load(str(tiny_run)).network


def test_it_holds_settings_halved_weights_scores_and_a_card(folder, loaded_run):
    assert {path.name for path in folder.iterdir()} == FILES | {
        "metrics.json",
        "card.md",
    }
    assert json.loads((folder / "score_threshold.json").read_text()) == {
        "score_threshold": 0.3
    }
    assert "--init_rgb=\n" in (folder / "flags.txt").read_text()
    with np.load(folder / "weights.npz") as stored:
        assert all(stored[name].dtype == np.float16 for name in stored.files)
        # Every variable, each once.
        parts = loaded_run.network.parts().values()
        assert len(stored.files) == sum(len(part.variables) for part in parts)
    card = (folder / "card.md").read_text()
    assert card == "# Tiny\n\nNot for anything."


def test_a_run_of_a_phase_with_scores_of_another_threshold(
    tiny_run, loaded_run, tmp_path, loads
):
    """It loads without the run that it began with, and the scores are not packed."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    path = run / "flags.txt"
    more = "--train_phase=action\n--init_run=/home/me/a\n--backbone_rate=0\n"
    path.write_text(path.read_text() + more)
    metrics = run / "evaluation" / "test" / "metrics.json"
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.write_text("{}")
    others = scores.origin(
        loaded_run.checkpoint,
        loaded_run.config.with_settings(score_threshold=0.9),
        "r",
    )
    metrics.with_name(scores.ORIGIN).write_text(json.dumps(others))
    packing.pack(str(run), str(tmp_path / "packed"))
    assert {path.name for path in (tmp_path / "packed").iterdir()} == FILES | {
        "card.md"
    }
    assert loading.load(str(tmp_path / "packed")).config.training.train_phase == "joint"


def test_it_loads_as_the_run_but_for_the_rounding_of_its_weights(
    folder, loaded_run, loads
):
    run = loading.load(str(folder), {"score_threshold": 0.4})
    assert run.config.inference.score_threshold == 0.4
    assert (
        run.config.model == loaded_run.config.model
        and run.records == loaded_run.records
    )
    kept = variables(loaded_run.network)
    for name, variable in variables(run.network).items():
        rounded = kept[name].numpy().astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(variable.numpy(), rounded)


def test_the_api_takes_its_folder_or_its_name(folder, monkeypatch, loads):
    monkeypatch.setattr(packed, "MODELS", folder.parent)
    assert packed.names() == ["tiny"] and packed.find("tiny") == str(folder)
    predictor = a2d_tf.Predictor.load("tiny", score_threshold=0.35)
    assert predictor.info["checkpoint"] == "tiny"
    assert predictor.info["score_threshold"] == 0.35
    with pytest.raises(InputError, match="best/validation.json"):
        a2d_tf.Predictor.load(folder, checkpoint="best")


def test_flags_choose_one_network_and_its_name_no_other_folder(
    folder, monkeypatch, tmp_path
):
    monkeypatch.setattr(packed, "MODELS", folder.parent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert model_source.of_flags(True, workdir="run", model=None) == ("workdir", "run")
    source = model_source.of_flags(False, workdir=None, model="tiny")
    assert source == ("model", str(folder))
    for checkpoint, workdir, model, complaint in (
        (False, None, "huge", r"--model=huge: .*\(tiny\)"),
        (False, None, None, "--workdir or --model"),
        (False, "run", "tiny", "--workdir or --model"),
        (True, None, "tiny", "--checkpoint"),
    ):
        with pytest.raises(InputError, match=complaint):
            model_source.of_flags(checkpoint, workdir=workdir, model=model)


def test_weights_that_do_not_fit_are_refused(folder, tmp_path, loads):
    copy = shutil.copytree(folder, tmp_path / "copy")
    with np.load(copy / "weights.npz") as stored:
        arrays = dict(stored)
    arrays["rpn_conv/bias"] = arrays["rpn_conv/bias"][:1]
    np.savez(copy / "weights.npz", **arrays)
    with pytest.raises(InputError, match="weights.npz: .*rpn_conv/bias"):
        loading.load(str(copy))
    (copy / "weights.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="weights.npz: corrupt"):
        loading.load(str(copy))


def test_what_is_beyond_float16_or_in_the_way_is_refused(
    tiny_run, tmp_path, monkeypatch, loads
):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(InputError, match="other: "):
        packing.pack(str(tiny_run), str(tmp_path / "other"))
    load = loading.load

    def large(*arguments, **options):
        run = load(*arguments, **options)
        variables(run.network)["rpn_conv/bias"].assign_add([65520.0] * 16)
        return run

    monkeypatch.setattr(loading, "load", large)
    with pytest.raises(InputError, match="rpn_conv/bias: 65520 exceeds float16"):
        packing.pack(str(tiny_run), str(tmp_path / "new"))
    assert {path.name for path in tmp_path.iterdir()} == {"other"}


def answer(predictor):
    """Every output for a clip of noise."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 60, 90, 3), np.uint8)
    frames = [
        predictor.features(x, np.float32(rng.normal(0, 3, (60, 90, 2)))) for x in rgb
    ]
    return dataclasses.asdict(predictor.instances(frames, (60, 90)))


@pytest.mark.slow
def test_functions_are_kept_and_what_is_no_longer_whole_is_made_again(
    tiny_run, loaded_run, monkeypatch, tmp_path
):
    load, cache, built = a2d_tf.Predictor.load, tmp_path / "cache", []
    monkeypatch.setenv("A2D_TF_CACHE", str(cache))
    monkeypatch.setattr(
        loading, "Network", lambda *_: built.append(1) or loaded_run.network
    )
    own = a2d_tf.Predictor.from_run(loaded_run)
    expected = answer(own)
    assert len(expected["boxes"]) > 1
    for number in range(6):
        (cache / f"served/{number}").mkdir(parents=True)
        os.utime(cache / f"served/{number}", (number, number))

    def check(builds):
        built.clear()
        found = load(tiny_run)
        assert found.info == own.info and len(built) == builds
        np.testing.assert_equal(answer(found), expected)

    check(builds=True)
    *others, entry = sorted(
        (cache / "served").iterdir(), key=lambda path: path.stat().st_mtime
    )
    assert [path.name for path in others] == ["2", "3", "4", "5"]
    check(builds=False)
    assert load(tiny_run, score_threshold=0.4).info["score_threshold"] == 0.4
    graph, facts = entry / "saved_model.pb", entry / "a2d_tf.json"
    weights = entry / "variables/variables.data-00000-of-00001"
    for damage in (
        lambda: graph.write_bytes(graph.read_bytes()[:-1]),
        lambda: weights.write_bytes(weights.read_bytes()[:1000]),
        weights.unlink,
        lambda: (facts.unlink(), facts.mkdir()),
    ):
        damage()
        check(builds=True)
        check(builds=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "file"))
    check(builds=True)


@pytest.mark.slow
def test_from_a_run_to_a_prediction_by_commands(tiny_run, tmp_path):
    model, film = tmp_path / "model", tmp_path / "film.mp4"
    succeeded(run_a2d("export", "--pack", f"--workdir={tiny_run}", f"--output={model}"))
    write_video(film, [np.full((96, 144, 3), 40 * i, np.uint8) for i in range(4)])
    words = [f"--video={film}", f"--output={tmp_path / 'out'}", "--score_threshold=0.2"]
    succeeded(run_a2d("predict", f"--model={model}", *words))
    assert len(list((tmp_path / "out" / "label_maps").glob("*.png"))) == 4


@pytest.mark.slow
def test_the_model_that_comes_with_the_code_finds_drawn_actors(tmp_path):
    """Of other drawings than it was trained on."""
    release = mini_a2d.make_release(tmp_path / "drawn", 6, seed=77, workers=1)
    run = loading.load(packed.find("mini"))
    size = convert.ConversionSettings(image_height=128, image_width=160, clip_frames=3)
    manifest, _ = convert.convert(
        Release(release), tmp_path / "records", size, workers=1
    )
    found = a2d_tf.metrics.evaluate(
        run, manifest, "test", output=str(tmp_path / "scores")
    )
    assert found["segmentation"]["actor"]["miou"] > 40
    assert found["segmentation"]["joint"]["miou"] > 25


@pytest.mark.slow
def test_weights_of_motion_maps_are_packed_with_a_notice(tmp_path):
    settings = dict(readout=True, action_backbone="i3d", flow_histograms=True)
    settings |= dict(use_flow=False, temporal_layers=0)
    network = tiny_network.make(**settings)
    for weight in network.motion_readout.weights:
        weight.assign(tiny_network.normal(*weight.shape))
    run, motion = tmp_path / "run", MotionFacts("i3d", "5" * 64, True)
    config = Config(network.model_config)
    creation.create(run, config, tiny_network.manifest(motion=motion))
    chosen_threshold.save(run, 0.3, {}, {0.3: 50.0})
    saver = tf.train.Checkpoint(network=network)
    tf.train.CheckpointManager(saver, str(run / "checkpoints"), 1).save(7)
    packing.pack(str(run), str(tmp_path / "packed"))
    assert "Quo Vadis" in (tmp_path / "packed" / "NOTICE").read_text()
    loaded = loading.load(str(tmp_path / "packed"))
    assert loaded.motion == motion
    own = variables(network)
    for name, value in variables(loaded.network).items():
        expected = own[name].numpy().astype(np.float16)
        np.testing.assert_array_equal(value.numpy(), expected, err_msg=name)
