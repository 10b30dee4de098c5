"""Every setting of a run: frozen dataclasses, each field an absl flag of the same name.

The defaults are the paper's as far as it goes (docs/paper.md). A run folder keeps its resolved
settings in `flags.txt`, which `Config.read` reads back and `--flagfile` accepts.
"""

import dataclasses
import math
import os

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.core.limits import MAX_SIDE

# What they mean is in model/flavours.py.
FLAVOURS = ["own", "matterport", "keras", "detectron2", "torchvision", "efficientnet_lite0"]
PRECISIONS = ["float32", "mixed_bfloat16", "mixed_float16"]
EVALUATION_BATCH = 8
_ANCHOR_SIZES = 8  # of a level


def _setting(default, help_text, choices=None, low=None, high=None, before=None):
    """A field; `before` is what a run has that is older than the setting, where not the default."""
    metadata = {"help": help_text, "choices": choices, "low": low, "high": high, "before": before}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network's structure. Two runs exchange weights where these agree."""

    image_height: int = _setting(
        256, "canvas height, pixels, a multiple of 32", low=32, high=MAX_SIDE
    )
    image_width: int = _setting(
        256, "canvas width, pixels, a multiple of 32", low=32, high=MAX_SIDE
    )
    backbone: str = _setting(
        "resnet101",
        "of both streams",
        ["resnet14", "resnet26", "resnet50", "resnet101", "resnet152", "efficientnet_lite0"],
    )
    width_multiplier: float = _setting(1.0, "factor on the backbone's channels", low=0.125, high=4)
    norm: str = _setting(
        "frozen_bn",
        "normalisation of backbone, actor and mask head: batch norm frozen whole, or "
        "its statistics alone (scale and offset learn), or live; group norm; none",
        ["frozen_bn", "frozen_stats", "bn", "group_norm", "none"],
    )
    flow_norm: str = _setting(
        "same",
        "normalisation of the flow backbone; 'same' follows --norm",
        ["same", "frozen_bn", "frozen_stats", "bn", "group_norm", "none"],
    )
    rgb_flavour: str = _setting(
        "own", "what the appearance branch's weights want; --init_rgb sets it", FLAVOURS
    )
    flow_flavour: str = _setting(
        "own", "what the motion backbone's weights want; --init_flow sets it", FLAVOURS
    )
    stride_in_1x1: bool = _setting(
        True, "stages stride in their first 1x1, not in their 3x3 (flavour 'own')"
    )
    pixel_scale: float = _setting(
        1.0, "factor on the mean-free RGB values (flavour 'own')", low=0, high=1000
    )
    flow_scale: float = _setting(1.0, "factor on the flow in pixels", low=0, high=1000)
    flow_bound: float = _setting(
        0.0, "length at which the scaled flow of a pixel is cut; 0 cuts none", low=0, high=1000000
    )
    fpn_channels: int = _setting(256, "channels of the pyramids", low=8, high=2048)
    rpn_channels: int = _setting(512, "channels of the proposal head", low=8, high=2048)
    head_units: int = _setting(1024, "units of the actor and action heads", low=8, high=8192)
    mask_channels: int = _setting(256, "channels of the mask head", low=8, high=2048)
    mask_layers: int = _setting(4, "3x3 convolutions of the mask head", low=0, high=32)
    anchor_sizes: str = _setting(
        "16,32,64,128,256", "anchor side at P2..P6, pixels; 8+16,32,… has two sizes at P2"
    )
    use_flow: bool = _setting(True, "the flow stream (section 3.2)")
    temporal_layers: int = _setting(
        1, "L, 3x1x1 convolutions over time; 0 is one frame", low=0, high=64
    )
    temporal_init: str = _setting("random", "start of these layers", ["random", "identity"])
    fusion: str = _setting("mid", "where RGB and flow meet (section 3.2)", ["mid", "late"])
    action_topdown: str = _setting(
        "shared", "the action branch's RGB top-down: the actor's or its own", ["shared", "separate"]
    )
    use_mask: bool = _setting(True, "the mask head; without it boxes are painted")
    use_refiner: bool = _setting(False, "a segmenter of boxes in place of the mask head (4.3)")
    refiner_size: int = _setting(
        128, "side of its patches, pixels, a multiple of 32", low=32, high=1024
    )
    refiner_channels: int = _setting(64, "channels of its refinement modules", low=4, high=1024)
    label_mode: str = _setting(
        "decoupled",
        "p(actor) p(action), one softmax over pairs, or p(actor) p(action | actor)",
        ["decoupled", "cartesian", "hierarchical"],
    )
    action_background: bool = _setting(
        True,
        "background is a class of the action head, trained on every RoI (label_mode "
        "decoupled); without, the head learns from positive RoIs alone",
        before=False,
    )
    roi_align: str = _setting(
        "aligned", "crops and coordinates of boxes (flavour 'own')", ["aligned", "legacy"]
    )

    @property
    def frames(self):
        """The temporal field, 2L + 1 frames."""
        return 2 * self.temporal_layers + 1

    @property
    def has_action_background(self):
        """Whether background is a class of the action head; other label spaces have no use for it,
        since their p(action) carries the actor's background.
        """
        return self.action_background and self.label_mode == "decoupled"

    @property
    def anchors(self):
        """Sizes of the anchors, a tuple of each level P2..P6; see `parse_anchors`."""
        return parse_anchors(self.anchor_sizes, "anchor_sizes")


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
    """From the network's outputs to instances and label maps; free to change after training."""

    test_proposals: int = _setting(300, "RoIs a frame at inference", low=1, high=100000)
    proposals_before_nms: int = _setting(
        2000, "anchors that enter the proposals' NMS", low=1, high=1000000
    )
    score_threshold: float = _setting(
        -1.0,
        "p(actor) from which a RoI is an instance; -1: the run's own, chosen on validation",
        low=-1,
        high=1,
    )
    nms_threshold: float = _setting(0.3, "IoU of the per-actor NMS of instances", low=0, high=1)
    max_detections: int = _setting(100, "instances a frame", low=1, high=10000)
    action_threshold: float = _setting(
        0.0, "p(action) below which an instance is dropped; 0 drops none", low=0, high=1
    )
    paint: str = _setting(
        "instance",
        "a pixel goes to the best instance by score, or by score x mask",
        ["instance", "pixel"],
    )


@dataclasses.dataclass(frozen=True)
class LearningConfig:
    """How the network is fitted (paper, sections 3.3 and 4)."""

    seed: int = _setting(
        0, "of initial weights, data order, augmentation and sampling", low=0, high=2**32 - 1
    )
    batch_size: int = _setting(8, "clips a step", low=1, high=65536)
    steps: int = _setting(20000, "training steps", low=1, high=10**9)
    learning_rate: float = _setting(2e-4, "peak learning rate", low=0)
    schedule: str = _setting("constant", "of the rate, after the warm-up", ["constant", "cosine"])
    warmup_steps: int = _setting(500, "linear warm-up", low=0)
    optimizer: str = _setting(
        "sgd", "sgd has momentum; both decay the weights decoupled", ["sgd", "adam"]
    )
    momentum: float = _setting(0.9, "of SGD", low=0, high=1)
    weight_decay: float = _setting(1e-4, "decoupled, times the rate; not on norms, biases", low=0)
    clip_norm: float = _setting(5.0, "global gradient norm; 0 clips nothing", low=0)
    average_decay: float = _setting(
        0.0,
        "of a running mean of the weights, which is then validated and kept; 0 has none",
        low=0,
        high=0.99999,
    )
    lambda_roi_cls: float = _setting(1.0, "lambda 1, proposal objectness", low=0)
    lambda_box_reg: float = _setting(1.0, "lambda 2, boxes of proposals and of actors", low=0)
    lambda_actor_cls: float = _setting(1.0, "lambda 3, actor class", low=0)
    lambda_action_cls: float = _setting(1.0, "lambda 4, action class", low=0)
    lambda_mask: float = _setting(1.0, "lambda 5, mask", low=0)
    zero_shot_actor: str = _setting("", "actor whose action labels are withheld (section 4.4)")
    train_phase: str = _setting(
        "joint",
        "all but the refiner; the actor branch; flow tower, temporal layers and action "
        "head; or the refiner alone",
        ["joint", "actor", "action", "refiner"],
    )
    init_run: str = _setting("", "run folder of the same network that a new run starts from")
    init_checkpoint: str = _setting(
        "", "run folder, also of other labels or another variant, to start from as far as it fits"
    )
    init_rgb: str = _setting(
        "",
        "weights that the appearance branch starts from: coco or imagenet, fetched once "
        "(tools/get_weights.py), or a file of tools/import_weights.py",
    )
    init_flow: str = _setting("", "weights that the motion backbone starts from, likewise")
    rpn_samples: int = _setting(256, "anchors a frame in the proposal loss", low=2, high=1000000)
    rpn_beta: float = _setting(
        0.0,
        "beta of the proposals' smooth L1; 0: the flavour's, 1 for matterport, else 1/9",
        low=0,
        high=100,
        before=1 / 9,
    )
    box_normaliser: str = _setting(
        "samples",
        "what box terms are divided by: the anchors or RoIs that count, or four times "
        "the positives among them",
        ["samples", "positives"],
    )
    train_proposals: int = _setting(1000, "proposals a frame before sampling", low=1, high=100000)
    train_proposals_before_nms: int = _setting(
        0,
        "anchors that enter the NMS of training's proposals; 0: twice --train_proposals",
        low=0,
        high=1000000,
    )
    roi_samples: int = _setting(64, "RoIs a frame", low=2, high=100000)
    positive_fraction: float = _setting(1 / 3, "most positives among the RoIs", low=0, high=1)
    add_truth_rois: bool = _setting(True, "ground-truth boxes join the proposals")
    max_instances: int = _setting(25, "instances a frame, largest first", low=1, high=10000)
    val_fraction: float = _setting(0.1, "part of the training videos held out", low=0, high=1)
    threshold_from: str = _setting(
        "",
        "with --val_fraction=0: run folder of the same network, whose held-out videos chose "
        "the score threshold",
    )
    flip: bool = _setting(True, "mirror half of the clips")
    scale_jitter: float = _setting(
        0.2, "zoom by up to this part either way, and shift", low=0, high=0.9
    )
    colour_jitter: float = _setting(0.1, "brightness and contrast jitter", low=0, high=1)
    shuffle_buffer: int = _setting(1000, "records in the shuffle buffer", low=1, high=1000000)
    log_every: int = _setting(20, "steps between TensorBoard points", low=1)
    validate_every: int = _setting(1000, "steps between validations", low=1)
    checkpoint_every: int = _setting(500, "steps between checkpoints", low=1)
    keep_checkpoints: int = _setting(3, "newest checkpoints kept", low=1)
    recompute: bool = _setting(
        False, "compute activations inside of the backbones' stages twice: less memory, more time"
    )
    deterministic: bool = _setting(True, "repeatable: deterministic kernels alone")
    strategy: str = _setting(
        "none",
        "one device, those of this machine, or those of the workers in TF_CONFIG",
        ["none", "mirrored", "multi_worker"],
    )
    replicas: int = _setting(
        0,
        "of --strategy=mirrored: GPUs, or parts of the CPU where there is none; 0: all GPUs",
        low=0,
    )

    @property
    def before_nms(self):
        """Anchors that enter the NMS of training's proposals."""
        return self.train_proposals_before_nms or 2 * self.train_proposals

    @property
    def evaluation_batch(self):
        """Clips that a device takes at once in evaluation: `batch_size` may be of many devices."""
        return min(self.batch_size, EVALUATION_BATCH)


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
    """How the network is computed; no weight depends on it, so runs that differ exchange theirs."""

    precision: str = _setting(
        "float32",
        "of the activations; weights, boxes, scores and losses are float32 in any case",
        PRECISIONS,
    )
    roi_align_impl: str = _setting(
        "crop_and_resize",
        "kernels of RoIAlign; auto: sparse on a CPU, crop_and_resize on a GPU",
        ["auto", "sparse", "crop_and_resize", "einsum"],
    )


SECTIONS = {
    "model": ModelConfig,
    "inference": InferenceConfig,
    "learning": LearningConfig,
    "compute": ComputeConfig,
}

PREDATED = {
    field.name: field.metadata["before"]
    for section in SECTIONS.values()
    for field in dataclasses.fields(section)
    if field.metadata["before"] is not None
}
"""Settings that were built in once, with another value than today's default: {name: value}."""


def _define(name, flag_values):
    for field in dataclasses.fields(SECTIONS[name]):
        help_text = field.metadata["help"]
        # By the name of their module help puts them in groups.
        options = {"flag_values": flag_values, "module_name": command_line.SETTINGS + name}
        if field.metadata["choices"]:
            flags.DEFINE_enum(
                field.name, field.default, field.metadata["choices"], help_text, **options
            )
        elif field.type is bool:
            flags.DEFINE_bool(field.name, field.default, help_text, **options)
        elif field.type is str:
            flags.DEFINE_string(field.name, field.default, help_text, **options)
        else:
            define = flags.DEFINE_integer if field.type is int else flags.DEFINE_float
            options.update(lower_bound=field.metadata["low"], upper_bound=field.metadata["high"])
            define(field.name, field.default, help_text, **options)


def parse_anchors(text, flag):
    """Sizes of the anchors at each level, from what a flag says.

    Args:
      text: a side for each of P2..P6 in pixels, as `16,32,64,128,256`; `8+16` for several.
      flag: its name, for messages.

    Returns:
      tuple of five tuples of floats, each ascending.

    Raises:
      InputError: there are not five levels, or one has too many sizes, or a size is no positive
        number or not above the one before it.
    """
    try:
        levels = tuple(tuple(map(float, sizes.split("+"))) for sizes in text.split(","))
    except ValueError:
        levels = ()
    # Ascending, because levels share the weights of their largest anchors.
    ascending = all(a < b for sizes in levels for a, b in zip((0.0, *sizes), sizes))
    within = all(len(sizes) <= _ANCHOR_SIZES and sizes[-1] <= MAX_SIDE for sizes in levels)
    if len(levels) != 5 or not ascending or not within:
        raise InputError(
            f"--{flag}={text}: five positive sizes are needed, for P2..P6; a level may have up to "
            f"{_ANCHOR_SIZES} in ascending order, as 8+16"
        )
    return levels


def _check_range(field, value):
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"--{field.name}={value} is no finite number")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"--{field.name}={value} is not in the range {low} to {high or 'any'}")


def _given(section, flag_values):
    names = [field.name for field in dataclasses.fields(section)]
    names = [name for name in names if name in flag_values and flag_values[name].present]
    return {name: flag_values[name].value for name in names}


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run."""

    model: ModelConfig = ModelConfig()
    inference: InferenceConfig = InferenceConfig()
    learning: LearningConfig = LearningConfig()
    compute: ComputeConfig = ComputeConfig()

    @staticmethod
    def define_flags(sections=tuple(SECTIONS), flag_values=flags.FLAGS):
        """Define a flag for every field of the named sections."""
        for section in sections:
            _define(section, flag_values)

    @staticmethod
    def define_checkpoint():
        """Define the flag of those who read a run; returns its holder."""
        return flags.DEFINE_enum(
            "checkpoint",
            "last",
            ["last", "best"],
            "which weights of a run: the newest, or of the best validation",
        )

    @staticmethod
    def define_device():
        """Define the flag of those who compute; returns its holder.

        It is no setting of a run: what a program computes on is a matter of the machine, and
        `flags.txt` does not carry it to another.
        """
        return flags.DEFINE_enum(
            "device",
            "auto",
            ["auto", "cpu", "gpu"],
            "what to compute on; auto: the GPU of a machine that has one, else the CPU",
        )

    @classmethod
    def from_flags(cls, flag_values=flags.FLAGS):
        """The settings that the parsed flags give.

        Raises:
          InputError: settings that contradict each other.
        """
        sections = {
            name: section(
                **{f.name: flag_values[f.name].value for f in dataclasses.fields(section)}
            )
            for name, section in SECTIONS.items()
        }
        return cls(**sections).checked()

    @classmethod
    def read(cls, path, of_run=False):
        """The settings of a flagfile.

        Args:
          path: the file.
          of_run: whether it is a run's `flags.txt`, which names no other flagfile; settings that it
            does not name are younger than the run, and have the value that was built in before.

        Raises:
          InputError: no such file, a line that is no flag of ours, or contradicting settings.
        """
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such file; is the folder one that a2d_tf.train made?")
        flag_values = flags.FlagValues()
        cls.define_flags(flag_values=flag_values)
        flags.DEFINE_string("flagfile", "", "", flag_values=flag_values)
        try:
            stray = command_line.parse(["", f"--flagfile={path}"], flag_values, not of_run)[1:]
            if stray:
                raise InputError(f"'{stray[0]}' is no flag; flags are written --name=value")
            if of_run:
                for name, value in PREDATED.items():
                    if not flag_values[name].present:
                        flag_values[name].value = value
            return cls.from_flags(flag_values)
        except flags.Error as error:  # names the file, or the one that it names
            raise InputError(str(error)) from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def write(self, path):
        """Write the settings as a flagfile, whole or not at all."""
        lines = []
        for name, section in SECTIONS.items():
            values = getattr(self, name)
            lines += [f"# {name}"]
            for field in dataclasses.fields(section):
                value = getattr(values, field.name)
                lines.append(
                    f"--{field.name}={str(value).lower() if field.type is bool else value}"
                )
        write_text(path, "\n".join(lines) + "\n")

    @staticmethod
    def given_inference(flag_values=flags.FLAGS):
        """The flags given that may differ from those of training: {name: value}."""
        return {**_given(InferenceConfig, flag_values), **_given(ComputeConfig, flag_values)}

    @staticmethod
    def given_model(flag_values=flags.FLAGS):
        """The model flags that were given, on the command line or in a flagfile: {name: value}."""
        return _given(ModelConfig, flag_values)

    def with_inference(self, **settings):
        """These settings with some of inference and of computing replaced."""
        names = [field.name for field in dataclasses.fields(ComputeConfig)]
        compute = {name: settings.pop(name) for name in names if name in settings}
        return dataclasses.replace(
            self,
            inference=dataclasses.replace(self.inference, **settings),
            compute=dataclasses.replace(self.compute, **compute),
        )

    def checked(self):
        """Itself, if each setting is in its range and they agree with each other; else InputError.

        Flags have been checked for their ranges; settings can also be of a file of weights.
        """
        for section in (self.model, self.inference, self.learning, self.compute):
            for field in dataclasses.fields(section):
                _check_range(field, getattr(section, field.name))
        model, learning = self.model, self.learning
        for name in ("image_height", "image_width", "refiner_size"):
            if getattr(model, name) % 32:
                raise InputError(f"--{name}={getattr(model, name)} must be a multiple of 32")
        parse_anchors(model.anchor_sizes, "anchor_sizes")
        if model.fusion == "late" and not model.use_flow:
            raise InputError("--fusion=late joins two streams; it needs --use_flow")
        if model.fusion == "late" and model.label_mode == "cartesian":
            raise InputError("--fusion=late joins action heads; --label_mode=cartesian has none")
        if learning.zero_shot_actor and model.label_mode != "decoupled":
            raise InputError(
                "--zero_shot_actor withholds action labels, which only --label_mode=decoupled can "
                f"share between actors; got --label_mode={model.label_mode}"
            )
        if model.use_refiner and model.use_mask:
            raise InputError("--use_refiner stands in for the mask head; it needs --use_mask=false")
        if learning.train_phase == "refiner" and not model.use_refiner:
            raise InputError("--train_phase=refiner trains the refiner; it needs --use_refiner")
        if learning.recompute and "bn" in (model.norm, model.flow_norm):
            raise InputError(
                "--recompute would count every batch twice in the running means of --norm=bn; use "
                "frozen_bn or group_norm"
            )
        if learning.threshold_from and learning.val_fraction:
            raise InputError(
                f"--threshold_from={learning.threshold_from} is for a run that holds no videos out "
                "to choose a threshold by; it needs --val_fraction=0"
            )
        if 0 < learning.train_proposals_before_nms < learning.train_proposals:
            raise InputError(
                f"--train_proposals_before_nms={learning.train_proposals_before_nms} leaves fewer "
                f"than --train_proposals={learning.train_proposals}"
            )
        if learning.replicas and learning.strategy != "mirrored":
            raise InputError("--replicas counts those of --strategy=mirrored")
        files = learning.init_rgb or learning.init_flow
        if sum(map(bool, (learning.init_run, learning.init_checkpoint, files))) > 1:
            raise InputError(
                "a run starts from --init_run, from --init_checkpoint, or from --init_rgb and "
                "--init_flow; give one of these"
            )
        if learning.init_flow and not model.use_flow:
            raise InputError("--init_flow starts the flow stream; it needs --use_flow")
        if learning.train_phase in ("action", "refiner") and not learning.init_run:
            raise InputError(
                f"--train_phase={learning.train_phase} freezes the actor branch: give --init_run"
            )
        if learning.train_phase == "action" and model.label_mode == "cartesian":
            raise InputError("--train_phase=action: cartesian labels have no action head")
        return self
