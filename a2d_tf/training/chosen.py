"""The run that a command's flags choose: of --workdir, or a packed model in its place (--model)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import packed

if TYPE_CHECKING:
    from a2d_tf.training.run_folder import Run


def check(checkpoint_given: bool, **sources: str | None) -> None:
    """Check the flags that choose a network, without loading it.

    Args:
      checkpoint_given: whether --checkpoint is among the flags.
      sources: {flag: its value} of those that name a network, `workdir` and `model` among them.

    Raises:
      InputError: not one of them is given, --checkpoint is without --workdir, or there is no such
        packed model.
    """
    if sum(bool(value) for value in sources.values()) != 1:
        *others, last = (f"--{name}" for name in sources)
        raise InputError(f"give one of {', '.join(others)} and {last}")
    if checkpoint_given and not sources["workdir"]:
        raise InputError("--checkpoint chooses among a run's weights; it needs --workdir")
    if sources["model"]:
        packed.find(sources["model"])


def load(workdir: str | None, model: str | None, given: dict[str, Any], checkpoint: str) -> Run:
    """Load the network of a run folder, or else a packed model.

    Args:
      workdir, model: one of the two; `model` as for `packed.find`.
      given: {setting of inference or computing: value}, over its own.
      checkpoint: of the run, "last" or "best".

    Raises:
      InputError: there is none, it is damaged, or the settings are not for it.
    """
    # Late, because TensorFlow takes seconds to load: a mistyped flag should not wait for it.
    from a2d_tf.training import packing, run_folder

    if workdir:
        return run_folder.load(os.path.normpath(workdir), given, checkpoint)
    assert model
    return packing.load(model, given)
