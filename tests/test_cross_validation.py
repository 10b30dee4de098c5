"""a2d start --folds: which video is in which, their scores; and the learning curve."""

import csv
import itertools
import json
import pathlib
import types

import numpy as np
import pytest
from test_track_round import LABELS, coded_features

from a2d_tf.annotations.selection.split import folds_by_pairs
from a2d_tf.commands.rounds import chosen_folds
from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.commands.rounds.tracks.track_folds import TrackFolds
from a2d_tf.commands.rounds.trained import trained_folds
from a2d_tf.commands.rounds.trained.track_scoring import TrackScoring
from a2d_tf.commands.rounds.trained.trained_folds import TrainedFolds
from a2d_tf.core.counts import Counts
from a2d_tf.core.errors import InputError
from a2d_tf.evaluation.own_labels import fold_scores, learning_curve
from a2d_tf.evaluation.own_labels.fold_scores import FoldScores
from a2d_tf.evaluation.own_labels.learning_curve import Point
from a2d_tf.paper.folds import read_folds
from a2d_tf.training.given_tracks import coded_instances
from a2d_tf.training.given_tracks.fit_tracks import fit_tracks
from a2d_tf.training.given_tracks.left_out_videos import LeftOutPredictor
from a2d_tf.training.given_tracks.smaller_fits import sizes
from a2d_tf.video.library.library_videos import Job

STAGES_OF_A_FOLD = ("records", "training", "scores", "videos", "objects")

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
    rows = coded_instances.find(videos, codes, every=4)
    fit = fit_tracks(videos, rows, LABELS)
    predictor = LeftOutPredictor(LABELS, videos, every=4, bout_seconds={}, window=5)
    return TrackFolds(folds, fit, rows, predictor)


def test_a_fold_of_tracks_is_told_by_a_fit_without_all_its_videos():
    folds = track_folds({"1": ["p", "q"], "2": ["r", "s"]})
    scores = folds.scores()
    for fold, videos in zip(scores, (["p", "q"], ["r", "s"])):
        weights = folds.fit.without(*videos)
        right = 0
        for row in folds.coded:
            if row.video in videos:
                features = folds.predictor.videos[row.video].groups
                told = weights.probabilities(features).actions[row.row].argmax()
                right += told == LABELS.indices(row.code)[1]
        found = sum(counts.right for counts in fold.counts.values())
        seconds = folds.coded[0].seconds
        assert fold.videos == 2 and found == pytest.approx(right * seconds)
        total = sum(counts.annotated for counts in fold.counts.values())
        assert total == pytest.approx(12 * seconds)


def test_a_learning_curve_is_of_fits_to_fewer_of_the_other_videos(tmp_path):
    assert (sizes(20), sizes(3), sizes(1)) == ([2, 3, 5, 10, 20], [2, 3], [])
    folds = track_folds({"1": ["p"], "2": ["q"], "3": ["r"], "4": ["s"]})
    curve = folds.curve()
    assert sorted(curve) == [2, 3]
    # The largest fits are to all other videos.
    told = []
    for video in "pqrs":
        others = [row for row in folds.coded if row.video != video]
        weights = fit_tracks(folds.predictor.videos, others, LABELS).weights
        for row in folds.coded:
            if row.video == video:
                features = folds.predictor.videos[video].groups
                answer = weights.probabilities(features).actions[row.row].argmax()
                told.append(answer == LABELS.indices(row.code)[1])
    found = sum(counts.right for counts in curve[3].counts.values())
    assert found == pytest.approx(np.sum(told) * folds.coded[0].seconds)
    points = learning_curve.points_of_fits(curve)
    assert [point.videos for point in points] == [2, 3]
    learning_curve.write(tmp_path, points, learning_curve.OF_CODED_VIDEOS)
    rows = list(csv.reader((tmp_path / learning_curve.TABLE).open()))
    assert [row[:3] for row in rows[1:4]] == [
        ["1", "2", "rest"],
        ["1", "2", "run"],
        ["1", "2", "mean"],
    ]
    picture = (tmp_path / learning_curve.PICTURE).read_bytes()
    assert picture.startswith(b"\x89PNG")
    # With fewer coded videos there is no curve, nor an old one.
    learning_curve.write(tmp_path, points[:1], learning_curve.OF_CODED_VIDEOS)
    assert not list(tmp_path.glob("learning_curve.*"))


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


def test_points_of_rounds_have_the_mean_of_what_all_of_them_know(tmp_path):
    """It is read again by the next round."""
    points = [
        Point(4, {"run": 20.0, "rest": 40.0, "mean": 7.0}),
        Point(4, {"run": 30.0, "rest": 60.0}),
        Point(9, {"run": 50.0, "rest": 60.0, "turn": 0.0}),
    ]
    points = learning_curve.with_means(points)
    assert [point.f1["mean"] for point in points] == [30.0, 45.0, 55.0]
    learning_curve.write(tmp_path, points, learning_curve.OF_ROUNDS)
    assert learning_curve.read(tmp_path) == points
    table = (tmp_path / learning_curve.TABLE).read_text()
    assert table.startswith("point,videos,behaviour,f1\n1,4,run,20.0\n1,4,rest,40.0\n")
    (tmp_path / learning_curve.TABLE).write_text(table[:-3])
    with pytest.raises(InputError, match="learning_curve.csv: truncated; delete it"):
        learning_curve.read(tmp_path)
    (tmp_path / learning_curve.TABLE).write_text(table.replace("40.0", "4o.0"))
    with pytest.raises(InputError, match="f1 is '4o.0', which is no number; delete"):
        learning_curve.read(tmp_path)


def objects_of(fold):
    """What `a2d score objects` says of a video of a fold."""
    rows = {
        "mouse-run": {
            "name": "run",
            "frames": 2,
            "instances": 2,
            "taken_for": {},
            "videos": 1,
        },
        "mouse-rest": {"name": "rest", "frames": 1, "instances": 1, "videos": 1},
    }
    rows["mouse-run"] |= {"found": int(fold), "findings": 2}
    rows["mouse-rest"] |= {"found": 0, "findings": 0, "taken_for": {"run": 1}}
    mistakes = {"1": [[11, 0], [12, 11]], "2": [[12, 0]]}
    return {
        "videos": [f"v{fold}"],
        "frames": 3,
        "behaviours": rows,
        "mistakes": {f"v{fold}/00001": mistakes[fold]},
    }


def test_a_trained_fold_has_not_seen_its_videos_and_is_scored_by_its_tracks(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(trained_folds.scores, "are_current", lambda *_: False)
    manifest = types.SimpleNamespace(source="s")
    monkeypatch.setattr(trained_folds.Manifest, "load", lambda _: manifest)
    called = []

    def run(stage, *words):
        called.append((stage, words))
        if stage == "folds":
            instances = [{"code": 11}, {"code": 12}]
            records = [{"video": f"v{i}", "instances": instances} for i in (1, 2)]
            path = words[-1].removeprefix("--json=")
            pathlib.Path(path).write_text(json.dumps(records))
        if stage.startswith("objects"):
            path = pathlib.Path(words[-1].removeprefix("--output="))
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(objects_of(stage[-1])))

    jobs = [Job(f"videos/v{i}.mp4", f"out/v{i}") for i in (1, 2, 3)]
    stages = types.SimpleNamespace(run=run)
    found = TrainedFolds(
        folder=RoundFolder(tmp_path),
        chosen="2",
        stages=stages,
        record_flags=["--annotations=own.json"],
        labels=LABELS,
        scoring=TrackScoring(stages, jobs, tmp_path / "labels.json", "--max_tracks=1"),
    ).run()
    names = [f"{name}_{fold}" for fold in (1, 2) for name in STAGES_OF_A_FOLD]
    assert [stage for stage, _ in called] == ["folds", *names]
    words_of = dict(called)
    fold = chosen_folds.read_folds(str(tmp_path / "folds/videos.csv"))["1"]
    assert words_of["records_1"][-1] == f"--test_videos={fold[0]}"
    folder = tmp_path / "folds/fold_1"
    assert f"--flagfile={tmp_path}/run/flags.txt" in words_of["training_1"]
    assert f"--workdir={folder}/run" in words_of["videos_1"]
    (listed,) = (folder / "videos.txt").read_text().splitlines()
    assert listed.endswith(f"videos/{fold[0]}.mp4")
    assert found.scores.to_json() == {
        "folds": 2,
        "videos": 2,
        "frames": 6,
        "behaviours": {
            "run": {
                "objects": 4,
                "videos": 2,
                "right": 3,
                "predicted": 4,
                "taken_for": {},
            },
            "rest": {
                "objects": 2,
                "videos": 2,
                "right": 0,
                "predicted": 0,
                "taken_for": {"run": 2},
            },
        },
    }
    assert "F1 of objects, percent; 2 videos in 2 folds" in found.table
    rows = (tmp_path / "cross_validation.csv").read_text().splitlines()
    assert "1,1,run,2,2,1,50.0,50.0,50.0" in rows
    assert "all,2,run,4,4,3,75.0,75.0,75.0" in rows
    summed = (tmp_path / "folds/behaviours.csv").read_text().splitlines()
    assert "run,4,4,3,4,75.0,75.0,75.0" in summed
