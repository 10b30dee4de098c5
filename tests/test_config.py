"""Settings: flags, the run folder's file, contradictions."""

import dataclasses
import pathlib

import pytest

from a2d_tf.core.command import command_line, flagfiles
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import (
    ComputeConfig,
    Config,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / "configs"


def parsed(*words, sections=("model", "inference", "training", "compute")):
    values = command_line.Register()
    Config.define_flags(values, sections)
    flagfiles.parse(["program", *words], values)
    return values


def from_words(*words):
    return Config.from_flags(parsed(*words))


def test_defaults_are_the_papers():
    """As in configs/a2d.flags; the paper gives these."""
    assert from_words() == Config() == Config.read(CONFIGS / "a2d.flags")
    model, training = Config().model, Config().training
    assert (model.backbone, model.image_height, model.image_width) == (
        "resnet101",
        256,
        256,
    )
    assert (model.temporal_layers, model.frames, model.fusion) == (1, 3, "mid")
    assert (training.optimizer, training.learning_rate, training.momentum) == (
        "sgd",
        2e-4,
        0.9,
    )
    assert (training.roi_samples, training.rpn_samples) == (64, 256)
    assert model.anchors == ((16.0, 32.0), (64.0,), (128.0,), (256.0,), (512.0,))


CHANGED = Config(
    ModelConfig(
        image_width=320, backbone="resnet14", pixel_scale=1 / 64, use_mask=False
    ),
    InferenceConfig(score_threshold=0.45, max_detections=7),
    TrainingConfig(
        seed=7, learning_rate=1e-7, positive_fraction=0.1 + 0.2, init_run="runs/a b=c"
    ),
    ComputeConfig("mixed_bfloat16"),
)


def test_written_and_read_back(tmp_path):
    path = tmp_path / "flags.txt"
    CHANGED.write(path)
    assert Config.read(path) == CHANGED
    assert from_words(f"--flagfile={path}") == CHANGED
    assert [p.name for p in tmp_path.iterdir()] == ["flags.txt"]
    Config().write(path)
    assert Config.read(path) == Config()


def test_anchor_sizes_are_five_levels_of_ascending_sizes():
    anchors = from_words("--anchor_sizes=8+16,32,64+90.5,128,256").model.anchors
    assert anchors == ((8.0, 16.0), (32.0,), (64.0, 90.5), (128.0,), (256.0,))
    for sizes in ("16,32", "16,32,a,64,128", "16,32,0,64,128", "16+8,32,64,99,256"):
        with pytest.raises(InputError, match="--anchor_sizes"):
            from_words(f"--anchor_sizes={sizes}")


@pytest.mark.parametrize(
    "words, complaint",
    [
        ("--fusion=late --nouse_flow", "--use_flow"),
        ("--zero_shot_actor=cat --label_mode=cartesian", "--zero_shot_actor"),
        ("--train_proposals_before_nms=999", "--train_proposals=2000"),
        ("--train_phase=action", "--init_run"),
        ("--readout --label_mode=hierarchical", "--label_mode=decoupled"),
        ("--action_backbone=i3d", "--action_backbone=i3d is read by --readout"),
        ("--flow_histograms", "--flow_histograms is read by --readout, which is off"),
        ("--backbone_rate=0 --init_rgb=coco", "--init_flow"),
        ("--score_threshold=nan", "--score_threshold=nan is not finite"),
        ("--train_phase=action --init_run=r --label_mode=cartesian", "no action head"),
    ],
)
def test_contradictions(words, complaint):
    with pytest.raises(InputError, match=complaint):
        from_words(*words.split())


def test_the_command_line_overrides_settings_of_inference_that_it_names_alone():
    def given(*words):
        values = parsed(*words, sections=("inference", "compute"))
        return Config.named_settings(values, "inference", "compute")

    made = CHANGED.with_settings(**given("--nms_threshold=0.6", "--max_detections=100"))
    wanted = dataclasses.replace(
        CHANGED.inference, nms_threshold=0.6, max_detections=100
    )
    assert made == dataclasses.replace(CHANGED, inference=wanted)
    assert given() == {}
    made = CHANGED.with_settings(**given("--precision=float32"))
    assert made == dataclasses.replace(CHANGED, compute=ComputeConfig())


def test_settings_of_any_section_are_replaced_and_others_stay():
    made = CHANGED.with_settings(image_height=64, steps=3, precision="float32")
    assert made.model == dataclasses.replace(CHANGED.model, image_height=64)
    assert made.training == dataclasses.replace(CHANGED.training, steps=3)
    assert made.inference == CHANGED.inference
    assert made.compute == ComputeConfig()
    with pytest.raises(AssertionError):
        CHANGED.with_settings(no_such_setting=1)


def settings(config):
    """{setting: value}."""
    return {
        k: v
        for section in dataclasses.asdict(config).values()
        for k, v in section.items()
    }


def changes(base, made):
    """{setting: its value in `made`} where the two differ."""
    before = settings(base)
    return {
        name: value for name, value in settings(made).items() if value != before[name]
    }


@pytest.mark.parametrize(
    "path", CONFIGS.glob("ablations/*.flags"), ids=lambda path: path.stem
)
def test_an_ablation_changes_the_base(path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)  # flagfiles name others from there
    init = (
        ["--init_run=first_run"] if path.stem.endswith(("_refiner", "_action")) else []
    )
    words = ["--flagfile=configs/mini.flags", f"--flagfile={path}", *init]
    changed = changes(from_words(words[0]), from_words(*words))
    assert changed and ("init_run" in changed) == bool(init)
    if path.stem.startswith("zero_shot_"):
        assert changed == {"zero_shot_actor": path.stem[len("zero_shot_") :]}


def test_settings_of_code_are_checked_as_those_of_flags_are():
    for name, value in (("score_threshold", 70.0), ("max_detections", 0)):
        with pytest.raises(InputError, match=f"--{name}={value}"):
            Config().with_settings(**{name: value}).checked()
