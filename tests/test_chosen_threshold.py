"""The threshold that a validation chooses, and what its file says of the choice."""

import json

import pytest

from a2d_tf.runs import chosen_threshold

# A run on the drawn mini A2D, 12 validation videos: joint mIoU at nine thresholds.
FLAT = dict(
    zip(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        (46.1, 45.9, 45.8, 45.5, 45.3, 45.2, 45.0, 44.3, 44.8),
    )
)


@pytest.mark.parametrize(
    ("figures", "threshold"),
    [
        ({0.1: 46.1, 0.5: 45.2, 0.7: 45.0}, 0.5),
        ({0.1: 46.1, 0.5: 45.2, 0.7: 45.1}, 0.7),
        ({0.1: 46.1, 0.2: 45.0, 0.7: 45.0}, 0.1),
        ({0.6: 30.0, 0.8: 30.5, 0.9: 30.6}, 0.8),  # equally near: the better one
        ({0.6: 30.5, 0.8: 30.0, 0.9: 30.6}, 0.6),
        ({0.1: 0.0, 0.7: 0.0, 0.9: 0.0}, 0.7),
    ],
)
def test_the_threshold_nearest_to_the_default_of_those_within_a_point(
    figures, threshold
):
    assert chosen_threshold.choose(figures) == threshold


def test_the_file_holds_the_figures_and_a_flat_curve_is_described(tmp_path):
    threshold = chosen_threshold.choose(FLAT)
    assert threshold == 0.6
    chosen_threshold.save(tmp_path, threshold, {"box_f1": 45.2}, FLAT)
    stored = json.loads((tmp_path / "score_threshold.json").read_text())
    assert stored == {
        "score_threshold": 0.6,
        "figures": {f"{key:g}": value for key, value in FLAT.items()},
        "validation": {"box_f1": 45.2},
    }
    assert chosen_threshold.read(tmp_path) == 0.6
    assert chosen_threshold.describe_choice(tmp_path, 0.6) == (
        "validation can hardly tell thresholds apart (0.1: 46.1, 0.2: 45.9, 0.3: 45.8,"
        " 0.4: 45.5, 0.5: 45.3, 0.6: 45.2, 0.7: 45.0, 0.8: 44.3, 0.9: 44.8 %); of those"
        " within 1 point of the best, the nearest to 0.7 was taken"
    )
    assert chosen_threshold.describe_choice(tmp_path, 0.5) == ""  # given by a flag


def test_a_clear_choice_needs_no_description(tmp_path):
    assert chosen_threshold.describe_choice(tmp_path, 0.7) == ""  # no file
    figures = {key: 10 * key for key in FLAT}
    figures[0.9] = 20.0
    threshold = chosen_threshold.choose(figures)
    assert threshold == 0.9
    chosen_threshold.save(tmp_path, threshold, {}, figures)
    assert chosen_threshold.describe_choice(tmp_path, 0.9) == ""
    # One of an earlier version holds no figures.
    (tmp_path / "score_threshold.json").write_text('{"score_threshold": 0.3}')
    assert chosen_threshold.describe_choice(tmp_path, 0.3) == ""
