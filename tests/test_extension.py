"""The examples of CONTRIBUTING.md in one copy of the package, up to predictions."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from a2d_files import coloured_frames, write_video
from processes import ROOT, run_a2d, run_python, succeeded
from test_mains import TINY

EXAMPLE = ROOT / "tests" / "key_point.diff"
METRIC = """
import types, numpy as np
from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.metrics import registry, summaries
from a2d_tf.evaluation.metrics.metric import SplitData
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.evaluation.metrics.exact_frames import ExactFrames
truth = predicted = np.array([[0, 11]])
"""
FILES = {  # where the guide's examples go
    "Add a backbone": "model/backbones/plain.py",
    "Add a metric": "evaluation/metrics/exact_frames.py",
    "Add a format": "annotations/readers/boxes.py",
}
LISTS = {  # which of the package's lists name them
    "Add a backbone": "model/backbones/__init__.py",
    "Add a metric": "evaluation/metrics/registry.py",
    "Add a format": "annotations/readers/formats.py",
}
SIZE = (64, 96)
NETWORK = [*TINY, "--backbone=plain", "--use_key_point"]


def example(title):
    """The first code of a section of CONTRIBUTING.md."""
    (section,) = re.findall(
        rf"^## {title}\n(.*?)(?=^## )",
        (ROOT / "CONTRIBUTING.md").read_text(),
        re.M | re.S,
    )
    return re.search(r"```python\n(.*?)```", section, re.S)[1], section


def annotations(folder):
    """Write two exports: masks with key points, and a table of boxes.

    A key point is the upper left corner of its mask.
    """
    boxes = {f"clip/{frame:05d}": [8 + frame, 6, 30, 24] for frame in range(1, 7)}
    images = [
        {
            "id": i,
            "file_name": name,
            "width": SIZE[1],
            "height": SIZE[0],
            "split": "train",
        }
        for i, name in enumerate(boxes)
    ]
    drawn = [
        {"image_id": i, "actor": "cat", "action": "sit", "key_point": [x, y]}
        | {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]}
        for i, (x, y, w, h) in enumerate(boxes.values())
    ]
    del drawn[0]["key_point"]
    (folder / "own.json").write_text(
        json.dumps({"images": images, "annotations": drawn})
    )
    (folder / "boxes.csv").write_text(
        "image,actor,action,x,y,width,height\nother/00002.png,cat,sit,10,8,30,24\n"
    )
    for name in ("clip", "other"):
        frames = coloured_frames(8, *SIZE)
        for frame, (x, y, w, h) in zip(frames, boxes.values()):
            frame[y : y + h, x : x + w] = 255, 0, 200
        write_video(folder / "videos" / f"{name}.mp4", frames)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with all examples, and what they annotate."""
    folder = tmp_path_factory.mktemp("extended")
    for name in ("a2d_tf", "configs"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    patched = subprocess.run(
        ["git", "apply", "-C1", EXAMPLE], cwd=folder, capture_output=True, text=True
    )
    assert patched.returncode == 0, patched.stderr
    for title, name in FILES.items():
        (folder / "a2d_tf" / name).write_text(example(title)[0])
    for title, name in LISTS.items():
        add_lines(folder / "a2d_tf" / name, example(title)[1])
    annotations(folder)
    return folder


def add_lines(path, section):
    """Change a file as the diff of a section says, which has no line numbers."""
    diff = re.search(r"```diff\n(.*?)```", section, re.S)[1]
    text = path.read_text()
    for change in re.findall(r"^[ -].*\n(?:\+.*\n)+", diff, re.M):
        first, *added = change.splitlines()
        lines = [line[1:] for line in added]
        if first.startswith(" "):
            lines.insert(0, first[1:])
        assert text.count(f"{first[1:]}\n") == 1, first
        text = text.replace(f"{first[1:]}\n", "".join(f"{line}\n" for line in lines))
    path.write_text(text)


def a2d(copy, *words):
    return succeeded(run_a2d(*words, cwd=copy))


def test_a_head_with_a_label_of_its_own_touches_few_files():
    touched = re.findall(r"^\+\+\+ b/(a2d_tf/.*)$", EXAMPLE.read_text(), re.M)
    assert len(touched) == 9, touched


AUGMENT = """
import dataclasses, numpy as np, tensorflow as tf
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.batches import augmentation
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
config = Config.read("run/flags.txt")
settings = dataclasses.replace(config.training, flip=True)
manifest = Manifest.load("records")
clips = []
for path in manifest.shards("train"):
    clips.extend(clip_records.parse(record) for record in clip_records.read_shard(path))
assert np.isnan(clips[0]["key_point"]).all()
for example in clips[1:]:
    np.testing.assert_allclose(example["key_point"], example["boxes"][:, :2], atol=1e-4)
    boxes = set()
    for seed in range(8):
        made = augmentation.augment(
            example, tf.constant([seed, 1], tf.int64), settings
        )
        key_points = made["key_point"].numpy()
        for (y, x), (y1, x1, y2, x2) in zip(key_points, made["boxes"].numpy()):
            # Mirrored, the upper left corner becomes the upper right one;
            # a box may be cut off.
            corner = x1 if abs(x - x1) < abs(x - x2) else x2
            boxes.add(bool(corner == x1))
            if 0 < x < 96 and 0 < y < 64:
                np.testing.assert_allclose([y, x], [y1, corner], atol=1e-3)
    assert boxes == {False, True}
batch = next(iter(pipeline.evaluation(manifest, "train", config, 2)))
assert batch["key_point"].shape == (2, 4, 2)
"""


@pytest.mark.slow
def test_examples_from_annotations_to_predictions(copy):
    made = [
        "--image_height=64",
        "--image_width=96",
        "--clip_frames=1",
        "--test_videos=other",
    ]
    exports = ["--annotations=own.json", "--annotations=boxes.csv", "--videos=videos"]
    a2d(copy, "records", *exports, "--output=records", *made)
    run = ["--records=records", "--workdir=run", "--steps=300", "--val_fraction=0"]
    # Mirrored, the corner would be another one.
    a2d(
        copy,
        "train",
        *NETWORK,
        *run,
        "--optimizer=adam",
        "--warmup_steps=0",
        "--noflip",
    )
    succeeded(run_python("-c", AUGMENT, cwd=copy))
    test = re.findall(r"```python\n(.*?)```", example("Add a metric")[1], re.S)[1]
    succeeded(run_python("-c", METRIC + test, cwd=copy))
    printed = a2d(
        copy, "evaluate", "--workdir=run", "--records=records", "--split=train"
    )
    assert "Distance of key points" in printed and "Exact frames" in printed
    figures = json.loads(
        (copy / "run" / "evaluation" / "train" / "metrics.json").read_text()
    )
    # A head that has learnt nothing finds the centre, at 50 % of the diagonal.
    assert (
        figures["key_points"]["points"] == 5 and figures["key_points"]["distance"] < 15
    )
    assert 0 <= figures["exact_frames"]["share"] <= 100
    a2d(copy, "export", "--workdir=run", "--output=model")
    a2d(
        copy,
        "predict",
        "--saved_model=model",
        "--video=videos/clip.mp4",
        "--output=prediction",
    )
    found = json.loads((copy / "prediction" / "detections.json").read_text())
    near = [
        np.subtract(each["key_point"], each["bbox"][:2]) / each["bbox"][2:]
        for each in found
    ]
    assert len(near) >= 6 and np.abs(near).mean() < 0.2
    assert (copy / "prediction" / "overlay.mp4").stat().st_size
