"""A step of slower backbones, and one of no finite loss, which changes nothing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.machine import devices
from a2d_tf.model.structures import Term
from a2d_tf.pretrained.transfer import variables
from a2d_tf.training.step import train_step

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]

LEARNING = dataclasses.replace(
    tiny_network.LEARNING,
    batch_size=1,
    optimizer="adam",
    learning_rate=0.01,
    average_decay=0.9,
)
ONE_STREAM = dict(use_flow=False, temporal_layers=0, use_mask=False)
BAD = 4


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    devices.prepare()


def run(steps):
    """Take steps; return [values of a step], and all that they change after each."""
    network = tiny_network.make(
        precision="mixed_bfloat16", norm="frozen_stats", **ONE_STREAM
    )
    state = train_step.TrainState.create(network, LEARNING)
    step = train_step.make_train_step(state, LEARNING)
    log, kept = [], []
    for number in range(steps):
        batch = tiny_network.labelled(1, frames=1, seed=number)
        values = step(batch, number)
        log.append({name: float(value) for name, value in values.items()})
        changing = [
            *network.variables,
            *state.optimizer.variables(),
            *state.averages.values,
        ]
        kept.append([variable.numpy() for variable in changing])
    return log, kept


def test_from_a_non_finite_loss_on_nothing_changes(monkeypatch):
    """Step BAD reports a non-finite value; neither it nor later ones change a thing."""
    forward = train_step.forward

    def spoilt(network, batch, seed, *arguments, **options):
        terms, health = forward(network, batch, seed, *arguments, **options)
        ((total, count),) = terms["objectness"]
        bad = tf.where(seed[1] == BAD, np.nan, 1.0)
        return {**terms, "objectness": [Term(total * bad, count)]}, health

    monkeypatch.setattr(train_step, "forward", spoilt)
    log, kept = run(BAD + 3)
    assert all(np.isfinite(list(values.values())).all() for values in log[:BAD])
    assert any((x != y).any() for x, y in zip(kept[BAD - 2], kept[BAD - 1]))
    assert not np.isfinite(log[BAD]["total"]) and np.isfinite(log[BAD + 1]["total"])
    for after in kept[BAD:]:
        for x, y in zip(kept[BAD - 1], after):
            np.testing.assert_array_equal(x, y)


def test_backbones_learn_at_a_rate_of_their_own():
    """Only their variables' updates are a quarter of what they were."""

    def updates(rate):
        training = dataclasses.replace(LEARNING, backbone_rate=rate, average_decay=0.0)
        network = tiny_network.make(**ONE_STREAM)
        named = variables(network)
        before = {name: variable.numpy() for name, variable in named.items()}
        state = train_step.TrainState.create(network, training)
        train_step.make_train_step(state, training)(
            tiny_network.labelled(1, frames=1), 0
        )
        return {
            name: variable.numpy() - before[name] for name, variable in named.items()
        }

    whole, slow = updates(1.0), updates(0.25)
    assert any(update.any() for name, update in whole.items() if "_resnet" in name)
    for name, update in whole.items():
        factor = 0.25 if "_resnet" in name else 1.0
        np.testing.assert_allclose(slow[name], factor * update, atol=1e-6, err_msg=name)
