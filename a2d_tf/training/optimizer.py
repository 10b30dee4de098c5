"""The optimizer, its learning rate, gradient clipping and averaged weights.

SGD with momentum (paper, section 4) or Adam, with decoupled weight decay. Averages of
the weights often score better than the last weights.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf

from a2d_tf.core import addons
from a2d_tf.core.config import TrainingConfig

_SMALL = {False: 2**12, True: 2**22}
"""Whether on a GPU -> up to how many elements tensors are joined: to launch a GPU's
kernel takes as long as to copy some megabytes.
"""


class Schedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A run's learning rate times a factor, by the step.

    Linear warm-up to --learning_rate, then constant or a half cosine to zero at
    --steps.
    """

    def __init__(self, training: TrainingConfig, factor: float = 1.0) -> None:
        self._settings, self._peak = training, training.learning_rate * factor

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        training, step = self._settings, tf.cast(step, tf.float32)
        rate = tf.constant(self._peak, tf.float32)
        if training.schedule == "cosine":
            span = max(1, training.steps - training.warmup_steps)
            progress = tf.clip_by_value((step - training.warmup_steps) / span, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * progress))
        if training.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / training.warmup_steps)
        return rate


def make(training: TrainingConfig) -> tf.keras.optimizers.Optimizer:
    """Return a new optimizer of a run.

    tensorflow-addons does not multiply the decay by the learning rate, so that is done
    here.
    """
    rates = {
        "learning_rate": Schedule(training),
        "weight_decay": Schedule(training, training.weight_decay),
    }
    if training.optimizer == "adam":
        return addons.AdamW(**rates)
    return addons.SGDW(momentum=training.momentum, **rates)


def apply(
    optimizer: tf.keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    backbone: Sequence[tf.Variable],
    training: TrainingConfig,
    on_gpu: bool = False,
) -> None:
    """Apply gradients in a replica: SGD to the small variables at once, all else one by
    one.

    Args:
      optimizer: of `make`, with slots; gradients: of all replicas; variables: theirs.
      backbone: those of them whose rate and decay are multiplied by --backbone_rate.
    """
    slow = _own(backbone) if training.backbone_rate != 1 else []
    limit = _SMALL[on_gpu]
    before = _join([variable.read_value() for variable in slow], limit)
    pairs = list(zip(gradients, variables))
    if training.optimizer == "sgd":
        small = [pair for pair in pairs if _is_small(pair[1], limit)]
        pairs = [pair for pair in pairs if not _is_small(pair[1], limit)]
        _descend(optimizer, small, training, limit)
    if pairs:
        # By variable: tensorflow-addons can also exclude by name, but two may share
        # one. It looks for the parts of a variable of several replicas.
        parts = tf.distribute.get_strategy().experimental_local_results
        kernels = [variable for _, variable in pairs if _decays(variable)]
        optimizer.apply_gradients(
            pairs,
            decay_var_list=[part for variable in kernels for part in parts(variable)],
            experimental_aggregate_gradients=False,
        )
    else:
        optimizer.iterations.assign_add(1)
    # Adam would undo a factor on the gradients.
    _approach(slow, before, 1 - training.backbone_rate, limit)


def _descend(optimizer, pairs, training, limit):
    """Do what SGDW does, by a few operations on joined variables."""
    rate = Schedule(training)(optimizer.iterations)
    decay = Schedule(training, training.weight_decay)(optimizer.iterations)
    for decays in (True, False):
        chosen = [pair for pair in pairs if _decays(pair[1]) == decays]
        if not chosen:
            continue
        variables = _own([variable for _, variable in chosen])
        slots = _own(
            [optimizer.get_slot(variable, "momentum") for _, variable in chosen]
        )
        (gradient,) = _join([gradient for gradient, _ in chosen], limit)
        (momentum,) = _join([slot.read_value() for slot in slots], limit)
        (weights,) = _join([variable.read_value() for variable in variables], limit)
        momentum = momentum * training.momentum - gradient * rate
        if decays:
            weights -= decay * weights
        for old, new in ((slots, momentum), (variables, weights + momentum)):
            for variable, value in zip(old, _split([new], variables, limit)):
                variable.assign(value)


def _decays(variable):
    """Whether weight decay applies to a variable: to kernels, not biases, scales or
    offsets.
    """
    return variable.shape.rank > 1


def clipped(
    gradients: list[tf.Tensor], clip_norm: float, on_gpu: bool = False
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clip the global norm of gradients (0: do not).

    Returns:
      (gradients, their global norm before clipping).
    """
    limit = _SMALL[on_gpu]
    groups = _join(gradients, limit)
    norm = tf.linalg.global_norm(groups)
    if not clip_norm:
        return gradients, norm
    factor = clip_norm / tf.maximum(norm, clip_norm)
    return _split([factor * group for group in groups], gradients, limit), norm


class Averages(tf.Module):
    """Moving averages of variables, on several devices too (unlike those of
    tensorflow-addons).

    Args:
      decay: of the averages, per step. At step n it is at most (1 + n) / (10 + n), so
        that the random initial weights soon lose their influence.
    """

    def __init__(
        self, variables: Iterable[tf.Variable], decay: float, on_gpu: bool = False
    ) -> None:
        super().__init__(name="averages")
        variables = list(variables)
        # Behind a function, so that a checkpoint does not track them as parts of this
        # object.
        self._decay, self._variables = decay, lambda: variables
        self._limit = _SMALL[on_gpu]
        self.values = [tf.Variable(x.read_value(), trainable=False) for x in variables]

    def update(self, step: tf.Tensor) -> None:
        """Take the weights after a step into the averages; in a cross-replica
        context.
        """
        step = tf.cast(step, tf.float32)
        rate = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        tf.distribute.get_strategy().run(self._follow, (rate,))

    def _follow(self, rate):
        aims = _join(
            [variable.read_value() for variable in _own(self._variables())], self._limit
        )
        _approach(_own(self.values), aims, rate, self._limit)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Exchange the variables and their averages inside a `with` block."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def exchange(self) -> None:
        """Swap the values of the variables and their averages."""
        for mean, variable in zip(self.values, self._variables()):
            value = tf.identity(variable.read_value())
            variable.assign(mean.read_value())
            mean.assign(value)


def _own(variables):
    """Return this replica's parts of variables."""
    strategy = tf.distribute.get_strategy()
    index = tf.get_static_value(
        tf.distribute.get_replica_context().replica_id_in_sync_group
    )
    parts = [strategy.experimental_local_results(variable) for variable in variables]
    return [part[index % len(part)] for part in parts]


def _approach(variables, aims, rate, limit):
    """Move a replica's variables by a share of the way to their aims, of `_join`."""
    values = _join([variable.read_value() for variable in variables], limit)
    moved = [value - rate * (value - aim) for value, aim in zip(values, aims)]
    for variable, value in zip(variables, _split(moved, variables, limit)):
        variable.assign(value)


def _join(tensors, limit):
    """Return one vector of all tensors up to a limit, of one type, and the others as
    they are.

    So one operation serves all of them.
    """
    small = [
        _shaped(x, [x.shape.num_elements()]) for x in tensors if _is_small(x, limit)
    ]
    large = [x for x in tensors if not _is_small(x, limit)]
    return [tf.concat(small, axis=0), *large] if small else large


def _split(groups, like, limit):
    """Invert `_join`, which was given tensors like these."""
    small, large = [x for x in like if _is_small(x, limit)], list(groups)
    parts = (
        tf.split(large.pop(0), [x.shape.num_elements() for x in small]) if small else []
    )
    rest, parts = iter(large), iter(parts)
    return [
        _shaped(next(parts), x.shape) if _is_small(x, limit) else next(rest)
        for x in like
    ]


def _shaped(x, shape):
    """Reshape a tensor that has another shape: each operation takes time to trace."""
    return x if x.shape == shape else tf.reshape(x, shape)


def _is_small(x, limit):
    return x.shape.num_elements() <= limit
