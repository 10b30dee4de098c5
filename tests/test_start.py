"""What is suggested of a run's settings, in literals."""

import pytest

from a2d_tf.core import machine
from a2d_tf.core.config import parse_anchors
from a2d_tf.training.doctor import start

GB = 2**30


def test_the_canvas_holds_the_frames_in_multiples_of_32():
    assert start.canvas([(144, 256), (136, 256)]) == (160, 256)
    assert start.canvas([(144, 256), (256, 144)]) == (256, 256)
    assert start.canvas([(20, 33)]) == (32, 64)


def test_a_large_canvas_is_shrunk_with_its_aspect():
    assert start.canvas([(256, 256)], 256 * 256) == (256, 256)
    assert start.canvas([(320, 568)], 256 * 256) == (192, 352)
    assert start.canvas([(32, 8192)], 2048) == (32, 736)


def test_anchors_go_from_the_small_boxes_to_the_large_ones():
    spread, by_half, by_two = start.anchor_sizes([16, 16, 64, 256, 256])
    assert (spread, by_half, by_two) == ("16,32,64,128,256", "16,24,40,80,160", "16,32,64,128,256")


def test_an_anchor_spans_its_cells():
    spread, *_ = start.anchor_sizes([5, 5, 6, 6])
    assert spread == "10,20,40,80,160"
    for text in start.anchor_sizes([3, 9000, 9000]):
        parse_anchors(text, "anchor_sizes")


def test_flow_is_scaled_to_the_size_of_rgb():
    assert start.flow_scale(2.0) == 0.5
    assert start.flow_scale(0.071) == 14.0
    assert start.flow_scale(1e-9) == 1000.0


def test_the_batch_is_a_power_of_two_that_fits():
    square = 256 * 256
    assert start.batch_size(square, 16 * GB, start.PAPER) == 8  # (12.8 - 2.8) / 1.2
    assert start.batch_size(square, 12 * GB, start.PAPER) == 4  # (9.6 - 2.8) / 1.2 = 5.7
    assert start.batch_size(2 * square, 12 * GB, start.PAPER) == 2
    assert start.batch_size(square, 80 * GB, start.PAPER) == 8
    assert start.batch_size(square, 1 * GB, start.SMALL) == 1


@pytest.mark.parametrize("there, light", [(False, start.SMALL), (True, start.LITE0)])
def test_the_network_is_the_papers_where_a_gpu_holds_it(monkeypatch, there, light):
    monkeypatch.setattr(start.cache, "at_hand", {"lite0": there}.__getitem__)
    hosts = [start.Host(2, 16 * GB, gpu) for gpu in (None, 4 * GB, 8 * GB)]
    assert [start.preset(host) for host in hosts] == [light, light, start.PAPER]


def test_steps_are_passes_over_the_clips():
    assert start.step_count(9561, 8, start.PAPER) == 60000
    assert start.step_count(845, 4, start.SMALL) == 3200
    assert start.step_count(845, 2, start.LITE0) == 1300
    assert start.step_count(10, 4, start.SMALL) == 600
    assert start.step_count(10**6, 4, start.SMALL) == 60000
    assert start.step_count(10**6, 4, start.SMALL, most=5432.1) == 5400
    assert start.step_count(10**6, 4, start.SMALL, most=10) == 600


def test_the_hours_of_a_cpu_are_those_measured():
    # docs/training.md: 399 ms a step of four clips of 128 x 160 on a core.
    assert start.cpu_hours(9000, 4, 128 * 160, 1) == pytest.approx(1.0, rel=0.01)
    assert start.allowed_steps(4, 128 * 160, 2) == pytest.approx(54000, rel=0.01)


@pytest.mark.parametrize(
    "videos, held, expected", [(19, 5, 0.0), (20, 2, 0.1), (20, 1, 0.2), (20, 0, 0.0)]
)
def test_videos_are_held_out_if_there_are_enough(videos, held, expected):
    assert start.val_fraction(videos, lambda fraction: round(10 * fraction * held)) == expected


def test_records_are_worth_building_larger_for_small_boxes_alone():
    small = [4.0] * 2 + [50.0] * 8
    assert start.finer_records(small, (256, 256), (1080, 1920)) == (512, 512)
    assert start.finer_records(small, (256, 256), (320, 400)) == (416, 416)
    assert start.finer_records(small, (256, 256), (240, 256)) is None
    assert start.finer_records(small, (256, 256), (1080, 1920), 256 * 256) is None
    assert start.finer_records([50.0] * 9, (256, 256), (1080, 1920)) is None


def test_names_with_a_side_are_found():
    names = ["turn_left", "Right hook", "leftover", "bright", "run"]
    assert start.one_sided(names) == ["turn_left", "Right hook"]


def test_the_machine_is_this_one_or_as_asked(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "nvidia_cards", lambda: [machine.Card("T", 24 * GB)])
    assert start.Host.here().gpu == start.Host.here("gpu").gpu == 24 * GB
    assert start.Host.here("cpu").gpu is None
    monkeypatch.setattr(machine, "nvidia_cards", lambda: [])
    assert start.Host.here().gpu is None
    assert start.Host.here("gpu").gpu == start.UNKNOWN_GPU
    assert str(start.Host(1, 3 * GB)) == "a CPU, 1 core, 3 GB"
    assert str(start.Host(1, 3 * GB, 24 * GB)) == "a GPU of 24 GB"
    assert str(start.Host.here("gpu")) == "a GPU of 16 GB (assumed)"
