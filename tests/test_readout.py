"""The readout: its fit in closed form, whom it learns from, the labels it gives."""

import dataclasses
import itertools
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from plain_detection import slow_iou
from test_inference import softmax

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.model.inference import infer
from a2d_tf.model.postprocessing import readout_labels
from a2d_tf.model.postprocessing.suppression import vote
from a2d_tf.model.readout import group_weights, label_fit, ridge
from a2d_tf.model.readout import readout as readouts
from a2d_tf.model.readout.box_halves import average_map
from a2d_tf.ops import motion_maps
from a2d_tf.training.fit_readout import describe_skills, fit_readout

SETTINGS = dataclasses.replace(tiny_network.INFERENCE, score_threshold=0.05)
LEARNING = dataclasses.replace(tiny_network.LEARNING, val_fraction=0.6)


def fit(x, labels, count, videos):
    """A fit to features of one group."""
    return ridge.fit(
        ridge.TrainingSet.of([x], labels, count, videos), ridge.Hyperparameters((1.0,))
    )


def instances(x, actors, actions, videos, **motion):
    """Instances in true boxes, with features of appearance and of motion maps."""
    features = {"appearance": x, **motion}
    exact = np.ones(len(x), bool)
    return label_fit.ReadoutInstances(features, actors, actions, videos, exact)


def test_the_fit_is_least_squares_with_a_penalty_and_equal_classes():
    """By stacked rows: each sample times the root of its weight, and the penalty's."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(3, [1, 5, 0.1, 2], (40, 4)), rng.integers(0, 3, 40)
    labels[:5] = -1
    fitted = fit(x, labels, 4, np.arange(40))
    known = labels >= 0
    z, y = x[known], labels[known]
    z = np.c_[(z - z.mean(0)) / z.std(0) / 2, np.ones(len(y))]
    weight = np.sqrt(1 / (3 * np.bincount(y)[y]))[:, None]
    # Without a penalty on the intercept.
    penalty = np.sqrt(0.03) * np.eye(5)[:4]
    rows = np.concatenate([weight * z, penalty])
    targets = np.concatenate([weight * np.eye(4)[y], np.zeros((4, 4))])
    solution = np.linalg.lstsq(rows, targets, rcond=None)[0]
    values = x[known] @ fitted.classifier.kernels[0] + fitted.classifier.bias
    np.testing.assert_allclose(values, z @ solution, atol=1e-6)


def test_the_skill_is_what_is_right_in_videos_left_out_beyond_chance():
    """By fits without each video in turn."""
    rng = np.random.default_rng(1)
    videos, labels = np.repeat(np.arange(12), 5), np.repeat(np.arange(12) % 3, 5)
    centres = rng.normal(size=(12, 6)) + 1.7 * np.eye(3, 6)[np.arange(12) % 3]
    x = centres[videos] + 0.1 * rng.normal(size=(60, 6))
    right, values = np.zeros(60, bool), np.zeros((60, 3))
    mean, scale = x.mean(0), x.std(0) * np.sqrt(6)
    z = np.c_[(x - mean) / scale, np.ones(60)]
    for video in range(12):
        rest = videos != video
        # equal classes: 1 / 60
        gram = z[rest].T @ z[rest] / 60 + np.diag([0.03] * 6 + [0])
        found = np.linalg.solve(gram, z[rest].T @ np.eye(3)[labels[rest]] / 60)
        values[~rest] = z[~rest] @ found
        right[~rest] = values[~rest].argmax(1) == labels[~rest]
    expected = 1.5 * right.mean() - 0.5
    assert 0.1 < expected < 0.9
    left_out = fit(x, labels, 3, videos).left_out_predictions()
    np.testing.assert_allclose(left_out.values, values, atol=1e-5)
    assert left_out.skill() == pytest.approx(expected, abs=1e-9)
    # And as sharp as makes these labels likeliest.
    losses = {
        factor: tf.keras.losses.sparse_categorical_crossentropy(
            labels, factor * values, True
        )
        for factor in (5, 7, 10, 14, 20)
    }
    assert (
        left_out.inverse_temperature()
        == min(losses, key=lambda factor: float(tf.reduce_sum(losses[factor])))
        < 20
    )
    # Seven videos say nothing; nor does a class of one, which cannot be found without
    # it.
    for fitted in (
        fit(x[:35], labels[:35], 3, videos[:35]),
        fit(x, videos, 12, videos),
    ):
        left_out = fitted.left_out_predictions()
        assert (left_out.skill(), left_out.inverse_temperature()) == (None, 20.0)
    assert ridge.TrainingSet.of([x], np.zeros(60, int), 3, videos) is None
    head = readouts.Readout(A2D, tiny_network.CANVAS)
    head.build_layers([tf.zeros([1, 4, 6, 1]), tf.zeros([1, 2, 3, 2])])
    one_class = np.zeros(60, int)
    skills = head.fit(instances(x, one_class, one_class, videos))
    assert skills == (0.0, 0.0, "", ())


def test_instances_of_any_class_have_values_without_their_video():
    """Also those of a class that a single video shows, which do not count as skill."""
    rng = np.random.default_rng(5)
    videos, labels = np.repeat(np.arange(4), 3), np.repeat([0, 1, 0, 2], 3)
    x = rng.normal(size=(12, 3))
    fitted = fit(x, labels, 3, videos)
    weights = 1 / (3 * np.bincount(labels)[labels])
    z = np.c_[(x - x.mean(0)) / x.std(0) / np.sqrt(3), np.ones(12)]
    for video in range(4):
        rest = videos != video
        weighted = z[rest].T * weights[rest]
        gram = weighted @ z[rest] + np.diag([0.03] * 3 + [0])
        found = np.linalg.solve(gram, weighted @ np.eye(3)[labels[rest]])
        values = fitted.left_out_values[~rest]
        np.testing.assert_allclose(values, z[~rest] @ found, atol=1e-4)
    assert set(fitted.left_out_predictions().videos) == {0, 2}
    assert np.isnan(fit(x, labels, 3, np.zeros(12)).left_out_values).all()


def test_groups_of_features_have_their_shares_in_the_whole():
    """By a fit to scaled columns, more than instances, and one without each video."""
    rng = np.random.default_rng(3)
    videos = np.repeat(np.arange(10), 3)
    labels = rng.permutation(np.arange(30) % 4)
    groups = [rng.normal(2, 3, (30, 5)), rng.normal(-1, 0.2, (30, 40))]
    strength = ridge.Hyperparameters((0.3, 0.7), penalty=0.1)
    found = ridge.fit(ridge.TrainingSet.of(groups, labels, 4, videos), strength)

    columns = []
    for x, share in zip(groups, strength.group_weights):
        scale = (x.std(0) + 1e-6) / np.sqrt(share / x.shape[1])
        columns.append((x - x.mean(0)) / scale)
    z = np.concatenate(columns, axis=1)
    assert np.mean(z**2) * z.shape[1] == pytest.approx(1.0, abs=1e-4)
    z = np.c_[z, np.ones(30)]
    weights = 1 / (4 * np.bincount(labels)[labels])[:, None]

    def solve(rows):
        weighted = (weights * z)[rows].T
        penalty = np.diag([0.1] * 45 + [0])
        targets = np.eye(4)[labels[rows]]
        return np.linalg.solve(weighted @ z[rows] + penalty, weighted @ targets)

    values = (
        sum(x @ kernel for x, kernel in zip(groups, found.classifier.kernels))
        + found.classifier.bias
    )
    np.testing.assert_allclose(values, z @ solve(videos >= 0), atol=1e-9)
    left_out = [z[videos == v] @ solve(videos != v) for v in range(10)]
    np.testing.assert_allclose(
        found.left_out_predictions().values, np.concatenate(left_out), atol=1e-9
    )
    # The fit without a video, of any instance.
    without = found.without(2)
    values = sum(x @ kernel for x, kernel in zip(groups, without.kernels))
    np.testing.assert_allclose(values + without.bias, z @ solve(videos != 2), atol=1e-9)
    # Without two videos.
    without = found.without(2, 7)
    values = sum(x @ kernel for x, kernel in zip(groups, without.kernels))
    rest = (videos != 2) & (videos != 7)
    np.testing.assert_allclose(values + without.bias, z @ solve(rest), atol=1e-9)
    # A group without a share is not read.
    one = ridge.fit(
        ridge.TrainingSet.of(groups, labels, 4, videos),
        ridge.Hyperparameters((0.0, 1.0)),
    )
    alone = fit(groups[1], labels, 4, videos)
    assert not one.classifier.kernels[0].any()
    np.testing.assert_allclose(
        one.classifier.kernels[1], alone.classifier.kernels[0], atol=1e-12
    )
    np.testing.assert_allclose(
        one.left_out_predictions().values,
        alone.left_out_predictions().values,
        atol=1e-12,
    )


def test_hyperparameters_are_the_mean_by_the_likelihood_of_videos_left_out():
    rng = np.random.default_rng(7)
    videos = np.repeat(np.arange(12), 3)
    labels = np.r_[np.arange(30) % 3, [0, 1, 0, 1, 1, 0]]
    groups = [rng.normal(0, 1, (36, 9)) + np.eye(3, 9)[labels] for _ in range(2)]
    instances = ridge.TrainingSet.of(groups, labels, 3, videos)
    usual = ridge.Hyperparameters((0.5, 0.5))
    candidates = [
        ridge.Hyperparameters((0.75, 0.25), 0.04),
        ridge.Hyperparameters((0.25, 0.75), 0.05),
        ridge.Hyperparameters((0.5, 0.5), 0.03),
    ]
    weights = []
    for candidate in candidates:
        left_out = ridge.fit(instances, candidate).left_out_predictions()
        best = -np.inf
        for factor in (5, 7, 10, 14, 20):
            logs = {0: [], 1: [], 2: []}
            for values, label in zip(left_out.values, labels):
                odds = np.exp(factor * values)
                logs[label].append(np.log(odds[label] / odds.sum()))
            best = max(best, np.mean([np.mean(x) for x in logs.values()]))
        distance = sum((a - 0.5) ** 2 for a in candidate.group_weights)
        weights.append(np.exp(12 * best - 6 * distance))
    first, second, third = np.array(weights) / sum(weights)
    strength = group_weights.average_candidates(instances, usual, candidates)
    share = 0.75 * first + 0.25 * second + 0.5 * third
    assert 0.02 < min(first, second, third)
    np.testing.assert_allclose(strength.group_weights, (share, 1 - share), atol=1e-9)
    penalty = 0.04**first * 0.05**second * 0.03**third
    assert strength.penalty == pytest.approx(penalty)
    # What is hardly read is not read.
    candidates = [
        ridge.Hyperparameters((0.99, 0.01)),
        ridge.Hyperparameters((0.985, 0.015)),
    ]
    strength = group_weights.average_candidates(instances, usual, candidates)
    assert strength.group_weights == (1.0, 0.0)


def test_videos_left_out_decide_which_features_tell_actions():
    rng = np.random.default_rng(4)
    videos = np.repeat(np.arange(24), 3)
    labels = np.repeat(np.arange(24) % 3, 3)
    noise = rng.normal(size=(24, 30))[videos]  # another in each video
    telling = rng.normal(0, 0.3, (72, 8)) + np.eye(3, 8)[labels]

    def choose(rows=videos >= 0, **groups):
        groups = {name: x[rows] for name, x in groups.items()}
        return group_weights.choose(groups, labels[rows], 3, videos[rows])

    chosen = choose(appearance=telling, i3d=noise)
    assert 0.6 < chosen.hyperparameters.group_weights[0] <= 0.75
    words = re.fullmatch(
        r"actions in videos left out: appearance alone (\d+), i3d alone (-?\d+),"
        r" together (\d+) of 100 \(0 is chance\)",
        chosen.summary,
    )
    telling_alone, noise_alone, together = map(int, words.groups())
    assert noise_alone < 40 < 80 < min(telling_alone, together)
    # Where the videos are too few, shares are the usual ones.
    other = telling + rng.normal(0, 0.3, telling.shape)
    few = choose(rows=videos < 7, appearance=telling, i3d=other)
    assert few == (ridge.Hyperparameters((1 / 3, 2 / 3)), "")
    few = choose(rows=videos < 7, appearance=telling, flow_histograms=other)
    assert few == (ridge.Hyperparameters((0.5, 0.5)), "")
    assert choose(rows=labels == 1, appearance=telling, i3d=other).summary == ""
    assert choose(appearance=telling) == (ridge.Hyperparameters((1.0,)), "")


def test_groups_of_motion_maps_without_a_share_are_named(monkeypatch):
    rng = np.random.default_rng(5)
    videos = np.repeat(np.arange(10), 3)
    x = rng.normal(size=(30, 8))
    groups = motion_maps.groups("i3d", flow_histograms=True)
    head = readouts.Readout(A2D, tiny_network.CANVAS, groups)
    head.build_layers([tf.zeros([1, 4, 6, 1]), tf.zeros([1, 2, 3, 3])])
    rows = instances(x, videos % 3, videos % 2, videos, i3d=x, flow_histograms=x)
    for shares, unread in (
        ((0.0, 0.75, 0.25), ()),  # appearance is no motion map
        ((0.25, 0.0, 0.75), ("i3d",)),
        ((0.5, 0.5, 0.0), ("flow_histograms",)),
    ):
        choice = group_weights.GroupWeights(ridge.Hyperparameters(shares), "worth it")
        monkeypatch.setattr(group_weights, "choose", lambda *_, choice=choice: choice)
        skills = head.fit(rows)
        assert (skills.summary, skills.unused_groups) == ("worth it", unread)


def test_labels_that_it_does_not_know_are_left_to_the_network():
    rng, network = np.random.default_rng(2), made(temporal_layers=0)
    head, videos = network.readout, np.repeat(np.arange(30), 4)
    size = 2 * sum(x.shape[-1] for x in network.readout_maps.outputs)
    actors, actions = np.arange(30) % 3, rng.integers(0, 4, 30)
    x = rng.normal(size=(30, size)) + 2 * rng.normal(size=(3, size))[actors]
    x = np.repeat(x, 4, axis=0) + 0.01 * rng.normal(size=(120, size))
    skills = head.fit(instances(x, np.repeat(actors, 4), np.repeat(actions, 4), videos))
    assert skills.actor > 0.8 and skills.action < 0.2
    *kernels, bias, share = (w.numpy() for w in weights(network))
    assert all(np.any(k[..., :3]) and not np.any(k[..., 7:]) for k in kernels)
    np.testing.assert_array_equal(share, [0.0] * 7 + [1.0] * 9)
    # no instance of four actors
    np.testing.assert_array_equal(bias[3:], [-20.0] * 4 + [0.0] * 9)


def made(**model):
    return tiny_network.make(readout=True, use_flow=False, **model)


def weights(network):
    return network.backbones.get_layer("readout").weights


def inferred(network, clip):
    clip["size"] = np.tile(np.int32(tiny_network.CANVAS), (2, 1))
    return tf.function(lambda: infer(network, clip, SETTINGS))()


@pytest.mark.slow
def test_labels_are_linear_in_the_averaged_features_and_boxes_have_no_class(
    monkeypatch,
):
    network, clip = made(temporal_layers=1), tiny_network.clip(2, 5)
    rng = np.random.default_rng(0)
    for weight, scale in zip(weights(network), (2, 2, 1, 0)):
        weight.assign(rng.normal(0, scale, weight.shape))
    found = inferred(network, clip)
    number, boxes = found.valid.numpy().sum(1), found.rois
    assert number.min() >= 2
    frames = [network.readout_maps(clip["rgb"][:, t]) for t in (1, 2, 3)]
    pooled = [
        sum(average_map(x, boxes, tiny_network.CANVAS).numpy() for x in xs) / 3
        for xs in zip(*frames)
    ]
    *kernels, bias, _ = (weight.numpy() for weight in weights(network))
    logits = (
        sum(np.einsum("bnhc,chu->bnu", x, k) for x, k in zip(pooled, kernels)) + bias
    )
    for b, count in enumerate(number):
        scores = found.table.actor_scores[b, :count].numpy()
        foreground = scores.sum(1, keepdims=True)
        q = softmax(logits[b, :count, :7])
        np.testing.assert_allclose(scores, foreground * q, rtol=1e-3, atol=1e-6)
        actions = found.table.action_scores[b, :count].numpy()
        q = softmax(logits[b, :count, 7:])
        np.testing.assert_allclose(
            actions / actions.sum(1)[:, None], q, rtol=1e-3, atol=1e-6
        )
        best = scores.max(1)
        assert (np.diff(best) <= 0).all()
        # Instances are those whose best actor reaches the threshold.
        kept = int(found.detections.number[b])
        assert kept == np.count_nonzero(best >= SETTINGS.score_threshold)
        np.testing.assert_array_equal(
            found.detections.class_scores[b, :kept], best[:kept]
        )
        np.testing.assert_array_equal(
            found.detections.classes[b, :kept], scores[:kept].argmax(1)
        )
        np.testing.assert_array_equal(found.detections.boxes[b, :kept], boxes[b, :kept])
    monkeypatch.setattr(readout_labels, "vote", lambda kept, *_: kept)
    found = inferred(network, clip)
    for own, count in zip(found.rois.numpy(), number):  # before they are averaged
        for one, other in itertools.combinations(own[:count], 2):
            assert slow_iou(one, other) <= SETTINGS.nms_threshold + 1e-5


def test_features_are_averaged_over_the_upper_and_the_lower_half_of_a_box():
    values = np.zeros((1, 4, 4, 1), np.float32)
    values[0, 1:3, :, 0] = [[1], [3]]  # rows of 16 pixels: 16 to 32 and 32 to 48
    boxes = np.float32([[[16, 8, 48, 56], [16, 0, 32, 64]]])
    halves = average_map(tf.constant(values), boxes, (64, 64))
    upper, lower = halves[0, 0, :, 0].numpy()
    # of cell centres
    rows = np.interp(np.linspace(16, 48, 8), [8, 24, 40, 56], [0, 1, 3, 0])
    np.testing.assert_allclose(
        [upper, lower], [rows[:4].mean(), rows[4:].mean()], rtol=1e-5
    )


def test_a_box_is_the_mean_of_those_that_agree_with_it():
    boxes = np.float32(
        [[[0, 0, 10, 10], [0, 0, 10, 14], [0, 4, 10, 16], [40, 40, 50, 50]]]
    )
    scores = np.float32([[0.6, 0.2, 0.9, 0.0]])
    kept = np.float32([[[0, 0, 10, 10], [40, 40, 50, 50]]])
    found = vote(kept, boxes, scores)  # IoU 1, .71 and .375; the other has no score
    np.testing.assert_allclose(found, [[[0, 0, 10, 11], [40, 40, 50, 50]]], rtol=1e-6)


@pytest.mark.slow
def test_until_it_is_fitted_labels_are_those_of_the_heads():
    network, clip = made(temporal_layers=0), tiny_network.clip(2, 1)
    found = inferred(network, clip)
    network.readout = None
    heads = inferred(network, clip).table
    for b, count in enumerate(found.valid.numpy().sum(1)):
        for row in range(count):
            of = (
                np.abs(heads.actor_scores[b] - found.table.actor_scores[b, row])
                .max(1)
                .argmin()
            )
            for name in ("actor_scores", "action_scores", "joint_scores"):
                np.testing.assert_allclose(
                    getattr(found.table, name)[b, row],
                    getattr(heads, name)[b, of],
                    atol=1e-5,
                )


def test_damaged_records_are_named(mini_records, tmp_path):
    shutil.copytree(mini_records.directory, tmp_path, dirs_exist_ok=True)
    shard = sorted(tmp_path.glob("train-*"))[1]
    shard.write_bytes(shard.read_bytes()[:-9])
    model = dict(use_flow=False, temporal_layers=0, readout=True)
    config = Config(tiny_network.config(**model), training=LEARNING)
    manifest = dataclasses.replace(mini_records, directory=str(tmp_path))
    with pytest.raises(InputError, match=f"{shard}: corrupt records"):
        fit_readout(tiny_network.make(**model), manifest, config)


def test_skills_are_told_in_words():
    told = describe_skills(label_fit.Skills(None, 0.5))
    assert told == (
        "how well it labels training videos that it has not seen, from 0 for chance to"
        " 1 for all right: actions 0.50; what is below 0.15 is left to the network's"
        " heads; there are too few training videos to leave some out and say how well"
        " it labels actors in them"
    )
    told = describe_skills(label_fit.Skills(None, None))
    assert told.startswith("there are too few training videos to leave some out")
    assert told.endswith(" how well it labels actors and actions in them")


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_it_learns_from_training_videos_without_the_held_out_actions(
    mini_records, monkeypatch
):
    parse = clip_records.parse
    monkeypatch.setattr(label_fit, "LEAST_SKILL", -9.0)  # of random features

    def learned(withheld="", **poison):
        """Its weights, where the records of some videos say something else."""

        def poisoned(serialized, *options):
            example = parse(serialized, *options)
            from a2d_tf.data.batches.pipeline import is_validation

            held = is_validation(example["video"], LEARNING.val_fraction)
            codes = example["codes"]
            if "val" in poison:
                codes = tf.where(held, poison["val"], codes)
            if "train" in poison:
                codes = tf.where(held, codes, poison["train"])
            if "actor" in poison:
                codes = tf.where(
                    codes // 10 == poison["actor"], 10 * (codes // 10) + 9, codes
                )
            return dict(example, codes=codes)

        monkeypatch.setattr(clip_records, "parse", poisoned)
        training = dataclasses.replace(LEARNING, zero_shot_actor=withheld)
        network = made(temporal_layers=0)
        fit_readout(
            network, mini_records, Config(network.model_config, training=training)
        )
        return [variable.numpy() for variable in weights(network)]

    def same(a, b):
        return all(np.array_equal(x, y) for x, y in zip(a, b))

    usual = learned()
    assert any(x.any() for x in usual) and same(usual, learned())
    assert same(usual, learned(val=11)) and not same(usual, learned(train=11))
    seen = {code // 10 for code in map(int, mini_records.counts["train"]["pairs"])}
    for actor in seen:
        name = A2D.actors[actor - 1]
        assert same(learned(name), learned(name, actor=actor))
