"""Checkpoints and TensorBoard's files of a run folder, so that a killed run resumes exactly.

An older checkpoint stays until the new one is complete. `tensorboard/` has a writer for each split,
and no step twice after a resume.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import shutil
import statistics
from typing import TYPE_CHECKING

import tensorflow as tf
from tensorflow.core.util import event_pb2

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json, write_text
from a2d_tf.training import losses
from a2d_tf.training.scores import KINDS, steps_in

if TYPE_CHECKING:
    from a2d_tf.model.network import Network
    from a2d_tf.training.train_step import TrainState

logger = logging.getLogger(__name__)

BEST = "validation.json"
"""In `best/`: {"step", "score" in percent, "score_threshold"} of that validation."""
EVENTS = "events.out.tfevents.*"
_KEPT = 3  # newest checkpoints, should the last ones be damaged


class Window(tf.train.experimental.PythonState):
    """The values of the steps since the last TensorBoard point: a list of {name: float}."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[dict[str, float]] = []

    def means(self) -> dict[str, float]:
        """Return the mean of each value of the last step over the steps that have it.

        Steps in another precision, before a resume, may lack some.
        """
        return {
            name: statistics.fmean(values[name] for values in self.values if name in values)
            for name in self.values[-1]
        }

    def serialize(self) -> str:
        return json.dumps(self.values)

    def deserialize(self, text: str) -> None:
        self.values = json.loads(text)


class Checkpointer:
    """Saves and restores the training state in a run folder.

    A checkpoint holds the network, the optimizer's slots, averages and loss scale where there are
    any, the step, and the values gathered for the next TensorBoard point. The averages take the
    place of the network's weights, so that every reader gets them.
    """

    def __init__(self, workdir: str, state: TrainState) -> None:
        self.workdir, self.window = workdir, Window()
        self._state = state
        names = ("network", "optimizer", "step", "averages", "loss_scale")
        parts = {name: getattr(state, name) for name in names} | {"window": self.window}
        self._parts = {name: part for name, part in parts.items() if part is not None}

    @property
    def step(self) -> int:
        """The number of steps done."""
        return int(self._state.step.numpy())

    def resume(self) -> bool:
        """Restore the newest whole checkpoint, and return whether there is one.

        Raises:
          InputError: the checkpoint is of another network, or all are damaged.
        """
        path = newest(self._folder("last"))
        for kind in ("last", "best"):
            sweep(self._folder(kind))
        if path is None:
            return False
        load(path, {name: part for name, part in self._parts.items() if name != "loss_scale"})
        if self._state.loss_scale:  # a checkpoint of another precision has none
            tf.train.Checkpoint(loss_scale=self._state.loss_scale).read(path).expect_partial()
        if self._state.averages:
            self._state.averages.exchange()
        return True

    def save(self, kind: str = "last") -> None:
        """Save the current step: all of it, or of the best validation the network alone.

        Errors are those of `save`.
        """
        parts, number = self._parts, _KEPT
        if kind == "best":
            parts, number = {"network": self._state.network}, 1
        averages = self._state.averages
        with averages.in_place() if averages else contextlib.nullcontext():
            save(self._folder(kind), parts, self.step, number)

    def save_best(self, score: float, threshold: float) -> bool:
        """Save to `best/` if the validation is the run's best; return whether it is.

        Args:
          score: percent; threshold: on p(actor), with which it was reached.
        """
        step, path = self.step, os.path.join(self._folder("best"), BEST)
        if os.path.isfile(path):
            best = read_json(path)
            # Ignore a best from this step or later: the run was killed and will repeat it.
            if best["step"] < step and best["score"] >= score:
                return False
        self.save("best")
        write_json(path, {"step": step, "score": score, "score_threshold": threshold})
        return True

    def mark_finished(self) -> None:
        """Write `finished.json`, after the validation of the last step."""
        write_json(os.path.join(self.workdir, "finished.json"), {"steps": self.step})

    def _folder(self, kind):
        return os.path.join(self.workdir, KINDS[kind])


def is_finished(workdir: str, step: int) -> bool:
    """Return whether a run was marked as finished at a step."""
    path = os.path.join(workdir, "finished.json")
    return os.path.isfile(path) and read_json(path) == {"steps": step}


def save(folder: str, parts: dict, step: int, number: int = 1) -> None:
    """Write `ckpt-<step>`, and remove older ones but for `number`; with 1 all others are removed.

    Args:
      folder: of checkpoints; parts: {name: trackable}.

    Raises:
      InputError: it cannot be written; the older ones stay.
    """
    with _kept(folder, step):
        tf.train.Checkpoint(**parts).write(os.path.join(folder, f"ckpt-{step}"))
    # For TensorFlow's own `latest_checkpoint`.
    write_text(os.path.join(folder, "checkpoint"), f'model_checkpoint_path: "ckpt-{step}"\n')
    old = steps_in(folder)
    if number > 1:  # later ones stay: damaged, and left aside
        old = [found for found in old if found <= step][:-number]
    for other in {*old} - {step}:
        for part in pathlib.Path(folder).glob(f"ckpt-{other}.*"):
            part.unlink()


@contextlib.contextmanager
def _kept(folder, step):
    """Raise InputError if what is written inside into a folder cannot be kept."""
    try:
        yield
    except tf.errors.OpError as error:
        sweep(folder)
        raise InputError(
            f"{folder}: step {step} cannot be kept ({error.message.splitlines()[0]}); make room, "
            "then give the same command again: it resumes at the last checkpoint"
        ) from error


def sweep(folder: str) -> None:
    """Remove the partial checkpoints that a killed run left in a folder."""
    for path in pathlib.Path(folder).glob("ckpt-*temp*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def newest(folder: str) -> str | None:
    """Find a folder's newest whole checkpoint: its path without suffix, None where there is none.

    A damaged checkpoint, such as a full disk or a power failure leaves, is skipped with a warning:
    every tensor is read, and TensorFlow compares its checksum.

    Raises:
      InputError: all that are there are damaged.
    """
    path = None
    for step in reversed(steps_in(folder)):
        path = os.path.join(folder, f"ckpt-{step}")
        try:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
            return path
        except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            logger.warning("%s: damaged, left aside (%s)", path, reason)
    if path:
        raise InputError(
            f"{path}: damaged ({reason}), and so are all other checkpoints; delete {folder} to "
            "train from the start"
        )
    return None


def restore(network: Network, run: str, kind: str = "last") -> str:
    """Load the weights of a run folder's checkpoint into the network.

    Args:
      network: a Network of the run's own ModelConfig and label space.
      run: the run folder; kind: of KINDS.

    Returns:
      the checkpoint's path.

    Raises:
      InputError: no checkpoint there, or one of another network.
    """
    folder = os.path.join(run, KINDS[kind])
    path = newest(folder)
    if path is None:
        raise InputError(f"{folder}: no checkpoint; train first, with --workdir={run}")
    load(path, {"network": network})
    return path


def load(path: str, parts: dict) -> None:
    """Load trackables out of a checkpoint, which may hold more than these.

    Args:
      path: of `newest`; parts: {name: trackable}, each of which must be there to the last variable.

    Raises:
      InputError: a checkpoint of another network.
    """
    try:
        # Partial only lest TensorFlow tells of a mismatch in a line per variable.
        status = tf.train.Checkpoint(**parts).read(path).expect_partial()
        status.assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        tf.get_logger().setLevel("ERROR")  # it would name every variable left
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: a checkpoint of another network ({reason}); give another --workdir"
        ) from error


def tagged(values: dict[str, float]) -> dict[str, float]:
    """Rename the losses and health figures of a step to their tags in TensorBoard."""
    groups = {name: "loss" for name in (*losses.TERMS, "total")}
    return {f"{groups.get(name, 'run')}/{name}": value for name, value in values.items()}


class Events:
    """The writers of a run folder: `train` and `validation`."""

    def __init__(self, workdir: str) -> None:
        self._folder = os.path.join(workdir, "tensorboard")
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(
        self, name: str, step: int, scalars: dict[str, float], images: dict | None = None
    ) -> None:
        """Write {tag: number} and {tag: uint8 image [1, H, W, 3]} of a step, and flush.

        Raises:
          InputError: no file can be made. TensorFlow does not tell when one cannot grow.
        """
        with _kept(self._folder, step):
            if name not in self._writers:
                path = os.path.join(self._folder, name)
                self._writers[name] = tf.summary.create_file_writer(path)
            with self._writers[name].as_default(step):
                for tag, value in scalars.items():
                    tf.summary.scalar(tag, value)
                for tag, value in (images or {}).items():
                    tf.summary.image(tag, value)
            self._writers[name].flush()

    def trim(self, name: str, last: int) -> None:
        """Remove the points after step `last` from a writer's files: they will be written again."""
        for path in pathlib.Path(self._folder, name).glob(EVENTS):
            events = list(_events(path))
            kept = [serialized for serialized, event in events if event.step <= last]
            if len(kept) < len(events):
                # Without `tfevents` in its name TensorBoard does not read it.
                partial = path.with_name(".trim.tmp")
                with tf.io.TFRecordWriter(str(partial)) as writer:
                    for serialized in kept:
                        writer.write(serialized)
                partial.replace(path)


def _events(path):
    """Yield (bytes, Event) of the complete records; a killed run may leave a partial one."""
    with contextlib.suppress(tf.errors.DataLossError):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield serialized, event_pb2.Event.FromString(serialized)
