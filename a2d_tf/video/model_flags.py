"""Flags of a prediction that name its model or its detector."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

from a2d_tf.core.command import command_flags
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import model_source, run_folder
from a2d_tf.runs.model_source import ModelSource
from a2d_tf.video.predictors import (
    detector_predictor,
    kinetics_actions,
    object_detector,
    predictor,
)
from a2d_tf.video.predictors.detector_classes import DetectorClasses
from a2d_tf.video.predictors.network_predictor import LoadedModel

_DETECTOR = "detector"
_MARKS = {"saved_model": object_detector.GRAPH, "workdir": run_folder.FLAGS}
"""{flag of a folder: the file that every such folder has}."""
_IN_ROUND = {"saved_model": "model", "workdir": "run"}
"""{flag of a folder: the name of this folder in the output of a2d start}."""


@dataclasses.dataclass(frozen=True)
class ModelFlags:
    """The flags of a prediction that name its model or its detector.

    Attributes:
      register: the register of the flags, which holds their values once they are
        parsed.
    """

    register: Register

    @classmethod
    def define(cls, register: Register) -> ModelFlags:
        """Define the flags in the register of a command.

        These are --saved_model, --workdir, --model, --checkpoint, --init_rgb, --actors,
        --detector, --actions and --device.
        """
        register.define_string(
            "saved_model", None, "Folder of a SavedModel that a2d export wrote."
        )
        command_flags.define_workdir(register)
        command_flags.define_packed_model(register)
        command_flags.define_checkpoint(register)
        register.define_string(
            "init_rgb", None, "Weights of a detector: coco, or a file of a2d weights."
        )
        register.define_list(
            "actors",
            [],
            "Classes that the detector finds, as CLASS or NAME=CLASS; by default all of"
            " COCO, or the actors of the model. A class of --detector may be a number;"
            " =CLASS leaves the name to the model.",
        )
        register.define_string(
            _DETECTOR,
            None,
            "SavedModel of TensorFlow's Object Detection API, whose boxes are labelled"
            " in place of the model's own.",
        )
        register.define_list(
            "actions",
            [],
            "With --detector and no model: kinetics, to label people with its 400"
            " actions, or some of these, as CLASS or NAME=CLASS.",
        )
        command_flags.define_device(register)
        return cls(register)

    def source(self) -> ModelSource:
        """Return the model that the flags name; without a model, the detector.

        Returns:
          the name of the flag that names it, and its path.

        Raises:
          InputError: the flags name no model or several, --actors has nothing to choose
            from, or a folder does not fit its flag.
        """
        flags = self.register
        values: dict[str, str | None] = {
            "saved_model": flags.saved_model,
            "workdir": flags.workdir,
            "model": flags.model,
            "init_rgb": flags.init_rgb,
        }
        has_checkpoint = flags["checkpoint"].present
        if flags.detector and not any(values.values()):
            if has_checkpoint:
                raise InputError(
                    "--checkpoint selects a run's weights; it needs --workdir"
                )
            source = ModelSource(_DETECTOR, os.path.normpath(flags.detector))
        else:
            source = model_source.of_flags(has_checkpoint, **values)
        if flags.actors and not (flags.init_rgb or flags.detector):
            raise InputError(
                "--actors names classes of COCO's weights; it needs --init_rgb=coco, or"
                " --detector"
            )
        for flag in _MARKS:
            folder = values[flag]
            if folder:
                _check_folder(flag, folder)
        return source

    def check_detector(self, source: ModelSource) -> None:
        """Check that --detector and --actions agree with the other flags.

        Args:
          source: the model, the result of `source`.

        Raises:
          InputError: a flag has no effect with --detector or without it, a class is
            unknown, or --detector is no SavedModel.
        """
        flags = self.register
        if not flags.detector:
            if flags.actions:
                raise InputError(
                    "--actions labels the boxes of --detector, which is missing"
                )
            return
        object_detector.check_path(flags.detector)
        if flags.init_rgb:
            raise InputError(
                "--detector and --init_rgb both find boxes; leave out one of both"
            )
        if flags.actions and source.flag != _DETECTOR:
            raise InputError(
                f"--actions: the model of --{source.flag} says what is done; leave out"
                " one of both"
            )
        if source.flag == _DETECTOR:  # errors come before any output
            DetectorClasses.parse(flags.actors)
            kinetics_actions.chosen_classes(flags.actions)
        for name in Config.named_settings(flags, "inference"):
            if name != "score_threshold":
                raise InputError(
                    f"--detector finds the instances, so --{name} has nothing to do;"
                    " leave out one of both"
                )

    def loader(self, source: ModelSource) -> Callable[[], LoadedModel]:
        """Return a function without arguments that loads the model or the detector.

        It can be pickled, so that another process can call it.

        Args:
          source: the model, the result of `source`.
        """
        flags = self.register
        if not flags.detector:
            return functools.partial(
                predictor.load,
                source.flag,
                source.path,
                actors=flags.actors,
                **self.loading(),
            )
        model = None
        if source.flag != _DETECTOR:
            model = source.path
        return functools.partial(
            detector_predictor.load,
            flags.detector,
            model,
            actors=flags.actors,
            actions=flags.actions,
            **self.loading(),
        )

    def loading(self) -> dict[str, Any]:
        """Return the keyword arguments that all functions which load a model share.

        Returns:
          {"checkpoint", "device", "settings": the settings of inference and computing
          that the user set}.
        """
        return {
            "checkpoint": self.register.checkpoint,
            "device": self.register.device,
            "settings": Config.named_settings(self.register, "inference", "compute"),
        }

    def recorded(self, source: ModelSource) -> dict[str, Any]:
        """Return the flags by which predictions of one model differ.

        Args:
          source: the model, the result of `source`, whose own identity is not
            included.

        Returns:
          {name of a flag: its value}; "detector" has the name and digest of a detector.
        """
        flags = self.register
        settings: dict[str, Any] = Config.named_settings(flags, "inference", "compute")
        if flags.workdir:
            settings["checkpoint"] = flags.checkpoint
        settings["actors"] = ",".join(flags.actors) or None
        if flags.actions:
            settings["actions"] = ",".join(flags.actions)
        if flags.detector and source.flag != _DETECTOR:
            identity = model_source.identity(flags.detector)
            digest = identity["model_sha256"][:16]
            settings["detector"] = f"{identity['model']} {digest}"
        return settings


def _check_folder(flag: str, folder: str) -> None:
    """Raise InputError unless a folder fits its flag."""
    mark = _MARKS[flag]
    if os.path.isfile(os.path.join(folder, mark)):
        return
    if not os.path.exists(folder):
        raise InputError(f"--{flag}={folder}: no such folder; correct the path")
    inside = os.path.join(folder, _IN_ROUND[flag])
    if os.path.isfile(os.path.join(inside, mark)):
        raise InputError(
            f"--{flag}={folder}: the output of a2d start; use --{flag}={inside}"
        )
    raise InputError(
        f"--{flag}={folder}: no {mark} there; --saved_model takes a folder of a2d"
        " export, --workdir one of a2d train"
    )
