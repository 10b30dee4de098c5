"""Labels in boxes that are given, and the scores of labels in the true boxes."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from test_inference import softmax

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics import detection, registry, summaries, true_boxes
from a2d_tf.evaluation.metrics.metric import SplitData
from a2d_tf.evaluation.metrics.true_boxes import LabelledBoxes, label_scores
from a2d_tf.model import inference

BOXES = np.float32(
    [
        [[4, 6, 30, 50], [20, 40, 60, 88], [4, 6, 30, 50]],
        [[8, 8, 40, 56], [0, 0, 0, 0], [0, 0, 0, 0]],
    ]
)
NUMBER = np.int32([3, 1])
SMALL = LabelSpace(("x", "y"), ("a", "b", "c"), (11, 12, 23))


def clips(network, batch=2):
    """Random clips for a network, as constants."""
    clip = tiny_network.clip(batch, network.model_config.frames)
    clip["size"] = np.tile(np.int32(tiny_network.CANVAS), (batch, 1))
    return {name: tf.constant(values) for name, values in clip.items()}


def sharpened(**override):
    """A network whose labels differ from box to box."""
    network = tiny_network.make(temporal_layers=0, **override)
    for weight in network.roi_heads.weights:
        if "_logits" in weight.name and "kernel" in weight.name:
            weight.assign(20 * weight)
    return network


def labelled(network, boxes=BOXES, number=NUMBER):
    """What `infer_boxes` says, as arrays."""
    clip = clips(network)

    # any number of rows
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, 4]), tf.TensorSpec([None], "int32")]
    )
    def infer(boxes, number):
        features = network.extract_features(clip)
        return inference.infer_boxes(
            network, features, boxes, number, clip["size"], clip["rgb"]
        )

    return tf.nest.map_structure(
        lambda x: x if x is None else x.numpy(), infer(boxes, number)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "override", [{}, {"label_mode": "hierarchical"}, {"label_mode": "cartesian"}]
)
def test_given_boxes_are_instances_in_their_order(override):
    network = sharpened(**override)
    found = labelled(network)
    clip = clips(network)
    features = network.extract_features(clip)
    outputs = network.run_roi_heads(features, BOXES).roi_outputs
    classes = softmax(outputs["class_logits"].numpy()[..., :-1])
    codes = np.zeros((2, 3), int)
    for b, number in enumerate(NUMBER):
        for row in range(number):
            joint = np.zeros((7, 9))
            if override.get("label_mode") == "cartesian":
                joint[tuple(A2D.pairs.T)] = classes[b, row]
            else:
                logits = outputs["action_logits"].numpy()[b, row]
                if "label_mode" in override:
                    actions = softmax(logits.reshape(7, 9))
                else:
                    actions = softmax(logits[:9])
                    np.testing.assert_allclose(
                        found.table.action_scores[b, row], actions, atol=1e-5
                    )
                joint = classes[b, row][:, None] * actions * A2D.valid
            np.testing.assert_allclose(
                found.table.joint_scores[b, row], joint, atol=1e-5
            )
            if override.get("label_mode") == "cartesian":
                codes[b, row] = A2D.codes[classes[b, row].argmax()]
            else:
                actor = classes[b, row].argmax()
                valid = np.where(A2D.valid[actor], joint[actor], -1)
                codes[b, row] = A2D.encode(actor, valid.argmax())
    detections = found.detections
    np.testing.assert_array_equal(detections.code, codes)
    np.testing.assert_array_equal(detections.boxes, BOXES)
    np.testing.assert_array_equal(detections.number, NUMBER)
    np.testing.assert_allclose(
        detections.actor_scores.sum(2), [[1, 1, 1], [1, 0, 0]], atol=1e-5
    )
    # not best first: the first and the last box are one
    for name in ("code", "class_scores", "score"):
        values = getattr(detections, name)
        np.testing.assert_allclose(values[0, 0], values[0, 2], rtol=1e-5)
        assert values[0, 0] != values[0, 1] and not values[1, 1:].any(), name
    masks = network.instance_heads["masks"].decode(
        network.run_roi_heads(features, BOXES), BOXES, detections.classes
    )
    np.testing.assert_allclose(detections.head_results["masks"], masks, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("readout", [False, True])
def test_where_the_networks_boxes_are_the_given_ones_so_are_the_labels(
    readout, monkeypatch
):
    network = sharpened(readout=readout)
    if readout:
        rng = np.random.default_rng(0)
        for layer in network.backbones.layers:
            if layer.name == "readout":
                for weight, scale in zip(layer.weights, (0.03, 0.03, 1, 0)):
                    weight.assign(rng.normal(0, scale, weight.shape))
    for weight in network.roi_heads.weights:
        if "actor_deltas" in weight.name:
            weight.assign(tf.zeros_like(weight))
    boxes = BOXES[:, :2]
    valid = tf.sequence_mask([2, 1], 2)
    monkeypatch.setattr(
        network.proposals, "decode", lambda *_: (tf.constant(boxes), valid)
    )
    settings = dataclasses.replace(tiny_network.INFERENCE, score_threshold=0.0)
    clip = clips(network)
    own = tf.function(lambda: inference.infer(network, clip, settings))()
    found = labelled(network, boxes, np.int32([2, 1]))
    for b, row in ((0, 0), (0, 1), (1, 0)):
        # A readout lists them best first.
        distances = np.abs(own.rois[b] - boxes[b, row]).max(1)
        assert distances.min() < 1e-3
        of = distances.argmin()
        actors = own.table.actor_scores[b, of].numpy()
        actions = own.table.action_scores[b, of].numpy()
        # The network's own have less by what is background's.
        np.testing.assert_allclose(
            found.table.actor_scores[b, row], actors / actors.sum(), atol=1e-5
        )
        np.testing.assert_allclose(
            found.table.action_scores[b, row],
            actions / actions.sum(),
            atol=1e-5,
        )
        assert 0.01 < actors.sum() < 0.999
        assert found.table.actor_scores[b, row].max() < 0.999


# The scores.


def random_labels(count, seed=0):
    """Labels of boxes of SMALL."""
    rng = np.random.default_rng(seed)
    actors = rng.dirichlet([1, 1], count).astype(np.float32)
    actions = rng.dirichlet([1, 1, 1], count).astype(np.float32)
    joint = actors[:, :, None] * actions[:, None] * SMALL.valid
    codes = np.array(SMALL.codes)[rng.integers(0, 3, count)]
    return LabelledBoxes(actors, actions, joint, codes)


def test_scores_in_the_true_boxes_are_those_of_a_network_that_finds_just_them():
    """Boxes do not overlap: no match, and no suppression, can be another."""
    labels = random_labels(60)
    rng = np.random.default_rng(1)
    true_codes = np.array([11, 12])[rng.integers(0, 2, 60)]  # nobody is a y
    frame = np.repeat(np.arange(20), 3)
    corner = np.tile([[0, 0], [30, 5], [60, 70]], (20, 1))
    boxes = np.concatenate([corner, corner + 20], axis=1).astype(np.float32)
    names = np.array([f"v/{i:05d}" for i in range(20)])
    truth = Truth(names, frame, boxes, true_codes)
    rois = ScoredRois(
        names,
        frame,
        np.repeat(boxes[:, None], 2, axis=1),
        labels.actor_scores,
        labels.action_scores,
    )
    expected = detection.voc_aps(rois, truth, SMALL)
    found = label_scores(labels, true_codes, SMALL)
    assert found["detection"] == pytest.approx(expected["detection"], abs=1e-9)
    pairs = [expected["per_pair_ap"][code] for code in ("11", "12")]
    assert found["tested"]["joint"] == pytest.approx(np.mean(pairs), abs=1e-9)
    assert expected["per_pair_ap"]["23"] == 0 and found["detection"]["joint"] < 70


def test_scores_by_hand():
    actors = np.float32([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
    actions = np.float32([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.7, 0.3, 0], [0, 0, 1]])
    joint = actors[:, :, None] * actions[:, None] * SMALL.valid
    labels = LabelledBoxes(actors, actions, joint, np.array([11, 12, 11, 23]))
    found = label_scores(labels, np.array([11, 11, 12, 23]), SMALL)
    # Pair 11 is right at ranks 1 and 3 of (.81, .56, .12): VOC2007's levels to recall
    # .5 have precision 1, the other five 2 / 3. Pair 12 is right at rank 2 of (.48,
    # .24): 1 / 2. Pair 23 is right at once.
    of_11 = (6 + 5 * 2 / 3) / 11
    joint_map = 100 * (of_11 + 1 / 2 + 1) / 3
    assert found["detection"]["joint"] == pytest.approx(joint_map)
    assert found["frame_map50"] == pytest.approx(100 * (5 / 6 + 1 / 2 + 1) / 3)
    assert found["detection"]["actor"] == pytest.approx(100)
    # The pairs of x are right once in 2, and never in 1.
    assert found["accuracy"] == pytest.approx(
        {"actor": 100.0, "action": 50.0, "joint": 50.0}
    )


def test_boxes_that_overlap_do_not_suppress_each_other():
    actors = np.float32([[0.9, 0.1], [0.8, 0.2]])
    actions = np.float32([[0.6, 0.4, 0], [0.6, 0.4, 0]])
    joint = actors[:, :, None] * actions[:, None] * SMALL.valid
    labels = LabelledBoxes(actors, actions, joint, np.array([11, 11]))
    found = label_scores(labels, np.array([11, 11]), SMALL)
    assert found["tested"] == {"actor": 100.0, "action": 100.0, "joint": 100.0}


def test_the_note_says_what_perfect_boxes_would_change():
    metric = true_boxes.TrueBoxes(SMALL)
    assert metric.result(SplitData(), {}) == {}
    labels = random_labels(4)
    truth = types.SimpleNamespace(codes=np.array([11, 12, 23, 11]))
    metric.update(types.SimpleNamespace(true_boxes=None, truth=truth))
    assert metric.result(SplitData(), {}) == {}
    halves = [
        LabelledBoxes._make(x[part] for x in labels) for part in (slice(1), slice(1, 4))
    ]
    for half, codes in zip(halves, ([11], [12, 23, 11])):
        truth = types.SimpleNamespace(codes=np.array(codes))
        metric.update(types.SimpleNamespace(true_boxes=half, truth=truth))
    figures = registry.results([metric], SplitData())
    assert figures == {
        "true_boxes": label_scores(labels, np.array([11, 12, 23, 11]), SMALL)
    }
    now = figures["true_boxes"]["detection"]["joint"]
    figures["detection"] = {"actor": 60.0, "action": 50.0, "joint": 44.04}
    text = summaries.table(figures)
    assert text.endswith(
        f"\nwith perfect boxes the joint mAP would be {now:.1f} instead of 44.0"
    )
    del figures["detection"]
    figures.update(behaviours={}, tested={"pairs": {"classes": 2, "ap": 12.3}})
    now = figures["true_boxes"]["tested"]["joint"]
    assert summaries.table(figures).endswith(
        f"the mean AP of the pairs tested would be {now:.1f} instead of 12.3"
    )


def test_an_evaluation_has_them_beside_its_own_scores(
    evaluator, evaluated, mini_records, tmp_path
):
    metrics, folder = evaluated
    found = evaluator.evaluate("test", 0.3, str(tmp_path / "test"), true_boxes=True)
    figures = found.pop("true_boxes")
    assert "true_boxes" not in metrics and found == metrics
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    assert next(evaluator.network_frames.makers("test"))().true_boxes is None
    frames = [make() for make in evaluator.network_frames.makers("test", True)]
    labels = LabelledBoxes.of_frames(frame.true_boxes for frame in frames)
    codes = np.concatenate([frame.truth.codes for frame in frames])
    assert figures == label_scores(labels, codes, evaluator.labels)
    assert len(set(labels.codes.tolist())) > 1
    # In pixels of the canvas: the first frame by the network itself.
    batch = next(iter(evaluator.network_frames._batches["test"]))
    clip = {name: batch[name][:1] for name in evaluator.network_frames._needed}
    truth = frames[0].truth
    boxes = truth.boxes * np.tile(np.divide(truth.size, truth.native_size), 2)
    features = evaluator.network.extract_features(clip)
    given = inference.infer_boxes(
        evaluator.network,
        features,
        tf.constant(boxes[None], tf.float32),
        tf.constant([len(boxes)]),
        clip["size"],
        clip["rgb"],
    )
    np.testing.assert_allclose(
        given.table.actor_scores[0], frames[0].true_boxes.actor_scores, atol=1e-4
    )
    assert given.detections.code[0].numpy().tolist() == (
        frames[0].true_boxes.codes.tolist()
    )
