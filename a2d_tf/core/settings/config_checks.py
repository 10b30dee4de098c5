"""Check that the settings of a run do not contradict one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings import anchor_sizes

if TYPE_CHECKING:
    from a2d_tf.core.settings.config import ModelConfig, TrainingConfig


def check(model: ModelConfig, training: TrainingConfig) -> None:
    """Check that the settings of a network and of its training fit together.

    Args:
      model: the settings of the network's structure.
      training: the settings of its training.

    Raises:
      InputError: two settings contradict each other, such as --flow_histograms without
        --readout, or a value does not fit the network, such as a side of the input that
        is no multiple of 32. The message names the flags.
    """
    _check_model(model)
    _check_training(training, model)


def _check_model(model: ModelConfig) -> None:
    """Raise InputError if settings of the network contradict each other."""
    anchor_sizes.parse(model.anchor_sizes)
    is_cartesian = model.label_mode == "cartesian"
    for name in ("image_height", "image_width", "refiner_size"):
        if getattr(model, name) % 32:
            raise InputError(
                f"--{name}={getattr(model, name)} must be a multiple of 32"
            )
    if model.readout and model.label_mode != "decoupled":
        raise InputError(
            "--readout needs --label_mode=decoupled; or use --readout=false"
        )
    if model.action_backbone and not model.readout:
        raise InputError(
            f"--action_backbone={model.action_backbone} is read by --readout, which is"
            " off"
        )
    if model.flow_histograms and not model.readout:
        raise InputError("--flow_histograms is read by --readout, which is off")
    if model.fusion == "late" and not model.use_flow:
        raise InputError("--fusion=late joins two streams; it needs --use_flow")
    if model.fusion == "late" and is_cartesian:
        raise InputError(
            "--fusion=late joins action heads; --label_mode=cartesian has none"
        )
    if model.use_refiner and model.use_mask:
        raise InputError(
            "--use_refiner replaces the mask head; it needs --use_mask=false"
        )


def _check_training(training: TrainingConfig, model: ModelConfig) -> None:
    """Raise InputError if settings of the training contradict others."""
    if training.train_proposals_before_nms < training.train_proposals:
        raise InputError(
            f"--train_proposals_before_nms={training.train_proposals_before_nms} is"
            f" less than --train_proposals={training.train_proposals}"
        )
    if training.replicas and training.strategy != "mirrored":
        raise InputError("--replicas needs --strategy=mirrored")
    _check_initial_weights(training, model)
    if training.zero_shot_actor and model.label_mode != "decoupled":
        raise InputError(
            f"--zero_shot_actor needs --label_mode=decoupled, not {model.label_mode}"
        )
    phase = training.train_phase
    if phase == "refiner" and not model.use_refiner:
        raise InputError(
            "--train_phase=refiner trains the refiner; it needs --use_refiner"
        )
    if phase in ("action", "refiner") and not training.init_run:
        raise InputError(
            f"--train_phase={phase} freezes the actor branch; it needs --init_run"
        )
    if phase == "action" and model.label_mode == "cartesian":
        raise InputError("--train_phase=action: cartesian labels have no action head")


def _check_initial_weights(training: TrainingConfig, model: ModelConfig) -> None:
    """Raise InputError if the settings of initial weights contradict each other."""
    has_run = bool(training.init_run or training.init_checkpoint)
    has_public = bool(training.init_rgb or training.init_flow)
    if (training.init_run and training.init_checkpoint) or (has_run and has_public):
        raise InputError(
            "use one of --init_run, --init_checkpoint, --init_rgb (an empty value"
            " unsets it)"
        )
    initialises_backbones = has_run or (
        training.init_rgb and (training.init_flow or not model.use_flow)
    )
    if training.backbone_rate == 0 and not initialises_backbones:
        raise InputError(
            "--backbone_rate=0 keeps loaded weights; set --init_rgb and --init_flow, or"
            " a run"
        )
    if training.init_flow and not model.use_flow:
        raise InputError(
            "--init_flow initialises the motion stream; it needs --use_flow"
        )
