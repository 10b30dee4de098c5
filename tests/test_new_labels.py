"""A label that a later round adds: old weights stay, rows of their own are new."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from pycocotools import mask as coco_mask

from a2d_tf.core.counts import Counts
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.evaluator import Evaluator
from a2d_tf.evaluation.frames.evaluated_frames import Frame
from a2d_tf.evaluation.frames.wider_labels import WiderLabels
from a2d_tf.evaluation.metrics.true_boxes import LabelledBoxes
from a2d_tf.evaluation.own_labels import round_comparison
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores, PairScores
from a2d_tf.model.network import Network
from a2d_tf.model.structures import BatchInstances, RoiTable
from a2d_tf.pretrained import transfer
from a2d_tf.runs import creation
from a2d_tf.training import initial_weights
from a2d_tf.training.suggestion import rules

NARROW = LabelSpace(("dog", "cat"), ("sit", "run"), (11, 12, 22))
WIDE = NARROW.with_pairs([("ape", "run"), ("cat", "nap")])
"""Actors dog, cat, ape; actions sit, run, nap; codes 11, 12, 22, 23, 32."""
READS = dict(readout=True, use_flow=False, temporal_layers=0)


def values(network):
    return {name: v.numpy() for name, v in transfer.variables(network).items()}


def made(labels, seed, **model):
    tf.keras.utils.set_random_seed(seed)
    return Network(tiny_network.config(**model), labels)


def write_run(folder, labels, **model):
    """Write a run folder with a network of random weights; return these."""
    network = made(labels, 5, **model)
    rng = np.random.default_rng(7)
    for variable in transfer.variables(network).values():
        variable.assign(rng.normal(size=variable.shape))
    config = Config(tiny_network.config(**model))
    creation.create(str(folder), config, tiny_network.manifest(label_space=labels))
    checkpoint = tf.train.Checkpoint(network=network)
    tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), 1).save(1)
    return values(network)


@pytest.fixture(scope="module")
def narrow_run(tmp_path_factory):
    """The folder of a run of NARROW, and its weights."""
    folder = tmp_path_factory.mktemp("narrow")
    return folder, write_run(folder, NARROW)


def start(folder, labels, **model):
    """Start a network from the run; return the report, and weights before and after."""
    network = made(labels, 9, **model)
    before = values(network)
    config = Config(
        tiny_network.config(**model), training=TrainingConfig(init_run=str(folder))
    )
    report = initial_weights.initialise(network, config)
    return report, before, values(network)


DECOUPLED = {
    "actor_logits": ([0, 1, 3], [0, 1, 2]),  # background is the last
    "actor_deltas": ([0, 1], [0, 1]),
    "mask_logits": ([0, 1], [0, 1]),
    "action_logits": ([0, 1, 3], [0, 1, 2]),
}
# An actor's actions are together: sit, run, nap of the dog, then of the cat.
HIERARCHICAL = {**DECOUPLED, "action_logits": ([0, 1, 3, 4], [0, 1, 2, 3])}
# Pairs, in the order of their codes.
CARTESIAN = {
    "actor_logits": ([0, 1, 2, 5], [0, 1, 2, 3]),
    "actor_deltas": ([0, 1, 2], [0, 1, 2]),
    "mask_logits": ([0, 1, 2], [0, 1, 2]),
}


@pytest.mark.parametrize(
    "model, rows",
    [
        ({}, DECOUPLED),
        pytest.param(
            dict(label_mode="hierarchical"), HIERARCHICAL, marks=pytest.mark.slow
        ),
        pytest.param(dict(label_mode="cartesian"), CARTESIAN, marks=pytest.mark.slow),
        pytest.param(READS, DECOUPLED, marks=pytest.mark.slow),
    ],
    ids=["decoupled", "hierarchical", "cartesian", "readout"],
)
def test_known_labels_keep_their_rows_and_new_ones_have_initial_weights(
    model, rows, narrow_run, tmp_path
):
    folder, there = narrow_run
    if model:
        folder = tmp_path
        there = write_run(folder, NARROW, **model)
    report, before, after = start(folder, WIDE, **model)
    counts = {name: _class_count(name, WIDE, model) for name in rows}
    counts_there = {name: _class_count(name, NARROW, model) for name in rows}
    for name, weights in after.items():
        layer = name.split("/")[0]
        if layer.startswith("readout"):  # which is fitted anew before the first step
            np.testing.assert_array_equal(weights, before[name])
        elif layer not in rows:
            np.testing.assert_array_equal(weights, there[name])
        else:
            known, known_there = rows[layer]
            own = by_class(weights, counts[layer])
            old = by_class(there[name], counts_there[layer])
            initial = by_class(before[name], counts[layer])
            new = np.setdiff1d(np.arange(counts[layer]), known)
            assert len(new) == counts[layer] - len(known) > 0
            np.testing.assert_array_equal(own[..., known, :], old[..., known_there, :])
            np.testing.assert_array_equal(own[..., new, :], initial[..., new, :])
            if name.endswith("kernel"):
                assert np.any(own[..., new, :], axis=(0, 1, 2, 4)).all()
    new_class = "ape-run" if model.get("label_mode") == "cartesian" else "ape"
    reason = report.initialised[f"actor_deltas/bias[{new_class}]"]
    assert reason == "no class of that name"


def _class_count(layer, labels, model):
    if layer == "action_logits":
        if model.get("label_mode") == "hierarchical":
            return labels.valid.size
        return len(labels.actions) + 1  # background
    count = len(labels.actors)
    if model.get("label_mode") == "cartesian":
        count = len(labels.codes)
    return count + (layer == "actor_logits")


def by_class(weights, count):
    return weights.reshape(*weights.shape[:-1], count, -1)


@pytest.mark.slow
def test_a_run_of_the_same_labels_is_taken_to_the_bit(narrow_run):
    folder, there = narrow_run
    report, _, after = start(folder, NARROW)
    assert report.loaded == {name: name for name in there} and not report.initialised
    for name, weights in after.items():
        np.testing.assert_array_equal(weights, there[name])


@pytest.mark.slow
def test_labels_in_another_order_are_found_by_their_names(narrow_run):
    folder, there = narrow_run
    turned = LabelSpace(("cat", "dog"), ("run", "sit"), (11, 21, 22))
    _, _, after = start(folder, turned)
    np.testing.assert_array_equal(
        after["actor_logits/bias"], there["actor_logits/bias"][[1, 0, 2]]
    )
    np.testing.assert_array_equal(
        after["action_logits/kernel"], there["action_logits/kernel"][..., [1, 0, 2]]
    )


@pytest.mark.slow
def test_a_run_with_other_labels_or_settings_is_refused(narrow_run):
    folder, _ = narrow_run
    with pytest.raises(InputError) as error:
        start(folder, LabelSpace(("cat", "ape"), ("sit", "run"), (12, 21)))
    assert str(error.value).startswith(f"{folder}: lacks the run's actor 'dog'; add")
    assert f"--init_checkpoint={folder}" in str(error.value)
    with pytest.raises(InputError, match="--mask_layers"):
        start(folder, WIDE, mask_layers=2)


COW = A2D.with_pairs([("cow", "eating")])


def records_of(manifest, labels):
    return dataclasses.replace(manifest, labels=json.loads(labels.to_json()))


def test_records_may_have_more_labels_than_a_run_but_no_less(loaded_run, mini_records):
    loaded_run.check_records(records_of(mini_records, COW))
    with pytest.raises(InputError) as error:
        loaded_run.check_records(records_of(mini_records, NARROW))
    assert "lacks the run's actor 'adult', actor 'baby'," in str(error.value)
    assert "--labels=RUN/labels.json" in str(error.value)


@pytest.mark.slow
def test_a_run_is_scored_alike_on_records_with_more_labels(
    loaded_run, mini_records, evaluated, tmp_path
):
    """Their codes are the same here: a new actor is behind the others."""
    evaluator = Evaluator(
        loaded_run.network, loaded_run.config, records_of(mini_records, COW)
    )
    found = evaluator.evaluate("test", 0.3, str(tmp_path / "test"))
    metrics, folder = evaluated
    aps = found["per_pair_ap"]
    assert aps.pop("83") == 0.0 and aps == metrics["per_pair_ap"]
    names = [path.name for path in (folder / "label_maps").rglob("*.png")]
    assert names
    instances = json.loads((tmp_path / "test/instances.json").read_text())
    of_run = json.loads((folder / "instances.json").read_text())
    scores = [instance.pop("score") for instance in instances]
    assert scores == pytest.approx([x.pop("score") for x in of_run], abs=1e-5)
    # Pixels on a mask's edge and hundredths of a box may differ by rounding.
    masks = coco_mask.decode([instance.pop("segmentation") for instance in instances])
    of_run_masks = coco_mask.decode([x.pop("segmentation") for x in of_run])
    assert (masks != of_run_masks).sum((0, 1)).max() <= 5
    boxes = np.array([instance.pop("bbox") for instance in instances])
    of_run_boxes = np.array([x.pop("bbox") for x in of_run])
    np.testing.assert_allclose(boxes, of_run_boxes, atol=0.05)
    assert instances == of_run


def test_answers_are_found_by_name_in_a_wider_label_space():
    """There are 11 actions, so that codes have another base."""
    actions = ["run", *(f"act{i}" for i in range(9)), "sit"]
    wide = LabelSpace.from_fields({"actors": ["ape", "cat", "dog"], "actions": actions})
    values = np.arange(1.0, 9)
    table = RoiTable(
        class_scores=values[:2].reshape(1, 2),
        class_boxes=values.reshape(1, 2, 4),
        boxes=values.reshape(1, 2, 4),
        actor_scores=np.array([[0.7, 0.2]]),
        action_scores=np.array([[0.6, 0.3]]),
        joint_scores=np.array([[[0.4, 0.3], [0.2, 0.1]]]),
        joint_boxes=np.arange(16.0).reshape(1, 2, 2, 4),
    )
    instances = BatchInstances(
        number=np.int32(2),
        boxes=np.zeros((2, 4)),
        classes=np.array([1, 0]),
        class_scores=np.array([0.9, 0.8]),
        actor=np.array([2, 0]),
        action=np.array([1, 0]),
        code=np.array([21, 0]),
        score=np.array([0.5, 0.4]),
        actor_scores=np.array([[0.1, 0.9], [0.0, 0.0]]),
        action_scores=np.array([[0.8, 0.2], [0.0, 0.0]]),
        head_results={"masks": "masks"},
    )
    labelled = LabelledBoxes(*table[3:6], codes=np.array([12]))
    frame = Frame(None, table, instances, None, None, labelled)
    found = WiderLabels(NARROW, wide).of_frame(frame)

    nothing = [0.0] * 9
    np.testing.assert_array_equal(found.table.actor_scores, [[0, 0.2, 0.7]])
    np.testing.assert_array_equal(found.table.action_scores, [[0.3, *nothing, 0.6]])
    assert found.table.boxes.tolist() == [[[0] * 4, [5, 6, 7, 8], [1, 2, 3, 4]]]
    assert found.table.joint_scores.tolist() == [
        [[0.0] * 11, [0.1, *nothing, 0.2], [0.3, *nothing, 0.4]]
    ]
    assert found.table.joint_boxes[0, 1, 10].tolist() == [8, 9, 10, 11]
    assert found.table.class_scores is table.class_scores
    assert found.instances.actor.tolist() == [2, 0]
    assert found.instances.action.tolist() == [11, 0]
    assert found.instances.code.tolist() == [12 * 2 + 11, 0]
    assert found.instances.actor_scores.tolist() == [[0, 0.9, 0.1], [0, 0, 0]]
    assert found.instances.action_scores[0].tolist() == [0.2, *nothing, 0.8]
    assert found.instances.head_results == {"masks": "masks"}
    assert found.true_boxes.codes.tolist() == [12 * 3 + 1]
    assert found.true_boxes.actor_scores.tolist() == [[0, 0.2, 0.7]]


def test_two_rounds_are_compared_on_what_both_know():
    """Four cats nap, in two frames, in which the first round saw four that run."""

    def scores(mistakes, **counts_of):
        pairs = {}
        for pair, counts in counts_of.items():
            name = pair.replace("_", " ")
            pairs[pair.replace("_", "-")] = PairScores(name, Counts(*counts))
        return ObjectScores(["v"], 3, pairs, mistakes, answers=[])

    nap, run = (WIDE.encode(1, action) for action in (2, 1))
    before = scores(
        {
            "v/1": [[nap, run], [nap, run]],
            "v/2": [[nap, run], [0, run], [nap, 0]],
            "v/3": [[0, run]],
        },
        cat_run=(5, 4, 9),
        cat_nap=(4, 0, 0),
        ape_run=(0, 0, 0),
    )
    now = scores(
        {"v/1": [[nap, run]], "v/3": [[0, run], [run, nap]]},
        cat_run=(5, 4, 6),
        cat_nap=(4, 3, 4),
        ape_run=(0, 0, 0),
    )
    frames = ["v/1", "v/2", "v/3"]
    box_frame = [0, 0, 1, 1, 1, 2]
    codes = [nap, nap, nap, run, nap, run]
    truth = Truth(frames, box_frame, np.zeros((6, 4)), codes)
    new_pairs = round_comparison.NewPairs.of(WIDE, NARROW, truth)
    assert new_pairs.names == {"cat-nap", "ape-run"}
    assert new_pairs.frames == {"v/1", "v/2"}
    table = round_comparison.compare(before, now, new_pairs)
    assert list(table.rows) == ["cat-run", "cat-nap"]
    lines = [line.split() for line in table.text().splitlines()[2:4]]
    assert lines == [
        ["cat-run", "5", "4", "4", "1", "1"],
        ["cat-nap", "4", "-", "3", "-", "1"],
    ]
    assert table.notes == (
        "as before: cat run",
        "new, and so without a round before: cat nap, ape run; wrong predictions of"
        " others in frames that show them (2) count in the sentences above, but not in"
        " this table",
    )


def test_a_new_label_with_a_side_ends_mirroring():
    names = rules._names_of_labels(NARROW.with_pairs([("cat", "turn left")]))
    (setting,) = rules._mirroring(names)
    assert setting.flags == {"flip": False} and "turn left" in setting.reason
