"""Keep AutoGraph away from layers that do not need it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

_Call = TypeVar("_Call", bound=Callable[..., Any])


def without_autograph(call: _Call) -> _Call:
    """Mark a layer's `call` as one without `if` or `for` on tensors (a decorator).

    Keras converts any other `call` by AutoGraph, which takes longer than building the
    layer.
    """
    unconverted = tf.autograph.experimental.do_not_convert(call)
    # Keras reads the names of the arguments there.
    unconverted.__signature__ = inspect.signature(call)
    return unconverted
