"""a2d start --folds: which video is in which, their scores; and the learning curve."""

import csv
import itertools

import numpy as np
import pytest
from test_track_round import LABELS, coded_features

from a2d_tf.annotations.split import folds_by_pairs
from a2d_tf.commands import chosen_folds
from a2d_tf.commands.track_folds import TrackFolds
from a2d_tf.core.errors import InputError
from a2d_tf.evaluation import fold_scores, learning_curve
from a2d_tf.evaluation.fold_scores import FoldScores
from a2d_tf.evaluation.metrics.behaviour_counts import Counts
from a2d_tf.paper.folds import read_folds
from a2d_tf.training.given_tracks import coded_rows
from a2d_tf.training.given_tracks.fit_tracks import fit_tracks
from a2d_tf.training.learning_curve import sizes

RUN = set("abcdef")
REST = set("efgh")


def test_each_fold_shows_each_pair_that_enough_videos_show():
    folds = folds_by_pairs([RUN, REST, {"a"}], 4)
    assert sorted(itertools.chain(*folds.values())) == sorted(RUN | REST)
    assert list(folds) == ["1", "2", "3", "4"]
    for videos in folds.values():
        assert len(videos) == 2
        assert len(REST & set(videos)) == 1 and RUN & set(videos)
    assert folds == folds_by_pairs([{"a"}, REST, RUN], 4)


def test_folds_are_so_many_or_those_of_a_file(tmp_path):
    videos = {"run": RUN, "rest": REST}
    chosen = chosen_folds.choose("3", videos, tmp_path)
    assert read_folds(str(tmp_path / chosen_folds.FILE)) == chosen
    (tmp_path / "own.csv").write_text("video,fold\na,day1\ng,day2\nh,day2\n")
    own = str(tmp_path / "own.csv")
    expected = {"day1": ["a"], "day2": ["g", "h"]}
    assert chosen_folds.choose(own, videos, tmp_path / "folds") == expected
    assert (chosen_folds.count("3"), chosen_folds.count(own)) == (3, 2)
    for number in ("1", "9"):
        with pytest.raises(InputError, match="8 videos are annotated; use 2 to 8"):
            chosen_folds.choose(number, videos, tmp_path)
    (tmp_path / "own.csv").write_text("video,fold\na,day1\nx,day2\n")
    with pytest.raises(InputError, match="own.csv: nobody annotated x;"):
        chosen_folds.choose(own, videos, tmp_path)
    (tmp_path / "own.csv").write_text("video,fold\na,day1\n")
    with pytest.raises(InputError, match="own.csv: has one fold"):
        chosen_folds.choose(own, videos, tmp_path)


FOLDS = [
    FoldScores("1", 2, {"run": Counts(4, 3, 5), "rest": Counts(0, 0, 1)}),
    FoldScores("2", 1, {"run": Counts(4, 0, 0), "rest": Counts(2, 2, 2)}),
]
TABLE = """\
fold,videos,behaviour,annotated,predicted,right,precision,recall,f1
1,2,run,4,5,3,60.0,75.0,66.667
1,2,mean,,,,60.0,75.0,66.667
2,1,run,4,0,0,,0.0,0.0
2,1,rest,2,2,2,100.0,100.0,100.0
2,1,mean,,,,100.0,50.0,50.0
all,3,run,8,5,3,60.0,37.5,46.154
all,3,rest,2,3,2,66.667,100.0,80.0
all,3,mean,,,,63.333,68.75,63.077
mean,,run,,,,60.0,37.5,33.333
mean,,rest,,,,100.0,100.0,100.0
mean,,mean,,,,80.0,62.5,58.333
"""


def test_the_table_has_each_fold_their_mean_and_all_together(tmp_path):
    fold_scores.write(tmp_path, FOLDS)
    assert (tmp_path / fold_scores.TABLE).read_text() == TABLE
    table = fold_scores.table(FOLDS, "seconds")
    assert "F1 of seconds, percent; 3 videos in 2 folds" in table.title
    assert list(table.columns.values()) == ["fold 1", "fold 2", "mean", "all"]
    assert table.rows["rest"] == {"2": 100, "mean": 100, "all": pytest.approx(80)}
    assert list(table.rows) == ["run", "rest", "mean of behaviours"]


def track_folds(folds):
    videos, codes = coded_features()
    rows = coded_rows.find(videos, codes, every=4)
    fit = fit_tracks(videos, rows, LABELS)
    return TrackFolds(folds, fit, videos, rows, every=4, bout_seconds={}, window=5)


def test_a_fold_of_tracks_is_told_by_a_fit_without_all_its_videos():
    folds = track_folds({"1": ["p", "q"], "2": ["r", "s"]})
    scores = folds.scores()
    for fold, videos in zip(scores, (["p", "q"], ["r", "s"])):
        weights = folds.fit.without(*videos)
        right = 0
        for row in folds.rows:
            if row.video in videos:
                features = folds.features[row.video].groups
                told = weights.probabilities(features).actions[row.row].argmax()
                right += told == LABELS.indices(row.code)[1]
        found = sum(counts.found for counts in fold.counts.values())
        seconds = folds.rows[0].seconds
        assert fold.videos == 2 and found == pytest.approx(right * seconds)
        total = sum(counts.instances for counts in fold.counts.values())
        assert total == pytest.approx(12 * seconds)


def test_a_learning_curve_is_of_fits_to_fewer_of_the_other_videos(tmp_path):
    assert (sizes(20), sizes(3), sizes(1)) == ([2, 3, 5, 10, 20], [2, 3], [])
    folds = track_folds({"1": ["p"], "2": ["q"], "3": ["r"], "4": ["s"]})
    curve = folds.curve()
    assert sorted(curve) == [2, 3]
    # The largest fits are to all other videos.
    told = []
    for video in "pqrs":
        others = [row for row in folds.rows if row.video != video]
        weights = fit_tracks(folds.features, others, LABELS).weights
        for row in folds.rows:
            if row.video == video:
                features = folds.features[video].groups
                answer = weights.probabilities(features).actions[row.row].argmax()
                told.append(answer == LABELS.indices(row.code)[1])
    found = sum(counts.found for counts in curve[3].counts.values())
    assert found == pytest.approx(np.sum(told) * folds.rows[0].seconds)
    learning_curve.write(tmp_path, curve)
    rows = list(csv.reader((tmp_path / learning_curve.TABLE).open()))
    assert [row[:2] for row in rows[1:4]] == [
        ["2", "rest"],
        ["2", "run"],
        ["2", "mean"],
    ]
    picture = (tmp_path / learning_curve.PICTURE).read_bytes()
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "right, expected",
    [
        (6, "4 with 60; it still rises, so more coded videos are likely to help"),
        (5, "4 with 50; it hardly rises, so more videos of the same kind may not help"),
    ],
)
def test_the_curve_is_told_in_a_sentence(right, expected):
    curve = {
        2: FoldScores("2", 5, {"run": Counts(10, 5, 10)}),
        4: FoldScores("4", 5, {"run": Counts(10, right, 10)}),
    }
    assert learning_curve.sentence(curve) == (
        "learning curve: 2 coded videos tell behaviours in others with a mean F1 of"
        f" 50, {expected}"
    )
