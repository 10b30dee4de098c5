"""TensorBoard's page of a run: what its plugins read back out of the event files."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from a2d_tf.evaluation.metrics import scalars as scalars_of
from a2d_tf.evaluation.reports import dashboard
from a2d_tf.training.checkpoints import Events


def read(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def test_how_a_run_is_set_up(loaded_run, tmp_path):
    loaded_run.config.write(tmp_path / "flags.txt")
    dashboard.describe(str(tmp_path))
    found = read(tmp_path / "tensorboard")
    (text,) = found.Tensors("flags")
    assert b"--width_multiplier=0.125" in text.tensor_proto.string_val[0]


def test_what_a_validation_shows(validated, tmp_path):
    scalars = dashboard.scalars(validated)
    assert scalars["segmentation/joint_miou"] == validated.metrics["segmentation"]["joint"]["miou"]
    assert scalars["detection/joint_map"] == validated.metrics["detection"]["joint"]
    assert len(scalars) == 9 + 3 + 1
    images = {tag: picture[None] for tag, picture in validated.pictures.items()}
    Events(tmp_path).write("validation", 5, scalars, images)
    tags = read(tmp_path / "tensorboard" / "validation").Tags()["tensors"]
    assert set(tags) == {*scalars, *images}


def test_what_an_evaluation_shows(validated, tmp_path):
    over_time = {"videos": 2, "frames": 9, "joint": {"hota": 30.0}}
    further = {
        "coco": {"box": {"ap": 40.0, "ap_small": None}},
        "over_time": {**dict.fromkeys(("any", "actor", "action"), {}), **over_time},
    }
    before = scalars_of(validated.metrics)
    for step in (3, 5):  # the second evaluation's alone are shown
        dashboard.show_evaluation(
            str(tmp_path), "test_best", step, {**validated.metrics, **further}
        )
    found = read(tmp_path / "tensorboard" / "evaluation" / "test_best")
    shown = {"coco/box_ap", "over_time/joint_hota"}
    assert set(found.Tags()["tensors"]) == {*before, *shown}
    assert [event.step for event in found.Tensors("coco/box_ap")] == [5]
