"""Settings of a run: frozen dataclasses, each of whose fields is an absl flag of the
same name.

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
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import MAX_SIDE, InputError
from a2d_tf.core.files import write_text

PRECISIONS = ["float32", "mixed_bfloat16"]
NORMS = ["frozen_bn", "frozen_stats", "group_norm", "none"]
EVALUATION_BATCH = 8
_MAX_ANCHOR_SIZES = 8  # of a pyramid level
_CHANNELS = (8, 2048)
_COUNT = (1, None)
_POSITIVE = (0, None)
_SHARE = (0, 1)


def _setting(default, values):
    """Return a field; `values` is a list of choices, or (lowest, highest), None for
    no limit.
    """
    names = (
        ("enum_values",) if isinstance(values, list) else ("lower_bound", "upper_bound")
    )
    # as absl names them
    limits = zip(names, [values] if isinstance(values, list) else values)
    return dataclasses.field(default=default, metadata=dict(limits))


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

    image_height: int = _setting(256, (32, MAX_SIDE))
    image_width: int = _setting(256, (32, MAX_SIDE))
    backbone: str = "resnet101"
    width_multiplier: float = _setting(1.0, (0.125, 4))
    norm: str = _setting("frozen_bn", NORMS)
    flow_norm: str = _setting("frozen_stats", ["same", *NORMS])
    rgb_convention: str = "own"
    flow_convention: str = "own"
    stride_in_1x1: bool = True
    pixel_scale: float = _setting(1.0, (1e-6, 1000))
    flow_scale: float = _setting(16.0, (1e-6, 1000))
    flow_bound: float = _setting(256.0, (0, 1000000))
    fpn_channels: int = _setting(256, _CHANNELS)
    rpn_channels: int = _setting(512, _CHANNELS)
    head_units: int = _setting(1024, (8, 8192))
    mask_channels: int = _setting(256, _CHANNELS)
    mask_layers: int = _setting(4, (0, 32))
    anchor_sizes: str = "16+32,64,128,256,512"
    use_flow: bool = True
    temporal_layers: int = _setting(1, (0, 64))
    temporal_init: str = _setting("random", ["random", "identity"])
    fusion: str = _setting("mid", ["mid", "late"])
    action_topdown: str = _setting("shared", ["shared", "separate", "own_backbone"])
    use_mask: bool = True
    mask_image: bool = False
    use_refiner: bool = False
    refiner_backbone: str = ""
    refiner_size: int = _setting(128, (32, 1024))
    refiner_channels: int = _setting(64, (4, 1024))
    label_mode: str = _setting("decoupled", ["decoupled", "cartesian", "hierarchical"])
    action_background: bool = True
    readout: bool = False
    roi_align: str = _setting("aligned", ["aligned", "legacy"])

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

    test_proposals: int = _setting(1000, (1, 100000))
    proposals_before_nms: int = _setting(10000, (1, 1000000))
    score_threshold: float = _setting(-1.0, (-1, 1))
    nms_threshold: float = _setting(0.3, _SHARE)
    max_detections: int = _setting(100, (1, 10000))
    action_threshold: float = _setting(0.0, _SHARE)


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
        once), lite0 (from a package), or a file of a2d import-weights.
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

    seed: int = _setting(0, (0, 2**32 - 1))
    batch_size: int = _setting(8, (1, 65536))
    steps: int = _setting(60000, (1, 10**9))
    learning_rate: float = _setting(2e-4, _POSITIVE)
    backbone_rate: float = _setting(1.0, _SHARE)
    schedule: str = _setting("constant", ["constant", "cosine"])
    warmup_steps: int = _setting(1000, _POSITIVE)
    optimizer: str = _setting("sgd", ["sgd", "adam"])
    momentum: float = _setting(0.9, _SHARE)
    weight_decay: float = _setting(1e-4, _POSITIVE)
    clip_norm: float = _setting(5.0, _POSITIVE)
    average_decay: float = _setting(0.999, (0, 0.99999))
    lambda_objectness: float = _setting(1.0, _POSITIVE)
    lambda_box_reg: float = _setting(1.0, _POSITIVE)
    lambda_actor_cls: float = _setting(1.0, _POSITIVE)
    lambda_action_cls: float = _setting(1.0, _POSITIVE)
    lambda_mask: float = _setting(1.0, _POSITIVE)
    zero_shot_actor: str = ""
    train_phase: str = _setting("joint", ["joint", "actor", "action", "refiner"])
    init_run: str = ""
    init_checkpoint: str = ""
    init_rgb: str = ""
    init_flow: str = ""
    rpn_samples: int = _setting(256, (2, 1000000))
    rpn_beta: float = _setting(0.0, (0, 100))
    rpn_box_normaliser: str = _setting("positives", ["samples", "positives"])
    box_normaliser: str = _setting("samples", ["samples", "positives"])
    train_proposals: int = _setting(2000, (1, 100000))
    train_proposals_before_nms: int = _setting(10000, (1, 1000000))
    roi_samples: int = _setting(64, (2, 100000))
    positive_fraction: float = _setting(1 / 3, _SHARE)
    add_truth_rois: bool = True
    max_instances: int = _setting(25, (1, 10000))
    val_fraction: float = _setting(0.1, _SHARE)
    flip: bool = True
    scale_jitter: float = _setting(0.2, (0, 0.9))
    colour_jitter: float = _setting(0.1, _SHARE)
    shuffle_buffer: int = _setting(1000, (1, 1000000))
    log_every: int = _setting(20, _COUNT)
    validate_every: int = _setting(3000, _COUNT)
    checkpoint_every: int = _setting(1000, _COUNT)
    deterministic: bool = True
    strategy: str = _setting("none", ["none", "mirrored"])
    replicas: int = _setting(0, _POSITIVE)

    @property
    def evaluation_batch(self) -> int:
        """Clips per device in evaluation; `batch_size` may count those of many
        devices.
        """
        return min(self.batch_size, EVALUATION_BATCH)


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
    """How the network is computed; runs with the same weights may differ in these.

    Attributes:
      precision: Precision of the activations; weights, boxes, scores and losses are
        float32.
    """

    precision: str = _setting("float32", PRECISIONS)


SECTIONS = {
    "model": ModelConfig,
    "inference": InferenceConfig,
    "training": TrainingConfig,
    "compute": ComputeConfig,
}


def help_of(section: type) -> dict[str, str]:
    """Return {setting: help of its flag} of a section, from the attributes in its
    docstring.
    """
    doc = inspect.cleandoc(section.__doc__ or "")
    found = re.findall(r"^  (\w+): (.*(?:\n {4}.*)*)", doc, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


_KINDS = {"int": "integer", "str": "string"}  # as absl names them


def parse_anchors(text: str) -> tuple[tuple[float, ...], ...]:
    """Parse --anchor_sizes: a side in pixels for each of P2 to P6, or several, as 8+16.

    Returns:
      five tuples of floats, each ascending.

    Raises:
      InputError: not five levels, too many sizes in one, or sizes not positive and
        ascending.
    """
    try:
        levels = tuple(tuple(map(float, sizes.split("+"))) for sizes in text.split(","))
    except ValueError:
        levels = ()
    # Ascending, because levels share the weights of their largest anchors.
    ascending = all(a < b for sizes in levels for a, b in zip((0.0, *sizes), sizes))
    within = all(
        len(sizes) <= _MAX_ANCHOR_SIZES and sizes[-1] <= MAX_SIDE for sizes in levels
    )
    if len(levels) != 5 or not ascending or not within:
        raise InputError(
            f"--anchor_sizes={text}: use five sizes, or up to {_MAX_ANCHOR_SIZES} per"
            " level: 8+16"
        )
    return levels


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
            # --help groups flags by the name of their module.
            place = f"{command_line.SETTINGS}{section}"
            texts = help_of(SECTIONS[section])
            for field in dataclasses.fields(SECTIONS[section]):
                kind = "enum" if "enum_values" in field.metadata else str(field.type)
                limits = {**field.metadata, "help": texts[field.name]}
                define = getattr(flag_values, _KINDS.get(kind, kind))
                define(field.name, field.default, **limits, module_name=place)

    @staticmethod
    def define_checkpoint(flag_values: command_line.Register) -> flags.FlagHolder:
        """Define `--checkpoint` for commands that read a run."""
        text = "Weights of the run to use: the newest, or those of the best validation."
        return flag_values.enum("checkpoint", "last", ["last", "best"], text)

    @staticmethod
    def define_device(flag_values: command_line.Register) -> flags.FlagHolder:
        """Define `--device` for commands that compute.

        It depends on the machine, so it is no setting of a run and not in `flags.txt`.
        """
        text = (
            "Device to compute on; auto: the GPU if the machine has one, else the CPU."
        )
        return flag_values.enum("device", "auto", ["auto", "cpu", "gpu"], text)

    @classmethod
    def from_flags(cls, flag_values: command_line.Register) -> Config:
        """Return the settings that the parsed flags give; InputError where settings
        contradict each other.
        """
        sections = {}
        for section, kind in SECTIONS.items():
            values = {
                f.name: flag_values[f.name].value for f in dataclasses.fields(kind)
            }
            sections[section] = kind(**values)
            for name, value in values.items():
                # no bound holds for NaN
                if isinstance(value, float) and not math.isfinite(value):
                    raise InputError(f"--{name}={value} is not finite")
        config = cls(**sections)
        parse_anchors(config.model.anchor_sizes)
        problem = _contradiction(config.model, config.training)
        if problem:
            raise InputError(problem)
        return config

    @classmethod
    def read(cls, path: str | os.PathLike) -> Config:
        """Read the settings of a flagfile, such as a run's `flags.txt`; errors as of
        `parse`.
        """
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
        lines = [
            x for name in SECTIONS for x in (f"# {name}", *_words(getattr(self, name)))
        ]
        write_text(path, "\n".join(lines) + "\n")

    @staticmethod
    def given(flag_values: command_line.Register, *sections: str) -> dict[str, Any]:
        """Return the flags of sections that the command line or a flagfile gives:
        {name: value}.
        """
        fields = [
            field
            for section in sections
            for field in dataclasses.fields(SECTIONS[section])
        ]
        names = [field.name for field in fields if field.name in flag_values]
        return {
            name: flag_values[name].value for name in names if flag_values[name].present
        }

    def with_inference(self, **settings: Any) -> Config:
        """Return these settings with some of inference and computing replaced."""
        compute = {
            name: settings.pop(name) for name in vars(self.compute) if name in settings
        }
        inference = dataclasses.replace(self.inference, **settings)
        computing = dataclasses.replace(self.compute, **compute)
        return dataclasses.replace(self, inference=inference, compute=computing)

    def checked(self) -> Config:
        """Return the settings; InputError where one is out of range, or contradicts
        another.
        """
        return Config.parse(
            [word for name in SECTIONS for word in _words(getattr(self, name))]
        )


def _words(section):
    fields = dataclasses.asdict(section).items()
    return [f"--{k}={str(v).lower() if type(v) is bool else v}" for k, v in fields]


def _contradiction(model, training):
    """Return how settings contradict each other; None where they do not."""
    for name in ("image_height", "image_width", "refiner_size"):
        if getattr(model, name) % 32:
            return f"--{name}={getattr(model, name)} must be a multiple of 32"
    if model.readout and model.label_mode != "decoupled":
        return "--readout needs --label_mode=decoupled; or use --readout=false"
    phase, cartesian = training.train_phase, model.label_mode == "cartesian"
    starts = (
        training.init_run,
        training.init_checkpoint,
        training.init_rgb or training.init_flow,
    )
    before, most = training.train_proposals_before_nms, training.train_proposals
    if model.fusion == "late" and not model.use_flow:
        return "--fusion=late joins two streams; it needs --use_flow"
    if model.fusion == "late" and cartesian:
        return "--fusion=late joins action heads; --label_mode=cartesian has none"
    if model.use_refiner and model.use_mask:
        return "--use_refiner replaces the mask head; it needs --use_mask=false"
    if before < most:
        return (
            f"--train_proposals_before_nms={before} is less than"
            f" --train_proposals={most}"
        )
    if training.replicas and training.strategy != "mirrored":
        return "--replicas needs --strategy=mirrored"
    if sum(map(bool, starts)) > 1:
        return (
            "use one of --init_run, --init_checkpoint, --init_rgb (an empty value"
            " unsets it)"
        )
    imported = training.init_rgb and (training.init_flow or not model.use_flow)
    if not (training.backbone_rate or any(starts[:2]) or imported):
        return (
            "--backbone_rate=0 keeps loaded weights; set --init_rgb and --init_flow, or"
            " a run"
        )
    if training.init_flow and not model.use_flow:
        return "--init_flow initialises the motion stream; it needs --use_flow"
    if training.zero_shot_actor and model.label_mode != "decoupled":
        return f"--zero_shot_actor needs --label_mode=decoupled, not {model.label_mode}"
    if phase == "refiner" and not model.use_refiner:
        return "--train_phase=refiner trains the refiner; it needs --use_refiner"
    if phase in ("action", "refiner") and not training.init_run:
        return f"--train_phase={phase} freezes the actor branch; it needs --init_run"
    if phase == "action" and cartesian:
        return "--train_phase=action: cartesian labels have no action head"
    return None
