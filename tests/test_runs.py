"""The run folder: what may differ between two uses of it, and what is refused."""

import json
import shutil
import types

import pytest
import tiny_network

from a2d_tf import runs
from a2d_tf.config import ComputeConfig, Config, InferenceConfig
from a2d_tf.data.manifest import SCHEMA, Manifest
from a2d_tf.errors import InputError
from a2d_tf.labels import A2D


def manifest(**changes):
    facts = dict(flow_method="dis", image_height=64, image_width=96, clip_frames=3, clip_stride=1)
    return Manifest(**{
        **facts, "schema": SCHEMA, "counts": {}, "sizes": {}, "native_sizes": {}, "durations": {},
        "flow_quality": {}, "files": [], "skipped": [], "mended": [], "source": "",
        "labels": json.loads(A2D.to_json()), "directory": "RECORDS", **changes,
    })  # fmt: skip


@pytest.mark.parametrize("field, value", [
    ("flow_method", "farneback"), ("image_height", 32), ("image_width", 32), ("clip_stride", 2)
])  # fmt: skip
def test_records_made_otherwise_are_refused(field, value, tmp_path):
    config, other = Config(tiny_network.config(), InferenceConfig()), manifest(**{field: value})
    runs.create(tmp_path, config, manifest())
    runs.create(tmp_path, config, manifest(clip_frames=5))  # longer clips serve as well
    with pytest.raises(InputError, match="records.json: the run there learns from records made"):
        runs.create(tmp_path, config, other)
    facts = {name: getattr(manifest(), name) for name in runs.RECORD_FIELDS}
    run = runs.Run(config, types.SimpleNamespace(labels=A2D), facts, "")
    run.check_records(manifest())
    with pytest.raises(InputError, match=f"RECORDS: records with {field} {value}, but the network"):
        run.check_records(other)


def test_runs_that_compute_the_same_otherwise_are_of_one_network(tmp_path):
    """Also an older run, whose flags do not know the ways to compute yet."""
    runs.create(tmp_path, Config(tiny_network.config()), manifest())
    path = tmp_path / "flags.txt"
    path.write_text(path.read_text().split("# compute")[0])
    assert Config.read(path) == Config(tiny_network.config())
    other = Config(tiny_network.config(), compute=ComputeConfig("mixed_bfloat16", "einsum"))
    runs.create(tmp_path, other, manifest())
    assert Config.read(path) == other
    with pytest.raises(InputError, match="--roi_align=aligned, not legacy"):
        runs.create(tmp_path, Config(tiny_network.config(roi_align="legacy")), manifest())


def test_the_best_checkpoint_has_its_own_threshold(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with pytest.raises(InputError, match="validation.json is not there.*--checkpoint=last"):
        runs.load(str(run), kind="best")
    shutil.copytree(run / "checkpoints", run / "best")
    best = {"step": 7, "joint_miou": 1.0, "score_threshold": 0.25}
    (run / "best" / "validation.json").write_text(json.dumps(best))
    loaded = runs.load(str(run), kind="best")
    assert loaded.config.inference.score_threshold == 0.25
    assert loaded.checkpoint == str(run / "best" / "ckpt-7")
    (run / "best" / "validation.json").write_text(json.dumps({**best, "step": 5}))
    with pytest.raises(InputError, match="of step 5, but beside it is .*ckpt-7"):
        runs.load(str(run), kind="best")
