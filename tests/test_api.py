"""The public Python API: its page in the docs, and an import without side effects."""

import pathlib
import re
import shutil

import pytest
from processes import ROOT, run_python, succeeded

import a2d_tf

pytestmark = pytest.mark.slow

IMPORT_ALL = """
import os, pkgutil, sys
before = dict(os.environ)
import a2d_tf
assert "tensorflow" not in sys.modules
changed = {name for name in os.environ if os.environ[name] != before.get(name)}
assert changed <= {"TF_USE_LEGACY_KERAS"}, changed
import cv2, tensorflow  # which set variables of their own
from absl import flags
environment, defined = dict(os.environ), set(flags.FLAGS)
names = [module.name for module in pkgutil.walk_packages(a2d_tf.__path__, "a2d_tf.")]
for name in names:
    __import__(name)
assert len(names) > 130 and set(flags.FLAGS) == defined, set(flags.FLAGS) - defined
assert os.environ == environment, set(os.environ.items()) - set(environment.items())
"""


def test_importing_defines_no_flags_and_sets_no_environment(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    succeeded(run_python("-c", IMPORT_ALL, PYTHONPATH=str(ROOT)))


def test_every_public_name_is_there_and_no_other():
    for name in a2d_tf.__all__:
        assert getattr(a2d_tf, name) is not None
    assert set(a2d_tf.__all__) <= set(dir(a2d_tf))
    with pytest.raises(AttributeError, match="'a2d_tf' has no attribute 'predictor'"):
        _ = a2d_tf.predictor


def test_every_line_of_the_page_runs(
    saved_model, tiny_run, mini_records, tmp_path, monkeypatch, capsys
):
    shutil.copytree(saved_model, tmp_path / "exports" / "full")
    shutil.copytree(tiny_run, tmp_path / "runs" / "full")
    shutil.copytree(mini_records.directory, tmp_path / "records")
    clips = pathlib.Path(mini_records.directory).parent / "Release" / "clips320H"
    shutil.copy(min(clips.iterdir()), tmp_path / "my.mp4")
    monkeypatch.chdir(tmp_path)
    page, names = (ROOT / "docs" / "api.md").read_text(), {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    printed = capsys.readouterr().out
    assert re.search(r"\d\.\d\d s: #1 \w+-\w+ 0\.\d\d at \[", printed)
    assert "adult-running" in printed and "segmentation, percent" in printed
    frame = names["frame"]
    assert frame.label_map.shape == frame.image.shape[:2]
    assert frame.instances.decoded_masks().shape == (
        len(frame.tracks),
        *frame.image.shape[:2],
    )
    assert names["batch"]["rgb"].shape == (4, 3, 128, 160, 3)
    assert next(iter(names["test_clips"]))["rgb"].shape[1:] == (3, 128, 160, 3)


def test_a_saved_model_takes_no_settings(saved_model):
    with pytest.raises(a2d_tf.InputError, match="takes no settings .score_threshold"):
        a2d_tf.Predictor.load(saved_model, score_threshold=0.45)
    with pytest.raises(a2d_tf.InputError, match="nowhere"):
        a2d_tf.Predictor.load("nowhere")
