"""The mains: one run from flags to metrics, rows of the tables, errors of mistakes."""

import json

import event_files
import numpy as np
import pytest
from processes import complaint, run_a2d, succeeded
from test_weights import imported

from a2d_tf import train
from a2d_tf.core import locks
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.pretrained import transfer
from a2d_tf.runs import chosen_threshold, loading, packing

pytestmark = pytest.mark.slow

TINY = (
    "--image_height=64 --image_width=96 --backbone=resnet14 --width_multiplier=0.125"
    " --norm=none --flow_norm=same --stride_in_1x1=false --fpn_channels=16"
    " --rpn_channels=16 --head_units=32 --mask_channels=16 --mask_layers=1"
    " --test_proposals=20 --train_proposals=50 --max_detections=5 --roi_samples=16"
    " --max_instances=4 --batch_size=2 --learning_rate=0.001 --nouse_flow"
    " --temporal_layers=0"
).split()


@pytest.fixture(scope="module")
def trained(mini_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = [f"--records={mini_records.directory}", f"--workdir={folder}", "--steps=2"]
    said = succeeded(
        run_a2d("train", *TINY, *words, "--val_fraction=0.6", "--pictures=1")
    )
    assert said.startswith("device: CPU, ") and ", float32\n" in said
    return folder


def test_two_trainings_in_one_run_folder_are_refused(mini_records, tmp_path):
    with locks.locked(tmp_path / ".lock") as held:
        words = (*TINY, f"--records={mini_records.directory}", f"--workdir={tmp_path}")
        message = complaint(run_a2d("train", *words, "--steps=2", "--val_fraction=0"))
    assert held and f"{tmp_path}: another training" in message
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_train_then_evaluate(trained, mini_records):
    assert (
        json.loads((trained / "score_threshold.json").read_text())["score_threshold"]
        > 0
    )
    events = event_files.values(trained / "tensorboard" / "validation")
    tags = {tag for step, tag, _ in events if step == 2}
    assert {
        "detection/joint_map",
        "segmentation/joint_miou",
        "segmentation/threshold",
    } < tags
    records = f"--records={mini_records.directory}"
    said = succeeded(
        run_a2d("evaluate", f"--workdir={trained}", records, "--split=test")
    )
    metrics = json.loads((trained / "evaluation" / "test" / "metrics.json").read_text())
    assert (
        set(metrics["segmentation"])
        == set(metrics["detection"])
        == {"actor", "action", "joint"}
    )
    assert len(metrics["per_pair_ap"]) == 43 and len(metrics["zero_shot_actor_ap"]) == 7
    assert "segmentation, percent" in said and said.startswith("device: CPU, ")


def test_a_final_run_has_the_threshold_that_is_given(mini_records, tmp_path):
    """It has no validation split."""
    words = [
        f"--records={mini_records.directory}",
        f"--workdir={tmp_path}",
        "--steps=1",
    ]
    words += ["--val_fraction=0", "--score_threshold=0.45", "--pictures=1"]
    succeeded(run_a2d("train", *TINY, *words))
    loaded = loading.load(str(tmp_path), {"max_detections": 3})
    assert loaded.config.inference.score_threshold == 0.45
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == ["train"]


def test_mistakes(tmp_path, mini_records, trained):
    records, workdir = (
        f"--records={mini_records.directory}",
        f"--workdir={tmp_path / 'run'}",
    )
    for main, words, named in (
        ("train", [workdir], "--records"),
        ("train", [*TINY, records, workdir, "--temporal_layers=3"], "--clip_frames=7"),
        (
            "train",
            [*TINY, "--head_units=64", records, f"--workdir={trained}"],
            "--head_units=64",
        ),
        ("evaluate", [records, workdir], str(tmp_path / "run")),
    ):
        assert named in complaint(run_a2d(main, *words))
    assert not (tmp_path / "run").exists()


def test_a_readout_is_fitted_once_and_its_backbone_stays(
    trained, mini_records, tmp_path
):
    words = [
        *TINY,
        "--readout",
        f"--records={mini_records.directory}",
        "--val_fraction=0.6",
    ]
    alone = run_a2d(
        "train", *words, f"--workdir={tmp_path / 'alone'}", "--steps=1", "--pictures=0"
    )
    assert alone.returncode == 0 and "--readout=false" in alone.stderr
    assert not Config.read(tmp_path / "alone" / "flags.txt").model.readout
    path, known = tmp_path / "rgb.h5", imported(["backbone"], "keras_resnet101", ())
    known.tensors.pop("rpn/background/bias")
    for name, value in known.tensors.items():
        known.tensors[name] = 1 + value**2 if name.endswith("variance") else 0.1 * value
    known.write(path)
    of_imported = ["--norm=frozen_bn", "--stride_in_1x1=true"]
    words, networks = [*words, *of_imported, f"--init_rgb={path}"], []
    for name, parts in (("whole", [2]), ("resumed", [1, 2])):
        for steps in parts:
            more = [f"--workdir={tmp_path / name}", f"--steps={steps}", "--pictures=0"]
            said = succeeded(run_a2d("train", *words, *more))
            assert ("readout: there are too few" in said) == (steps == parts[0])
        networks.append(loading.load(str(tmp_path / name)).network)
    for a, b in zip(*(network.variables for network in networks)):
        np.testing.assert_array_equal(a, b)
    network = networks[0]
    kernel = transfer.variables(network)["rgb_resnet_stem/kernel"]
    np.testing.assert_array_equal(kernel, known.tensors["backbone/stem/kernel"])
    # The next round starts from it; without its readout nothing says what its backbone
    # knows.
    of_trained = ["--norm=none", "--stride_in_1x1=false"]
    for on, run, own in ((True, tmp_path / "whole", []), (False, trained, of_trained)):
        more = [
            "--init_rgb=",
            f"--init_checkpoint={run}",
            f"--workdir={tmp_path / f'next_{on}'}",
        ]
        succeeded(run_a2d("train", *words, *own, *more, "--steps=1", "--pictures=0"))
        assert Config.read(tmp_path / f"next_{on}" / "flags.txt").model.readout is on
    packing.pack(str(tmp_path / "whole"), str(tmp_path / "packed"), notes="# Read")
    packed = loading.load(str(tmp_path / "packed"))
    for a, b in zip(packed.network.variables, network.variables):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "metrics",
    [
        {"segmentbtion": {"joint": {"miou": 50.0}}},
        {"segmentation": {"joint": {"mhou": 50.0}}},
        {"box_f1": "5"},
    ],
)
def test_damaged_scores_of_a_validation_are_named(tmp_path, mini_records, metrics):
    chosen_threshold.save(tmp_path, 0.5, metrics, {0.5: 50.0})
    problem = "score_threshold.json: no scores of a validation .*; delete it"
    with pytest.raises(InputError, match=problem):
        train._conclude(str(tmp_path), mini_records)
