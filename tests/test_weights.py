"""Loading weights: what arrives where, what does not and why, and runs from them."""

import dataclasses
import functools
import json
import re
from typing import Any, NamedTuple
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from a2d_files import coloured_frames, write_images
from processes import complaint, run_a2d
from tiny_network import normal

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.core.settings.config import Config, ModelConfig, TrainingConfig
from a2d_tf.model.network import Network
from a2d_tf.pretrained import coco, stream_roles, transfer
from a2d_tf.pretrained.anchor_deltas import anchor_ratios
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import coco_detector, creation
from a2d_tf.training import initial_weights, run_settings
from a2d_tf.video.predictors.predictor import Predictor

pytestmark = pytest.mark.slow

ANCHORS = "32,64,128,256,512"  # matterport's
COCO = dict(norm="frozen_bn", rgb_convention="matterport", anchor_sizes=ANCHORS)
TINY = dict(COCO, use_flow=False, temporal_layers=0)


@functools.lru_cache(None)
def tiny():
    return tiny_network.make(**TINY)


def imported(
    parts=("backbone", "fpn", "rpn", "actor", "mask"),
    source="matterport",
    classes=coco.CLASSES,
):
    """Weights of a detector with the sizes of tiny_network, every number random."""
    counts = {
        "actor/logits": len(classes) + 1,
        "actor/deltas": 4 * len(classes),
        "mask/logits": len(classes),
    }
    tensors = {}
    shapes = {
        stream_roles.role_of(name, "rgb"): v.shape
        for name, v in transfer.variables(tiny()).items()
    }
    del shapes[None]  # what no file fills
    for number, (role, shape) in enumerate(shapes.items()):
        if role.split("/")[0] in parts:
            last = counts.get(role.rsplit("/", 1)[0], shape[-1])
            tensors[role] = normal(*shape[:-1], last, seed=number)
    tensors["rpn/background/bias"] = normal(3)
    return Weights(tensors, source, "resnet14", classes, "abc", "FILE.h5")


def tamed(detector):
    """The weights with numbers that a network can compute with."""
    tensors = {
        role: np.abs(value) / 10 + 0.5 if "variance" in role else value / 10
        for role, value in detector.tensors.items()
    }
    return dataclasses.replace(detector, tensors=tensors)


@pytest.fixture(scope="module")
def detector():
    return imported()


@pytest.fixture(scope="module")
def network():
    return tiny()


def values(network):
    return {name: v.numpy() for name, v in transfer.variables(network).items()}


class Loading(NamedTuple):
    """The report of a loading, and the variables before and after, by name."""

    report: Any
    before: dict
    after: dict


@pytest.fixture(scope="module")
def three_pyramids(detector):
    """The detector's weights in a network with backbones and pyramids of its own."""
    network = tiny_network.make(
        **{**TINY, "use_flow": True, "temporal_layers": 1},
        action_topdown="own_backbone",
        flow_norm="none",
    )
    before = values(network)
    report = transfer.load(network, detector)
    return Loading(report, before, values(network))


def test_every_variable_is_loaded_or_as_it_was(three_pyramids, detector):
    report, before, after = three_pyramids
    for name in after:
        assert (name in report.loaded) != (name in report.initialised)
    for name, role in report.loaded.items():
        if "(" not in role:
            tensor = detector.tensors[role]
            np.testing.assert_array_equal(after[name], tensor, err_msg=name)
    for name in set(report.initialised) & set(after):
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_every_tensor_is_used_or_skipped(three_pyramids, detector):
    report = three_pyramids.report
    used = {text.split(" ")[0] for text in report.loaded.values()}
    assert used.isdisjoint(report.skipped)
    assert used | set(report.skipped) == set(detector.tensors)
    assert report.skipped == {"rpn/background/bias": "not used by the network"}


def test_all_pyramids_and_both_rgb_backbones_start_from_the_one(three_pyramids):
    loaded = three_pyramids.report.loaded
    for backbone in ("rgb_resnet", "action_resnet"):
        role = "backbone/c5_b0_conv3/gamma"
        assert loaded[f"{backbone}_c5_b0_conv3/gamma"] == role
    for pyramid in ("rgb_fpn", "action_fpn", "flow_fpn"):
        assert loaded[f"{pyramid}_c5p5/kernel"] == "fpn/c5p5/kernel"


def test_what_no_weights_exist_for_says_so(three_pyramids):
    initialised = three_pyramids.report.initialised
    assert initialised["flow_resnet_stem/kernel"] == "not part of the rgb stream"
    for name in ("rgb_p2_t0/kernel", "action_logits/bias"):
        assert initialised[name] == "no pretrained weights exist for it"


def test_tensors_of_one_name_in_two_files_are_both_accounted_for(tmp_path):
    """Each file has a stray tensor, and the file for flow parts that flow has not."""
    flow = imported(["backbone", "rpn"], "keras_resnet101", ())
    imported().write(tmp_path / "rgb.h5")
    flow.write(tmp_path / "flow.h5")
    model = tiny_network.config(
        **COCO, flow_norm="frozen_bn", flow_convention="keras_resnet101"
    )
    training = TrainingConfig(
        init_rgb=str(tmp_path / "rgb.h5"), init_flow=str(tmp_path / "flow.h5")
    )
    network = Network(model, A2D)
    report = initial_weights.initialise(network, Config(model, training=training))
    reason = "not used by the network"
    skipped = {f"{role} (flow)": reason for role in flow.tensors if "rpn" in role}
    assert len(skipped) == 7
    assert report.skipped == {"rpn/background/bias (rgb)": reason, **skipped}
    assert report.summary().endswith("; 8 tensors of it are not used")
    whole = dataclasses.replace(report, skipped={}).summary()
    assert "begin to learn anew" in whole and "not used" not in whole
    for name in values(network):
        assert (name in report.loaded) != (name in report.initialised)


def test_coco_rows_go_to_the_actors(detector, network):
    report = transfer.load(network, detector)
    after = values(network)
    # adult, baby, ball, bird, car, cat, dog; detection.md's rows less the background
    # before them
    rows = [0, 0, 32, 14, 2, 15, 16]
    for name, width in (("actor_deltas", 4), ("mask_logits", 1), ("actor_logits", 1)):
        for weight in ("kernel", "bias"):
            source = detector.tensors[f"{name.replace('_', '/')}/{weight}"]
            wanted = rows + ([80] if name == "actor_logits" else [])
            source = source.reshape(*source.shape[:-1], -1, width)[..., wanted, :]
            made = after[f"{name}/{weight}"]
            np.testing.assert_array_equal(made, source.reshape(made.shape))
    assert (
        report.loaded["mask_logits/bias"]
        == "mask/logits/bias (adult <- person, baby <- person, ball <- sports ball,"
        " bird, car, cat, dog)"
    )


def test_smaller_anchors_start_from_the_next_size_that_is_there(detector, network):
    """From a file, of one size a level; into a run that has one, and from it."""
    two = tiny_network.make(**{**TINY, "anchor_sizes": "16+32,64,128,256,512"})
    assert [tuple(x.shape[1:]) for x in two.rpn.outputs] == [
        (1536 + 1152,),
        (1536 + 1152, 4),
    ]
    assert len(two.proposals.anchors) == 1536 + 1152
    report = transfer.load(two, detector)
    for layer, width in (("logits", 1), ("deltas", 4)):
        role = f"rpn/{layer}/kernel"
        both = values(two)[f"rpn_{layer}/kernel"].reshape(16, 2, 3, width)
        one = detector.tensors[role].reshape(16, 3, width)
        np.testing.assert_array_equal(both[:, 1], one)
        smaller = one * [2, 2, 1, 1] if layer == "deltas" else one
        np.testing.assert_array_equal(both[:, 0], smaller)
        assert (
            report.loaded[f"rpn_{layer}/kernel"] == f"{role} (size 2 <- size 1, size 1)"
        )
    variable = transfer.variables(two)["rpn_logits/kernel"]
    variable.assign(normal(*variable.shape, seed=1))
    transfer.copy(network, two, "RUN")
    kept = values(network)["rpn_logits/kernel"]
    np.testing.assert_array_equal(kept, variable.numpy()[..., 3:])
    transfer.copy(two, network, "RUN")
    np.testing.assert_array_equal(variable, np.tile(kept, 2))


def test_deltas_mean_the_same_boxes_on_smaller_anchors(detector, network):
    """A 24 x 24 box at (1, 3) from a cell's centre, by anchors of 32 and 16 pixels."""
    half = tiny_network.make(**{**TINY, "anchor_sizes": "16,32,64,128,256"})
    deltas = np.tile(
        np.float32([10 / 32, 30 / 32, 5 * np.log(0.75), 5 * np.log(0.75)]), 3
    )
    tensors = {**detector.tensors, "rpn/deltas/bias": deltas}
    report = transfer.load(half, dataclasses.replace(detector, tensors=tensors))
    made = values(half)["rpn_deltas/bias"].reshape(3, 4)
    expected = [10 / 16, 30 / 16, 5 * np.log(1.5), 5 * np.log(1.5)]
    np.testing.assert_allclose(made, [expected] * 3, rtol=1e-6)
    kernel = detector.tensors["rpn/deltas/kernel"].reshape(-1, 4)
    made = values(half)["rpn_deltas/kernel"].reshape(-1, 4)
    np.testing.assert_array_equal(made, kernel * [2, 2, 1, 1])
    line = "RPN deltas adapted: anchors 32,64,128,256,512 to 16,32,64,128,256"
    assert line in report.summary().splitlines()
    assert "adapted" not in transfer.load(network, detector).summary()


def test_anchors_that_do_not_fit_are_refused_with_some_that_do(
    detector, network, monkeypatch
):
    model = dataclasses.replace(network.model_config, anchor_sizes="8,16,24,32,48")
    monkeypatch.setattr(network, "model_config", model)
    with pytest.raises(
        InputError, match="--anchor_sizes=8,16,24,32,48 cannot"
    ) as raised:
        transfer.load(network, detector)
    some = re.findall(r"[\d+]+(?:,[\d+]+){4}", str(raised.value).split("cannot")[1])
    assert len(some) == 3
    for sizes in some:
        assert anchor_ratios(
            (32, 64, 128, 256, 512), ModelConfig(anchor_sizes=sizes).anchors
        )


def test_a_refiner_of_another_backbone_takes_the_blocks_that_the_weights_have(detector):
    """The file's ResNet-14 has the first of ResNet-26's two blocks in C2 to C4."""
    small = dict(
        use_mask=False, use_refiner=True, refiner_size=32, refiner_backbone="resnet26"
    )
    report = transfer.load(tiny_network.make(**TINY, **small), detector)
    for block, names in (("b0", report.loaded), ("b1", report.initialised)):
        found = re.findall(r"refiner_resnet_(\w+)_conv3/kernel", " ".join(names))
        assert found == [f"c2_{block}", f"c3_{block}", f"c4_{block}"]
    loaded = [name for name in report.loaded if name.startswith("refiner_")]
    roles = [name.replace("refiner_resnet_", "backbone/") for name in loaded]
    assert [report.loaded[name] for name in loaded] == roles
    assert (
        report.initialised["refiner_resnet_c4_b1_conv3/kernel"]
        == "resnet14 has no such layer"
    )


@pytest.mark.parametrize(
    "tensors, fields, message",
    [
        (
            {"fpn/p3/bias": None},
            {},
            "FILE.h5: missing tensor fpn/p3/bias for rgb_fpn_p3/bias",
        ),
        ({"rpn/conv/bias": normal(8)}, {}, "rpn/conv/bias has shape .*--rpn_channels"),
        ({"actor/logits/bias": normal(80)}, {}, "actor/logits/bias has shape"),
        ({}, {"backbone": "resnet26"}, "--backbone=resnet26"),
    ],
)
def test_what_does_not_fit_is_named(detector, network, tensors, fields, message):
    tensors = {**detector.tensors, **tensors}
    tensors = {role: value for role, value in tensors.items() if value is not None}
    with pytest.raises(InputError, match=message):
        transfer.load(network, dataclasses.replace(detector, tensors=tensors, **fields))


def test_weights_of_which_nothing_fits_stop_the_run():
    two_streams = tiny_network.make(**COCO, flow_convention="keras_resnet101")
    with pytest.raises(InputError, match="nothing in it fits"):
        transfer.load(two_streams, imported(["mask"], "keras_resnet101", ()), "flow")


def test_files_that_are_no_imported_weights(detector, tmp_path):
    path = str(tmp_path / "w.h5")
    with pytest.raises(InputError, match="w.h5: not a file of imported weights.*coco"):
        Weights.read(path)
    with h5py.File(path, "w") as file:
        file["conv1/conv1/kernel:0"] = np.ones(3)
    with pytest.raises(InputError, match="not a file of imported weights"):
        Weights.read(path)
    detector.write(path)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = "1"
    with pytest.raises(InputError, match="unsupported version"):
        Weights.read(path)


def test_the_convention_comes_from_the_file(detector, tmp_path):
    path = str(tmp_path / "w.h5")
    detector.write(path)
    dataclasses.replace(detector, source="keras_resnet101").write(tmp_path / "flow.h5")
    training = TrainingConfig(init_rgb=path, init_flow=str(tmp_path / "flow.h5"))
    config = Config(training=training)
    made = run_settings.resolve_config(config, {}).model
    assert (
        made.rgb_convention == "matterport"
        and made.flow_convention == "keras_resnet101"
    )
    assert made.roi_align == "legacy"
    given = {"stride_in_1x1": True, "rgb_convention": "matterport"}
    same = dataclasses.replace(config, model=ModelConfig(rgb_convention="matterport"))
    assert run_settings.resolve_config(same, given).model == made
    for name, value in (
        ("rgb_convention", "keras_resnet101"),
        ("roi_align", "aligned"),
        ("pixel_scale", 0.5),
        ("stride_in_1x1", False),
    ):
        other = dataclasses.replace(config, model=ModelConfig(**{name: value}))
        with pytest.raises(InputError, match=f"--{name}={value} contradicts {path}"):
            run_settings.resolve_config(other, {name: value})
        if name != "rgb_convention":
            assert run_settings.resolve_config(other, {}).model == made


LABELS = LabelSpace(("dog", "truck", "cat"), ("running", "none"), (11, 12, 21, 31))


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    """A run of other labels, without temporal layers, in matterport's convention."""
    folder = tmp_path_factory.mktemp("run")
    options = dict(norm="frozen_bn", rgb_convention="matterport", temporal_layers=0)
    config = Config(tiny_network.config(**options))
    tf.keras.utils.set_random_seed(5)
    network = Network(config.model, LABELS)
    creation.create(str(folder), config, tiny_network.manifest(label_space=LABELS))
    checkpoint = tf.train.Checkpoint(network=network)
    tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), 1).save(1)
    return str(folder), values(network)


@pytest.fixture(scope="module")
def started(other_run):
    """A run of A2D and of another variant, started from `other_run`."""
    run, _ = other_run
    model = tiny_network.config(
        norm="frozen_bn",
        rgb_convention="matterport",
        temporal_layers=1,
        use_mask=False,
        rpn_channels=24,
        label_mode="hierarchical",
        flow_scale=4.0,
    )
    network = Network(model, A2D)
    before = values(network)
    config = Config(model, training=TrainingConfig(init_checkpoint=run))
    report = initial_weights.initialise(network, config)
    return Loading(report, before, values(network))


def test_a_run_starts_another_with_the_variables_that_both_have(started, other_run):
    report, before, after = started
    run, there = other_run
    for name in after:
        assert (name in report.loaded) != (name in report.initialised)
    stem = "flow_resnet_stem/kernel"
    scale = Config.read(f"{run}/flags.txt").model.flow_scale
    np.testing.assert_allclose(4 * after[stem], scale * there[stem], rtol=1e-6)
    assert report.initialised["rgb_p2_t0/kernel"] == "missing there"
    np.testing.assert_array_equal(after["rgb_p2_t0/kernel"], before["rgb_p2_t0/kernel"])


def test_variables_of_other_shapes_and_parts_are_named(started):
    report = started.report
    reason = "has shape (3, 3, 16, 16), not (3, 3, 16, 24)"
    assert report.initialised["rpn_conv/kernel"] == f"rpn_conv/kernel {reason}"
    assert report.skipped["rpn_conv/kernel"] == reason
    assert report.skipped["mask_logits/bias"] == "not used by the network"


def test_rows_of_other_labels_are_mapped_by_name(started, other_run):
    """Dog and cat are found, and so is background."""
    report, _, after = started
    _, there = other_run
    loaded = report.loaded["actor_logits/bias"]
    assert loaded == "actor_logits/bias (cat, dog, background)"
    assert report.initialised["actor_logits/bias[adult]"] == "no class of that name"
    deltas = after["actor_deltas/kernel"].reshape(-1, 7, 4)
    deltas_there = there["actor_deltas/kernel"].reshape(-1, 3, 4)
    np.testing.assert_array_equal(deltas[:, [6, 5]], deltas_there[:, [0, 2]])
    logits = after["action_logits/kernel"].reshape(-1, 7, 9)
    logits_there = there["action_logits/kernel"].reshape(-1, 3)
    for actor in range(7):
        np.testing.assert_array_equal(logits[:, actor, [6, 8]], logits_there[:, :2])


def test_a_head_on_rgb_starts_one_that_reads_both_streams(detector):
    """Its outputs are those of the head on RGB, whatever the flow."""
    fused = dict(COCO, temporal_init="identity", flow_norm="none")
    alone, both = (
        tiny_network.make(**x, label_mode="cartesian") for x in (TINY, fused)
    )
    transfer.load(alone, tamed(detector))
    report = transfer.load(both, tamed(detector))
    assert report.loaded["actor_fc1/kernel"].endswith(
        "fc1/kernel (input channels of RGB)"
    )
    reason = report.initialised["actor_fc1/kernel[input channels of flow]"]
    assert reason == "zero: the tensor reads RGB only"
    clip, rois = (
        tiny_network.clip(1, 3),
        tf.constant([[[8.0, 8, 40, 56], [20, 40, 60, 88]]]),
    )
    ours, theirs = (
        x.run_roi_heads(x.extract_features(clip), rois).roi_outputs
        for x in (both, alone)
    )
    for name in ("class_logits", "deltas"):
        assert np.ptp(theirs[name]) > 0.1
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5)


def test_the_convention_comes_from_the_run(other_run):
    run, _ = other_run
    config = Config(
        tiny_network.config(norm="none"), training=TrainingConfig(init_checkpoint=run)
    )
    settled = run_settings.resolve_config(config, {})
    assert (
        settled.model.rgb_convention == "matterport"
        and settled.model.roi_align == "legacy"
    )
    with pytest.raises(
        InputError, match="--rgb_convention=own contradicts .*flags.txt"
    ):
        run_settings.resolve_config(config, {"rgb_convention": "own"})
    with pytest.raises(InputError, match="--norm=.*frozen_bn"):
        initial_weights.initialise(None, settled)


@pytest.fixture(scope="module")
def coco(detector, tmp_path_factory):
    """Write weights to which all is a cat, or else a dog: p(cat) is .7, p(dog) .25."""
    path = str(tmp_path_factory.mktemp("coco") / "coco.h5")
    bias = np.full(81, np.log(0.05 / 79), np.float32)
    bias[15:17] = np.log([0.7, 0.25])
    logits = {
        "actor/logits/kernel": np.zeros([1, 1, 32, 81]),
        "actor/logits/bias": bias,
    }
    made = tamed(detector)
    dataclasses.replace(made, tensors={**made.tensors, **logits}).write(path)
    return path


def test_coco_weights_predict_before_any_training(coco, caplog):
    """Boxes and masks of actors in native pixels; what they do is not defined."""
    with caplog.at_level("INFO", "a2d_tf"):
        actors = ["person", "pet=cat", "pet=dog"]
        predictor = Predictor.from_run(
            coco_detector.load(coco, {"max_detections": 5}, actors)
        )
    assert "the others begin to learn anew: none; " in caplog.text
    assert not predictor.info["use_flow"] and predictor.info["score_threshold"] == 0.7
    rgb = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    frame = predictor.features(rgb, np.zeros((192, 256, 2), np.float32))
    found = predictor.instances([frame], (96, 128))
    assert {predictor.labels.name(code) for code in found.codes} == {
        "pet-__undefined__"
    }
    assert 0 < len(found.boxes) <= 5
    np.testing.assert_allclose(found.scores, 0.95, rtol=1e-5)
    np.testing.assert_allclose(found.actor_scores[0], [0.05 / 79, 0.95], rtol=1e-5)
    assert found.boxes.max() <= 128 and found.decoded_masks().shape[1:] == (96, 128)


def test_tracks_of_the_users_names_wait_for_their_actions_in_cvat(coco, tmp_path):
    images = write_images(tmp_path / "images", coloured_frames(3))
    out, export = tmp_path / "out", tmp_path / "tracks.xml"
    words = [
        f"--video={images}",
        f"--output={out}",
        "--max_tracks=mouse=2",
        "--max_detections=9",
    ]
    actors = "--actors=person, mouse=cat,rat=dog"
    done = run_a2d(
        "predict", f"--init_rgb={coco}", actors, *words, "--score_threshold=0.1"
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((out / "video.json").read_text())["labels"]
    assert (facts["actors"], facts["actions"]) == (
        ["person", "mouse", "rat"],
        ["__undefined__"],
    )
    tracks = json.loads((out / "tracks.json").read_text())
    assert [track["actor"] for track in tracks] == ["mouse", "mouse"]
    run_a2d("export-annotations", f"--prediction={out}", f"--output={export}")
    root = ElementTree.parse(export).getroot()
    assert {each.get("label") for each in root.iter("track")} == {"mouse"}
    attributes = {(each.get("name"), each.text) for each in root.iter("attribute")}
    assert attributes == {("action", "__undefined__"), ("name", "1"), ("name", "2")}
    given = (
        f"--annotations={export}",
        f"--videos={tmp_path}",
        f"--output={tmp_path / 'records'}",
    )
    assert "no actor and action for the labels 'mouse'" in complaint(
        run_a2d("records", *given)
    )


def test_actors_that_are_no_classes_of_coco(coco):
    for value, message in (
        (
            "mouse=cta",
            r"'mouse=cta' is not CLASS or NAME=CLASS with a class of COCO; .* cat\?$",
        ),
        ("Hotdog", r"'Hotdog' .* did you mean hot dog\?$"),
        ("=cat", "'=cat' is not CLASS or NAME=CLASS"),
        ("mouse=cat,cat", "cat has two names, mouse and cat"),
    ):
        with pytest.raises(InputError, match=f"^--actors: {message}"):
            coco_detector.load(coco, actors=value.split(","))
