"""Settings of a run: frozen dataclasses; each field is an absl flag of the same name.

The defaults are those of `configs/a2d.flags`: the paper's values where it gives them,
ours where it does not (docs/paper.md). A run folder stores its resolved settings in
`flags.txt`, which `Config.read` reads back and `--flagfile` accepts.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.core.limits import MAX_SIDE

PRECISIONS = ["float32", "mixed_bfloat16"]
NORMS = ["frozen_bn", "frozen_stats", "group_norm", "none"]
EVALUATION_BATCH = 8
_MAX_ANCHOR_SIZES = 8  # of a pyramid level


def _choice(default, choices):
    """Define a setting that has one of some values."""
    return dataclasses.field(default=default, metadata={"enum_values": choices})


def _number(default, least=None, most=None):
    """Define a setting with a lowest and a highest value, None for no limit."""
    limits = {"lower_bound": least, "upper_bound": most}  # as absl names them
    return dataclasses.field(default=default, metadata=limits)


def _not_negative(default):
    """Define a setting that is not negative."""
    return _number(default, least=0)


def _share(default):
    """Define a setting from 0 to 1."""
    return _number(default, least=0, most=1)


def _channels(default):
    """Define a number of channels."""
    return _number(default, least=8, most=2048)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network's structure. Two runs can exchange weights if these agree.

    Attributes:
      image_height: Input height in pixels, a multiple of 32.
      image_width: Input width in pixels, a multiple of 32.
      backbone: Backbone of both streams.
      width_multiplier: Factor on the backbone's channels.
      norm: Normalisation of the backbones, and of heads that have one: frozen batch
        norm; batch norm with frozen statistics and trained scale and offset; group
        norm; none.
      flow_norm: Normalisation of the motion backbone; same: as --norm.
      rgb_convention: Convention of the appearance branch's pretrained weights;
        --init_rgb sets it.
      flow_convention: Convention of the motion backbone's weights; --init_flow sets it.
      stride_in_1x1: Put the stride of a ResNet stage into its first 1x1 convolution,
        not the 3x3 (convention own).
      pixel_scale: Factor on mean-subtracted RGB (convention own).
      flow_scale: Factor on the flow in pixels per frame.
      flow_bound: Maximum length of a scaled flow vector; 0: no limit.
      fpn_channels: Channels of the feature pyramids.
      rpn_channels: Channels of the proposal network.
      head_units: Units of the actor and action heads' layers.
      mask_channels: Channels of the mask head.
      mask_layers: 3x3 convolutions in the mask head.
      anchor_sizes: Side of the anchors of pyramid levels P2 to P6 in pixels; 8+16 for
        two per level.
      use_flow: Use the motion stream (section 3.2).
      temporal_layers: Number L of convolutions over time; the network sees 2L + 1
        frames.
      temporal_init: Initial weights of the convolutions over time.
      fusion: Fuse appearance and motion in the middle or late (section 3.2).
      action_topdown: Top-down pathway over RGB of the action branch: the actor
        branch's, its own, or its own over a backbone of its own.
      use_mask: Use the mask head; otherwise paint label maps from boxes.
      mask_image: Also feed the pixels inside the box to the mask head.
      use_refiner: Segment each box with a separate network in place of the mask head
        (section 4.3).
      refiner_backbone: Backbone of the refiner, up to C4; empty: that of both streams.
      refiner_size: Side of the refiner's input, a multiple of 32.
      refiner_channels: Channels of the refinement modules.
      label_mode: Probability of a pair: p(actor) p(action); one softmax over pairs; or
        p(actor) p(action | actor).
      action_background: Give the action head a background class and train it on all
        RoIs; otherwise on positive RoIs only (--label_mode=decoupled).
      readout: Read actors and actions of instances from the loaded, then frozen weights
        of the appearance backbone, by a linear layer fitted in closed form, for few
        training videos (--label_mode=decoupled).
      roi_align: Sampling grid and levels of RoIAlign; legacy: matterport's (convention
        own).
    """

    image_height: int = _number(256, least=32, most=MAX_SIDE)
    image_width: int = _number(256, least=32, most=MAX_SIDE)
    backbone: str = "resnet101"
    width_multiplier: float = _number(1.0, least=0.125, most=4)
    norm: str = _choice("frozen_bn", NORMS)
    flow_norm: str = _choice("frozen_stats", ["same", *NORMS])
    rgb_convention: str = "own"
    flow_convention: str = "own"
    stride_in_1x1: bool = True
    pixel_scale: float = _number(1.0, least=1e-6, most=1000)
    flow_scale: float = _number(16.0, least=1e-6, most=1000)
    flow_bound: float = _number(256.0, least=0, most=1000000)
    fpn_channels: int = _channels(256)
    rpn_channels: int = _channels(512)
    head_units: int = _number(1024, least=8, most=8192)
    mask_channels: int = _channels(256)
    mask_layers: int = _number(4, least=0, most=32)
    anchor_sizes: str = "16+32,64,128,256,512"
    use_flow: bool = True
    temporal_layers: int = _number(1, least=0, most=64)
    temporal_init: str = _choice("random", ["random", "identity"])
    fusion: str = _choice("mid", ["mid", "late"])
    action_topdown: str = _choice("shared", ["shared", "separate", "own_backbone"])
    use_mask: bool = True
    mask_image: bool = False
    use_refiner: bool = False
    refiner_backbone: str = ""
    refiner_size: int = _number(128, least=32, most=1024)
    refiner_channels: int = _number(64, least=4, most=1024)
    label_mode: str = _choice("decoupled", ["decoupled", "cartesian", "hierarchical"])
    action_background: bool = True
    readout: bool = False
    roi_align: str = _choice("aligned", ["aligned", "legacy"])

    @property
    def frames(self) -> int:
        """Number of frames the network sees, 2L + 1."""
        return 2 * self.temporal_layers + 1

    @property
    def motion_norm(self) -> str:
        """Normalisation of the motion backbone, one of NORMS."""
        return self.norm if self.flow_norm == "same" else self.flow_norm

    @property
    def anchors(self) -> tuple[tuple[float, ...], ...]:
        """Anchor sizes of each of the levels P2 to P6; see `parse_anchors`."""
        return parse_anchors(self.anchor_sizes)


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
    """How outputs become instances and label maps; can be changed after training.

    Attributes:
      test_proposals: Proposals per frame at inference.
      proposals_before_nms: Anchors per frame that enter the proposals' NMS at
        inference.
      score_threshold: Minimum p(actor) of an instance (cartesian labels: p(pair)); -1:
        as chosen in validation.
      nms_threshold: IoU threshold of the NMS over instances.
      max_detections: Maximum instances per frame.
      action_threshold: Minimum p(action) of a reported instance; 0 keeps all.
    """

    test_proposals: int = _number(1000, least=1, most=100000)
    proposals_before_nms: int = _number(10000, least=1, most=1000000)
    score_threshold: float = _number(-1.0, least=-1, most=1)
    nms_threshold: float = _share(0.3)
    max_detections: int = _number(100, least=1, most=10000)
    action_threshold: float = _share(0.0)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained (paper, sections 3.3 and 4).

    Attributes:
      seed: Seed of initial weights, data order, augmentation and sampling.
      batch_size: Clips per training step.
      steps: Number of training steps.
      learning_rate: Peak learning rate.
      backbone_rate: Factor on the learning rate of the backbones; 0 keeps their
        weights.
      schedule: Learning rate after warm-up.
      warmup_steps: Steps of linear warm-up of the learning rate.
      optimizer: SGD with momentum, or Adam; both with decoupled weight decay.
      momentum: Momentum of SGD.
      weight_decay: Weight decay, times the learning rate; norms and biases do not
        decay.
      clip_norm: Maximum norm of the gradient; 0: no limit.
      average_decay: Decay of the running mean of the weights; 0: no averaging.
      lambda_objectness: Lambda 1: weight of the objectness loss.
      lambda_box_reg: Lambda 2: weight of both box losses.
      lambda_actor_cls: Lambda 3: weight of the actor loss.
      lambda_action_cls: Lambda 4: weight of the action loss.
      lambda_mask: Lambda 5: weight of the mask loss.
      zero_shot_actor: Actor whose action labels are withheld from training (section
        4.4).
      train_phase: joint: all but the refiner; actor: the actor branch; action: what
        only the action branch uses; refiner: the refiner.
      init_run: Run folder of the same network to take all weights from.
      init_checkpoint: Run folder, perhaps of another network or labels, to take weights
        of the same name and shape from, and classes by their names.
      init_rgb: Pretrained weights of the appearance branch: coco, imagenet (downloaded
        once), lite0 (from a package), or a file of a2d weights.
      init_flow: Pretrained weights of the motion backbone: a name or a file, as for
        --init_rgb.
      rpn_samples: Anchors per frame in the proposal loss.
      rpn_beta: Beta of the proposals' smooth L1 loss; 0: that of the pretrained
        weights.
      rpn_box_normaliser: Divide the proposals' box loss by the sampled anchors, or by
        four times the positive ones.
      box_normaliser: Divide the actors' box loss by the sampled RoIs, or by four times
        the positive ones.
      train_proposals: Proposals per frame in training.
      train_proposals_before_nms: Anchors per frame that enter the proposals' NMS in
        training.
      roi_samples: RoIs per frame in training.
      positive_fraction: Maximum fraction of positive RoIs.
      add_truth_rois: Add the ground-truth boxes to the training proposals.
      max_instances: Maximum ground-truth instances per frame, largest first.
      val_fraction: Fraction of training videos held out for validation.
      flip: Mirror half of the training clips.
      scale_jitter: Maximum relative zoom in or out, with a shift.
      colour_jitter: Maximum change of brightness and contrast.
      shuffle_buffer: Shuffle buffer size, in records.
      log_every: Steps between TensorBoard points.
      validate_every: Steps between validations.
      checkpoint_every: Steps between checkpoints.
      deterministic: Use deterministic kernels only, so that training can be repeated
        exactly.
      strategy: Train on one device, or on several of this machine, which share each
        batch.
      replicas: Number of GPUs, or of parts of the CPU, for --strategy=mirrored; 0: all
        GPUs.
    """

    seed: int = _number(0, least=0, most=2**32 - 1)
    batch_size: int = _number(8, least=1, most=65536)
    steps: int = _number(60000, least=1, most=10**9)
    learning_rate: float = _not_negative(2e-4)
    backbone_rate: float = _share(1.0)
    schedule: str = _choice("constant", ["constant", "cosine"])
    warmup_steps: int = _not_negative(1000)
    optimizer: str = _choice("sgd", ["sgd", "adam"])
    momentum: float = _share(0.9)
    weight_decay: float = _not_negative(1e-4)
    clip_norm: float = _not_negative(5.0)
    average_decay: float = _number(0.999, least=0, most=0.99999)
    lambda_objectness: float = _not_negative(1.0)
    lambda_box_reg: float = _not_negative(1.0)
    lambda_actor_cls: float = _not_negative(1.0)
    lambda_action_cls: float = _not_negative(1.0)
    lambda_mask: float = _not_negative(1.0)
    zero_shot_actor: str = ""
    train_phase: str = _choice("joint", ["joint", "actor", "action", "refiner"])
    init_run: str = ""
    init_checkpoint: str = ""
    init_rgb: str = ""
    init_flow: str = ""
    rpn_samples: int = _number(256, least=2, most=1000000)
    rpn_beta: float = _number(0.0, least=0, most=100)
    rpn_box_normaliser: str = _choice("positives", ["samples", "positives"])
    box_normaliser: str = _choice("samples", ["samples", "positives"])
    train_proposals: int = _number(2000, least=1, most=100000)
    train_proposals_before_nms: int = _number(10000, least=1, most=1000000)
    roi_samples: int = _number(64, least=2, most=100000)
    positive_fraction: float = _share(1 / 3)
    add_truth_rois: bool = True
    max_instances: int = _number(25, least=1, most=10000)
    val_fraction: float = _share(0.1)
    flip: bool = True
    scale_jitter: float = _number(0.2, least=0, most=0.9)
    colour_jitter: float = _share(0.1)
    shuffle_buffer: int = _number(1000, least=1, most=1000000)
    log_every: int = _number(20, least=1)
    validate_every: int = _number(3000, least=1)
    checkpoint_every: int = _number(1000, least=1)
    deterministic: bool = True
    strategy: str = _choice("none", ["none", "mirrored"])
    replicas: int = _not_negative(0)

    @property
    def evaluation_batch(self) -> int:
        """Clips per device in evaluation; `batch_size` may be for many devices."""
        return min(self.batch_size, EVALUATION_BATCH)


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
    """How the network is computed; runs with the same weights may differ in these.

    Attributes:
      precision: Precision of the activations; weights, boxes, scores and losses are
        float32.
    """

    precision: str = _choice("float32", PRECISIONS)


SECTIONS = {
    "model": ModelConfig,
    "inference": InferenceConfig,
    "training": TrainingConfig,
    "compute": ComputeConfig,
}


def help_of(section: type) -> dict[str, str]:
    """Return {setting: help of its flag}, from the docstring of a section."""
    doc = inspect.cleandoc(section.__doc__ or "")
    attributes = re.findall(r"^  (\w+): (.*(?:\n {4}.*)*)", doc, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in attributes}


_DEFINERS: dict[str, Callable[..., flags.FlagHolder]] = {
    "bool": command_line.Register.define_bool,
    "int": command_line.Register.define_integer,
    "float": command_line.Register.define_float,
    "str": command_line.Register.define_string,
    "enum": command_line.Register.define_enum,
}
"""Type of a setting -> what defines its flag."""


def parse_anchors(text: str) -> tuple[tuple[float, ...], ...]:
    """Parse --anchor_sizes: a side in pixels for each of P2 to P6, or several, as 8+16.

    Returns:
      five tuples of floats, each ascending.

    Raises:
      InputError: not five levels, too many sizes in one, or sizes not positive and
        ascending.
    """
    try:
        levels = [tuple(map(float, sizes.split("+"))) for sizes in text.split(",")]
    except ValueError:
        levels = []
    if len(levels) != 5 or not all(map(_are_anchor_sizes, levels)):
        raise InputError(
            f"--anchor_sizes={text}: use five sizes, or up to {_MAX_ANCHOR_SIZES} per"
            " level: 8+16"
        )
    return tuple(levels)


def _are_anchor_sizes(sizes):
    """Return whether a pyramid level can have anchors of these sizes."""
    if len(sizes) > _MAX_ANCHOR_SIZES or not sizes[-1] <= MAX_SIDE:
        return False
    # Ascending, because levels share the weights of their largest anchors.
    return all(lower < upper for lower, upper in zip((0.0, *sizes), sizes))


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run."""

    model: ModelConfig = ModelConfig()
    inference: InferenceConfig = InferenceConfig()
    training: TrainingConfig = TrainingConfig()
    compute: ComputeConfig = ComputeConfig()

    @staticmethod
    def define_flags(
        flag_values: command_line.Register, sections: Iterable[str] = tuple(SECTIONS)
    ) -> None:
        """Define a flag for each field of the named sections."""
        for section in sections:
            help_texts = help_of(SECTIONS[section])
            for field in dataclasses.fields(SECTIONS[section]):
                kind = "enum" if "enum_values" in field.metadata else str(field.type)
                _DEFINERS[kind](
                    flag_values,
                    field.name,
                    field.default,
                    help=help_texts[field.name],
                    # --help groups flags by the name of their module.
                    module_name=f"{command_line.SETTINGS}{section}",
                    **field.metadata,
                )

    @staticmethod
    def define_checkpoint(flag_values: command_line.Register) -> flags.FlagHolder:
        """Define `--checkpoint` for commands that read a run."""
        text = "Weights of the run to use: the newest, or those of the best validation."
        return flag_values.define_enum("checkpoint", "last", ["last", "best"], text)

    @staticmethod
    def define_device(flag_values: command_line.Register) -> flags.FlagHolder:
        """Define `--device` for commands that compute.

        It depends on the machine, so it is no setting of a run and not in `flags.txt`.
        """
        text = (
            "Device to compute on; auto: the GPU if the machine has one, else the CPU."
        )
        return flag_values.define_enum("device", "auto", ["auto", "cpu", "gpu"], text)

    @classmethod
    def from_flags(cls, flag_values: command_line.Register) -> Config:
        """Return the settings of the parsed flags.

        Raises:
          InputError: a setting is not finite, or settings contradict each other.
        """
        sections = {}
        for section, section_class in SECTIONS.items():
            values = {}
            for field in dataclasses.fields(section_class):
                value = flag_values[field.name].value
                # No bound holds for NaN.
                if isinstance(value, float) and not math.isfinite(value):
                    raise InputError(f"--{field.name}={value} is not finite")
                values[field.name] = value
            sections[section] = section_class(**values)
        config = cls(**sections)
        _check_model(config.model)
        _check_training(config.training, config.model)
        return config

    @classmethod
    def read(cls, path: str | os.PathLike) -> Config:
        """Read a flagfile, such as `flags.txt`; raise errors as `parse` does."""
        return cls.parse([f"--flagfile={path}"])

    @classmethod
    def parse(cls, words: Sequence[str]) -> Config:
        """Parse the settings of a command line, `--flagfile` among its words.

        Raises:
          InputError: an unreadable file, a word that is no such flag, or contradicting
            settings.
        """
        flag_values = command_line.Register()
        cls.define_flags(flag_values)
        try:
            command_line.require(command_line.parse(["", *words], flag_values))
        except flags.Error as error:
            raise InputError(str(error)) from error
        return cls.from_flags(flag_values)

    def write(self, path: str | os.PathLike) -> None:
        """Write the settings as a flagfile, atomically."""
        lines = []
        for name in SECTIONS:
            lines.append(f"# {name}")
            lines.extend(_words(getattr(self, name)))
        write_text(path, "\n".join(lines) + "\n")

    @staticmethod
    def given(flag_values: command_line.Register, *sections: str) -> dict[str, Any]:
        """Return {name: value} of the settings that a command line or a flagfile names.

        Args:
          flag_values: the parsed flags.
          sections: names of the sections that are looked at.
        """
        values = {}
        for section in sections:
            for field in dataclasses.fields(SECTIONS[section]):
                if field.name in flag_values and flag_values[field.name].present:
                    values[field.name] = flag_values[field.name].value
        return values

    def with_inference(self, **settings: Any) -> Config:
        """Return a copy in which settings of inference and computing are replaced."""
        compute = {}
        for field in dataclasses.fields(self.compute):
            if field.name in settings:
                compute[field.name] = settings.pop(field.name)
        return dataclasses.replace(
            self,
            inference=dataclasses.replace(self.inference, **settings),
            compute=dataclasses.replace(self.compute, **compute),
        )

    def checked(self) -> Config:
        """Return the same settings, checked as those of a command line are.

        They are written as a command line and parsed, because the flags have the
        limits.

        Raises:
          InputError: a setting is out of range, or contradicts another.
        """
        words = []
        for name in SECTIONS:
            words.extend(_words(getattr(self, name)))
        return Config.parse(words)


def _words(section):
    """Return the settings of a section as words of a command line.

    Numbers are written as Python writes them, so that they are read back exactly.
    """
    words = []
    for name, value in dataclasses.asdict(section).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words.append(f"--{name}={text}")
    return words


def _check_model(model):
    """Raise InputError if settings of the network contradict each other."""
    parse_anchors(model.anchor_sizes)  # which raises it, if they are malformed
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


def _check_training(training, model):
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


def _check_initial_weights(training, model):
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
