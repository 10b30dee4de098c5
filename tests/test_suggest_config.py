"""A suggested flagfile: a reason for each line, the same every time, and trained as it is."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.data.inspection import anchor_recall, contents
from a2d_tf.data.inspection.input_scale import InputScale
from a2d_tf.data.inspection.summary import Summary
from a2d_tf.pretrained.catalogue import PUBLISHED
from a2d_tf.training.doctor import start, suggestion

ROOT = pathlib.Path(__file__).resolve().parents[1]
GB = 2**30
CPU = start.Host(2, 16 * GB)
GPU = start.Host(8, 64 * GB, 24 * GB)


def run(*words):
    environment = dict(os.environ, PYTHONPATH=str(ROOT), TF_CPP_MIN_LOG_LEVEL="3")
    words = [sys.executable, *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT)


def suggest(*words):
    return run("tools/suggest_config.py", "--machine=cpu", *words)


@pytest.fixture(scope="module")
def gathered(mini_records):
    return contents.gather(mini_records, (64, 96))


def flags(manifest, held, host, fraction_held=0):
    """{flag: value} of all suggestions."""
    found = suggestion.suggest(manifest, held, host, lambda fraction: fraction_held)
    return {name: value for one in found for name, value in one.flags.items()}


def test_the_contents_are_those_of_the_training_records(mini_records, gathered):
    assert gathered.clips == 12 and list(gathered.summaries) == ["train", "test"]
    assert len(gathered.boxes.sides()) == len(gathered.summaries["train"].areas)
    doubled = contents.gather(mini_records, (128, 192))
    np.testing.assert_allclose(doubled.boxes.sides(), 2 * gathered.boxes.sides(), rtol=1e-6)
    np.testing.assert_allclose(doubled.speeds, 2 * np.array(gathered.speeds), rtol=1e-5)
    assert doubled.inputs.deviation("flow") == pytest.approx(2 * gathered.inputs.deviation("flow"))
    assert doubled.inputs.deviation("rgb") == pytest.approx(gathered.inputs.deviation("rgb"))


def test_for_a_cpu(mini_records, gathered):
    found = flags(mini_records, gathered, CPU)
    ratio = gathered.inputs.ratio(1.0, 64.0)
    sizes = found.pop("anchor_sizes")
    assert found == {
        "flagfile": "configs/mini.flags",
        "image_height": 64,
        "image_width": 96,
        "flow_scale": start.flow_scale(ratio),
        "steps": 600,
        "validate_every": 200,
        "checkpoint_every": 200,
        "warmup_steps": 60,
        "val_fraction": 0.0,
    }
    recall = anchor_recall.IOUS[0]
    reached = [
        (gathered.boxes.overlaps(anchors) >= recall).mean()
        for anchors in (
            dataclasses.replace(Config().model, anchor_sizes=text).anchors
            for text in (sizes, "12,24,48,72,96")
        )
    ]
    assert round(100 * reached[0]) >= round(100 * reached[1])


@pytest.fixture(autouse=True)
def no_weights(monkeypatch, tmp_path):
    """Weights of no name are at hand, whatever this machine has."""
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "cache"))
    entry = dataclasses.replace(PUBLISHED["lite0"], package="no-such-package==1")
    monkeypatch.setitem(PUBLISHED, "lite0", entry)


def test_for_a_cpu_that_has_the_weights_of_imagenet(mini_records, gathered, tmp_path):
    (tmp_path / "cache/weights").mkdir(parents=True)
    (tmp_path / "cache/weights/lite0.h5").touch()
    found = suggestion.suggest(mini_records, gathered, CPU, lambda fraction: 0)
    path = tmp_path / "own.flags"
    path.write_text(suggestion.flagfile("For a test.", found, ["one"]))
    config = Config.read(path)
    assert (config.model.backbone, config.learning.batch_size) == ("efficientnet_lite0", 2)
    assert (config.learning.init_rgb, config.learning.init_flow) == ("lite0", "lite0")
    assert (config.learning.steps, config.learning.warmup_steps) == (350, 35)
    ratio = gathered.inputs.ratio(1.0, 128.0)
    assert config.model.flow_scale == start.flow_scale(ratio)
    still = InputScale()
    still.add(np.arange(12.0).reshape(2, 2, 3), np.zeros((2, 2, 2)))
    found = flags(mini_records, dataclasses.replace(gathered, inputs=still), CPU)
    assert (found["use_flow"], found["init_flow"]) == (False, "")


def test_for_a_gpu(mini_records, gathered, tmp_path):
    found = suggestion.suggest(mini_records, gathered, GPU, lambda fraction: 0)
    path = tmp_path / "own.flags"
    path.write_text(suggestion.flagfile("For a test.", found, ["one", "two"]))
    config = Config.read(path)
    assert (config.model.backbone, config.learning.batch_size) == ("resnet101", 8)
    assert (config.learning.init_rgb, config.learning.init_flow) == ("coco", "imagenet")
    assert (config.learning.steps, config.learning.warmup_steps) == (3000, 300)
    assert config.learning.average_decay == 0.99 and config.learning.learning_rate == 2e-4
    # The smaller GPU takes a smaller batch at a smaller rate.
    canvas = anchor_recall.Boxes((512, 512))
    canvas._boxes, canvas._frames = gathered.boxes._boxes, gathered.boxes._frames
    found = flags(mini_records, dataclasses.replace(gathered, boxes=canvas), GPU)
    assert (found["batch_size"], found["learning_rate"]) == (2, 5e-5)


def test_short_clips_many_instances_sides_and_validation(mini_records, gathered):
    labels = dict(mini_records.labels)
    labels["actions"] = ["turning left", *labels["actions"][1:]]
    manifest = dataclasses.replace(mini_records, clip_frames=1, labels=labels)
    crowded = Summary()
    crowded.per_clip.update({0: 3, 30: 1})
    crowded.videos = {f"v{i}": (64, 80) for i in range(20)}
    held = dataclasses.replace(gathered, summaries={"train": crowded})
    found = flags(manifest, held, CPU, fraction_held=2)
    assert (found["temporal_layers"], found["flip"], found["val_fraction"]) == (0, False, 0.1)
    assert (found["max_instances"], found["max_detections"]) == (30, 60)


def test_still_videos_have_no_flow_to_see(mini_records, gathered):
    still = InputScale()
    still.add(np.arange(12.0).reshape(2, 2, 3), np.zeros((2, 2, 2)))
    found = flags(mini_records, dataclasses.replace(gathered, inputs=still), GPU)
    assert found["use_flow"] is False and "flow_scale" not in found
    assert found["init_rgb"] == "coco" and "init_flow" not in found


def test_the_notes_say_what_to_build_again(mini_records, gathered):
    slow = dataclasses.replace(gathered, speeds=[0.3] * 5)
    lines = suggestion.notes(mini_records, slow, CPU)
    assert lines[0] == (
        "build again with --clip_stride=2: half of the instances move less than 0.3 pixels a frame"
    )
    assert any(line.startswith("never learned, pairs") for line in lines)
    assert lines[-1].startswith("12 annotated frames for 43 pairs are likely to be too few")
    tiny = anchor_recall.Boxes((64, 96))
    tiny._boxes, tiny._frames = [np.array([0, 0, 5, 5])] * 3, [np.array([64, 80])] * 3
    lines = suggestion.notes(mini_records, dataclasses.replace(gathered, boxes=tiny), CPU)
    assert "build again with --image_height=128 --image_width=192: 100 % of the boxes" in lines[0]


def test_no_instance_to_learn_is_an_error(mini_records, monkeypatch):
    monkeypatch.setattr(Summary, "add", lambda self, truth: None)
    with pytest.raises(InputError, match="no instance in the training split.*annotate some"):
        contents.gather(mini_records, (64, 96))


def test_a_wrong_folder_is_one_line(tmp_path):
    done = suggest(f"--records={tmp_path / 'none'}")
    assert done.returncode == 1 and "no such folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_flagfile_is_repeatable_reasoned_and_trains(mini_records, tmp_path):
    path, records = tmp_path / "own.flags", f"--records={mini_records.directory}"
    printed, written = suggest(records), suggest(records, f"--output={path}")
    assert printed.returncode == written.returncode == 0, printed.stderr + written.stderr
    text = path.read_text()
    assert printed.stdout == text and "- 12 annotated frames for 43 pairs" in written.stdout
    # Every block of flags has its reason above it.
    header, *blocks = text.split("\n\n")
    assert header.startswith("# Suggested by ") and len(blocks) >= 6
    for block in blocks:
        lines = block.splitlines()
        reason = [line for line in lines if line.startswith("# ")]
        assert reason and lines[len(reason) :] and lines[: len(reason)] == reason
        assert all(line.startswith("--") for line in lines[len(reason) :])
    words = [f"--flagfile={path}", records, f"--workdir={tmp_path / 'run'}", "--steps=2"]
    done = run("-m", "a2d_tf.train", *words, "--pictures=0")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "finished.json").is_file()
    trained = Config.read(tmp_path / "run" / "flags.txt")
    given = Config.read(path)
    assert trained.model == given.model
