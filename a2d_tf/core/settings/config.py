"""The settings of a run, in frozen dataclasses; each field is a flag of the same name.

The defaults are those of `configs/a2d.flags`: the paper's values where it gives them,
ours where it does not (docs/paper.md). A run folder stores its resolved settings in
`flags.txt`, which `Config.read` reads back and `--flagfile` accepts.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

from a2d_tf.core.command import flagfiles
from a2d_tf.core.command.register import Register
from a2d_tf.core.files import write_text
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.core.settings import anchor_sizes, config_checks, setting_flags
from a2d_tf.core.settings.setting import channels, not_negative, setting, share

PRECISIONS = ["float32", "mixed_bfloat16"]
NORMS = ["frozen_bn", "frozen_stats", "group_norm", "none"]
EVALUATION_BATCH = 8


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network's structure. Two runs can exchange weights if these settings agree.

    The help of each field says what it means; `a2d train --help` prints all.
    """

    image_height: int = setting(
        256, "Input height in pixels, a multiple of 32.", least=32, most=MAX_SIDE
    )
    image_width: int = setting(
        256, "Input width in pixels, a multiple of 32.", least=32, most=MAX_SIDE
    )
    backbone: str = setting("resnet101", "Backbone of both streams.")
    width_multiplier: float = setting(
        1.0, "Factor on the backbone's channels.", least=0.125, most=4
    )
    norm: str = setting(
        "frozen_bn",
        "Normalisation of the backbones, and of heads that have one: frozen batch "
        "norm; batch norm with frozen statistics and trained scale and offset; group "
        "norm; none.",
        choices=NORMS,
    )
    flow_norm: str = setting(
        "frozen_stats",
        "Normalisation of the motion backbone; same: as --norm.",
        choices=["same", *NORMS],
    )
    rgb_convention: str = setting(
        "own",
        "Convention of the appearance branch's pretrained weights; --init_rgb sets it.",
    )
    flow_convention: str = setting(
        "own", "Convention of the motion backbone's weights; --init_flow sets it."
    )
    stride_in_1x1: bool = setting(
        True,
        "Put the stride of a ResNet stage into its first 1x1 convolution, not the 3x3 "
        "(convention own).",
    )
    pixel_scale: float = setting(
        1.0, "Factor on mean-subtracted RGB (convention own).", least=1e-6, most=1000
    )
    flow_scale: float = setting(
        16.0, "Factor on the flow in pixels per frame.", least=1e-6, most=1000
    )
    flow_bound: float = setting(
        256.0,
        "Maximum length of a scaled flow vector; 0: no limit.",
        least=0,
        most=1000000,
    )
    fpn_channels: int = channels(256, "Channels of the feature pyramids.")
    rpn_channels: int = channels(512, "Channels of the proposal network.")
    head_units: int = setting(
        1024, "Units of the actor and action heads' layers.", least=8, most=8192
    )
    mask_channels: int = channels(256, "Channels of the mask head.")
    mask_layers: int = setting(
        4, "3x3 convolutions in the mask head.", least=0, most=32
    )
    anchor_sizes: str = setting(
        "16+32,64,128,256,512",
        "Side of the anchors of pyramid levels P2 to P6 in pixels; 8+16 for two per "
        "level.",
    )
    use_flow: bool = setting(True, "Use the motion stream (section 3.2).")
    temporal_layers: int = setting(
        1,
        "Number L of convolutions over time; the network sees 2L + 1 frames.",
        least=0,
        most=64,
    )
    temporal_init: str = setting(
        "random",
        "Initial weights of the convolutions over time.",
        choices=["random", "identity"],
    )
    fusion: str = setting(
        "mid",
        "Fuse appearance and motion in the middle or late (section 3.2).",
        choices=["mid", "late"],
    )
    action_topdown: str = setting(
        "shared",
        "Top-down pathway over RGB of the action branch: the actor branch's, its own, "
        "or its own over a backbone of its own.",
        choices=["shared", "separate", "own_backbone"],
    )
    use_mask: bool = setting(
        True, "Use the mask head; otherwise paint label maps from boxes."
    )
    mask_image: bool = setting(
        False, "Also feed the pixels inside the box to the mask head."
    )
    use_refiner: bool = setting(
        False,
        "Segment each box with a separate network in place of the mask head (section "
        "4.3).",
    )
    refiner_backbone: str = setting(
        "", "Backbone of the refiner, up to C4; empty: that of both streams."
    )
    refiner_size: int = setting(
        128, "Side of the refiner's input, a multiple of 32.", least=32, most=1024
    )
    refiner_channels: int = setting(
        64, "Channels of the refinement modules.", least=4, most=1024
    )
    label_mode: str = setting(
        "decoupled",
        "Probability of a pair: p(actor) p(action); one softmax over pairs; or "
        "p(actor) p(action | actor).",
        choices=["decoupled", "cartesian", "hierarchical"],
    )
    action_background: bool = setting(
        True,
        "Give the action head a background class and train it on all RoIs; otherwise "
        "on positive RoIs only (--label_mode=decoupled).",
    )
    readout: bool = setting(
        False,
        "Let a readout label actors and actions: a linear layer that is fitted in "
        "closed form to features of the appearance backbone, which keeps its loaded "
        "weights. "
        "It is for few training videos (--label_mode=decoupled).",
    )
    action_backbone: str = setting(
        "",
        "Network whose features of the frames around a key frame also go into the "
        "readout of actions; records must have them; empty: none.",
        choices=["", "i3d"],
    )
    flow_histograms: bool = setting(
        False,
        "Let histograms of optical flow around a key frame also go into the readout of "
        "actions; records must have them.",
    )
    roi_align: str = setting(
        "aligned",
        "Sampling grid and levels of RoIAlign; legacy: matterport's (convention own).",
        choices=["aligned", "legacy"],
    )

    @property
    def frames(self) -> int:
        """Number of frames of a clip that the network sees: 2 * temporal_layers + 1."""
        return 2 * self.temporal_layers + 1

    @property
    def motion_norm(self) -> str:
        """Normalisation of the motion backbone, one of NORMS; 'same' is resolved."""
        return self.norm if self.flow_norm == "same" else self.flow_norm

    @property
    def anchors(self) -> tuple[tuple[float, ...], ...]:
        """Sides of the anchors in pixels, ascending, for each level from P2 to P6."""
        return anchor_sizes.parse(self.anchor_sizes)


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
    """How outputs of a network become instances and label maps.

    These settings can be changed after training. The help of each field says what it
    means; `a2d train --help` prints all.
    """

    test_proposals: int = setting(
        1000, "Proposals per frame at inference.", least=1, most=100000
    )
    proposals_before_nms: int = setting(
        10000,
        "Anchors per frame that enter the proposals' NMS at inference.",
        least=1,
        most=1000000,
    )
    score_threshold: float = setting(
        -1.0,
        "Minimum p(actor) of an instance (cartesian labels: p(pair)); -1: as chosen "
        "in validation.",
        least=-1,
        most=1,
    )
    nms_threshold: float = share(0.3, "IoU threshold of the NMS over instances.")
    max_detections: int = setting(
        100, "Maximum instances per frame.", least=1, most=10000
    )
    action_threshold: float = share(
        0.0, "Minimum p(action) of a reported instance; 0 keeps all."
    )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained (paper, sections 3.3 and 4).

    The help of each field says what it means; `a2d train --help` prints all.
    """

    seed: int = setting(
        0,
        "Seed of initial weights, data order, augmentation and sampling.",
        least=0,
        most=2**32 - 1,
    )
    batch_size: int = setting(8, "Clips per training step.", least=1, most=65536)
    steps: int = setting(60000, "Number of training steps.", least=1, most=10**9)
    learning_rate: float = not_negative(2e-4, "Peak learning rate.")
    backbone_rate: float = share(
        1.0, "Factor on the learning rate of the backbones; 0 keeps their weights."
    )
    schedule: str = setting(
        "constant", "Learning rate after warm-up.", choices=["constant", "cosine"]
    )
    warmup_steps: int = not_negative(
        1000, "Steps of linear warm-up of the learning rate."
    )
    optimizer: str = setting(
        "sgd",
        "SGD with momentum, or Adam; both with decoupled weight decay.",
        choices=["sgd", "adam"],
    )
    momentum: float = share(0.9, "Momentum of SGD.")
    weight_decay: float = not_negative(
        1e-4,
        "Weight decay, multiplied by the learning rate; norms and biases have none.",
    )
    clip_norm: float = not_negative(5.0, "Maximum norm of the gradient; 0: no limit.")
    average_decay: float = setting(
        0.999,
        "Decay of the running mean of the weights; 0: no averaging.",
        least=0,
        most=0.99999,
    )
    lambda_objectness: float = not_negative(
        1.0, "Lambda 1: weight of the objectness loss."
    )
    lambda_box_reg: float = not_negative(1.0, "Lambda 2: weight of both box losses.")
    lambda_actor_cls: float = not_negative(1.0, "Lambda 3: weight of the actor loss.")
    lambda_action_cls: float = not_negative(1.0, "Lambda 4: weight of the action loss.")
    lambda_mask: float = not_negative(1.0, "Lambda 5: weight of the mask loss.")
    zero_shot_actor: str = setting(
        "", "Actor whose action labels are withheld from training (section 4.4)."
    )
    train_phase: str = setting(
        "joint",
        "joint: all but the refiner; actor: the actor branch; action: what only the "
        "action branch uses; refiner: the refiner.",
        choices=["joint", "actor", "action", "refiner"],
    )
    init_run: str = setting(
        "",
        "Run folder of the same network, perhaps with fewer labels, from which all "
        "weights are taken.",
    )
    init_checkpoint: str = setting(
        "",
        "Run folder, perhaps of another network or labels, from which weights of the "
        "same name and shape are taken, and classes by their names.",
    )
    init_rgb: str = setting(
        "",
        "Pretrained weights of the appearance branch: coco, imagenet (downloaded "
        "once), lite0 or lite2 (from packages), or a file of a2d weights.",
    )
    init_flow: str = setting(
        "",
        "Pretrained weights of the motion backbone: a name or a file, as for "
        "--init_rgb.",
    )
    rpn_samples: int = setting(
        256, "Anchors per frame in the proposal loss.", least=2, most=1000000
    )
    rpn_beta: float = setting(
        0.0,
        "Beta of the proposals' smooth L1 loss; 0: that of the pretrained weights.",
        least=0,
        most=100,
    )
    rpn_box_normaliser: str = setting(
        "positives",
        "Divide the proposals' box loss by the sampled anchors, or by four times the "
        "positive ones.",
        choices=["samples", "positives"],
    )
    box_normaliser: str = setting(
        "samples",
        "Divide the actors' box loss by the sampled RoIs, or by four times the "
        "positive ones.",
        choices=["samples", "positives"],
    )
    train_proposals: int = setting(
        2000, "Proposals per frame in training.", least=1, most=100000
    )
    train_proposals_before_nms: int = setting(
        10000,
        "Anchors per frame that enter the proposals' NMS in training.",
        least=1,
        most=1000000,
    )
    roi_samples: int = setting(64, "RoIs per frame in training.", least=2, most=100000)
    positive_fraction: float = share(1 / 3, "Maximum fraction of positive RoIs.")
    add_truth_rois: bool = setting(
        True, "Add the ground-truth boxes to the training proposals."
    )
    max_instances: int = setting(
        25,
        "Maximum ground-truth instances per frame, largest first.",
        least=1,
        most=10000,
    )
    val_fraction: float = share(
        0.1, "Fraction of training videos held out for validation."
    )
    flip: bool = setting(True, "Mirror half of the training clips.")
    scale_jitter: float = setting(
        0.2, "Maximum relative zoom in or out, with a shift.", least=0, most=0.9
    )
    colour_jitter: float = share(0.1, "Maximum change of brightness and contrast.")
    shuffle_buffer: int = setting(
        1000, "Shuffle buffer size, in records.", least=1, most=1000000
    )
    log_every: int = setting(20, "Steps between TensorBoard points.", least=1)
    validate_every: int = setting(3000, "Steps between validations.", least=1)
    checkpoint_every: int = setting(1000, "Steps between checkpoints.", least=1)
    deterministic: bool = setting(
        True,
        "Use deterministic kernels only, so that training can be repeated exactly.",
    )
    strategy: str = setting(
        "none",
        "Train on one device, or on several of this machine, which share each batch.",
        choices=["none", "mirrored"],
    )
    replicas: int = not_negative(
        0,
        "Number of GPUs, or of parts of the CPU, for --strategy=mirrored; 0: all GPUs.",
    )

    @property
    def evaluation_batch(self) -> int:
        """Number of clips in a batch of evaluation: `batch_size`, but 8 at most.

        A batch of evaluation is for one device; `batch_size` may be for many.
        """
        return min(self.batch_size, EVALUATION_BATCH)


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
    """How the network is computed; runs with the same weights may differ in this."""

    precision: str = setting(
        "float32",
        "Precision of the activations; weights, boxes, scores and losses are float32.",
        choices=PRECISIONS,
    )


SECTIONS = {
    "model": ModelConfig,
    "inference": InferenceConfig,
    "training": TrainingConfig,
    "compute": ComputeConfig,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run, in four sections.

    Attributes:
      model: the network's structure.
      inference: how outputs become instances and label maps.
      training: how the network is trained.
      compute: how the network is computed.
    """

    model: ModelConfig = ModelConfig()
    inference: InferenceConfig = InferenceConfig()
    training: TrainingConfig = TrainingConfig()
    compute: ComputeConfig = ComputeConfig()

    @staticmethod
    def define_flags(
        register: Register, sections: Iterable[str] = tuple(SECTIONS)
    ) -> None:
        """Define a flag for each setting of some sections.

        Args:
          register: the register of a command's flags, which gets these flags, too.
          sections: names of the sections, keys of SECTIONS; by default all.
        """
        for name in sections:
            setting_flags.define(register, name, SECTIONS[name])

    @classmethod
    def from_flags(cls, register: Register) -> Config:
        """Build the settings from the values of their flags, and check them.

        Args:
          register: the flags of all sections, after parsing.

        Raises:
          InputError: a setting is not finite, or settings contradict each other.
        """
        config = cls(
            model=setting_flags.read(register, ModelConfig),
            inference=setting_flags.read(register, InferenceConfig),
            training=setting_flags.read(register, TrainingConfig),
            compute=setting_flags.read(register, ComputeConfig),
        )
        config_checks.check(config.model, config.training)
        return config

    @classmethod
    def read(cls, path: str | os.PathLike) -> Config:
        """Read the settings in a flagfile, such as a run's `flags.txt`.

        Settings that it does not name have their defaults.

        Raises:
          InputError: the file is unreadable, has a line that is no setting, or has
            contradicting settings.
        """
        return cls.parse([f"--flagfile={path}"])

    @classmethod
    def parse(cls, words: Sequence[str]) -> Config:
        """Parse settings that are written as on a command line.

        Args:
          words: flags such as '--steps=9' or '--flagfile=FILE', without a program's
            name. Settings that they do not name have their defaults.

        Raises:
          InputError: a flagfile is unreadable, a word is no setting, or settings
            contradict each other.
        """
        register = Register()
        cls.define_flags(register)
        flagfiles.check_only_flags(flagfiles.parse_flags(words, register))
        return cls.from_flags(register)

    def write(self, path: str | os.PathLike) -> None:
        """Write all settings to a flagfile atomically, such as a run's `flags.txt`.

        Raises:
          InputError: the file cannot be written.
        """
        lines = []
        for name in SECTIONS:
            lines.append(f"# {name}")
            lines.extend(setting_flags.words(getattr(self, name)))
        write_text(path, "\n".join(lines) + "\n")

    @staticmethod
    def named_settings(register: Register, *sections: str) -> dict[str, Any]:
        """Return the settings that the user gave, not those that have their defaults.

        Args:
          register: the flags, after parsing of a command line and its flagfiles.
          *sections: names of the sections to look at, keys of SECTIONS.

        Returns:
          {name: value}.
        """
        values = {}
        for name in sections:
            values.update(setting_flags.named(register, SECTIONS[name]))
        return values

    def with_settings(self, **settings: Any) -> Config:
        """Return a copy in which some settings have other values.

        The values are not checked; `checked` does so.

        Args:
          **settings: {name of a setting, in any section: its new value}.
        """
        sections = {}
        for name in SECTIONS:
            section = getattr(self, name)
            changes = {}
            for field in dataclasses.fields(section):
                if field.name in settings:
                    changes[field.name] = settings.pop(field.name)
            sections[name] = dataclasses.replace(section, **changes)
        assert not settings, settings
        return Config(**sections)

    def checked(self) -> Config:
        """Return the same settings, checked as those of a command line are.

        They are written as a command line and parsed, because the flags have the
        limits.

        Raises:
          InputError: a setting is out of range, or contradicts another.
        """
        words = []
        for name in SECTIONS:
            words.extend(setting_flags.words(getattr(self, name)))
        return Config.parse(words)
