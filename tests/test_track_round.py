"""From tracks and coded times to pages: `a2d start --tracks`, without a training."""

import csv
import json
import pathlib

import numpy as np
import pytest
from a2d_files import encode_video
from processes import complaint, run_a2d, succeeded
from test_efficientnet import state

from a2d_tf.core.counts import Counts
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.own_labels import coded_seconds_report
from a2d_tf.evaluation.own_labels.coded_seconds import CodedSeconds
from a2d_tf.pretrained import layouts
from a2d_tf.training.given_tracks import coded_instances, track_features
from a2d_tf.training.given_tracks.fit_tracks import fit_tracks
from a2d_tf.training.given_tracks.left_out_videos import LeftOutPredictor
from a2d_tf.training.given_tracks.track_features import TrackFeatures

SIDE = 12
FRAMES = 20
CODED = ("a", "b", "c")
VIDEOS = (*CODED, "d")
LABELS = LabelSpace(("mouse",), ("rest", "run"), (11, 12))


def boxes_of(video):
    """{track: [x1 of each frame]}: one of two mice runs to the right."""
    runner = 1 + VIDEOS.index(video) % 2
    lefts = {}
    for track in (1, 2):
        start = 4 + 5 * VIDEOS.index(video)
        step = 3 if track == runner else 0
        lefts[track] = [start + step * frame for frame in range(FRAMES)]
    return lefts


def draw(folder):
    """Write videos, a file of tracks for each, and the coded times of three."""
    rng = np.random.default_rng(0)
    rows = []
    (folder / "tracks").mkdir(parents=True)
    for video in VIDEOS:
        background = rng.integers(60, 120, (64, 112, 3), np.uint8)
        texture = rng.integers(0, 255, (2, SIDE, SIDE, 3), np.uint8)
        lefts = boxes_of(video)
        frames = []
        lines = []
        for number in range(FRAMES):
            frame = background.copy()
            for track in (1, 2):
                x, y = lefts[track][number], 8 + 24 * (track - 1)
                frame[y : y + SIDE, x : x + SIDE] = texture[track - 1]
                lines.append(f"{number + 1},{track},{x},{y},{SIDE},{SIDE},1,-1,-1,-1")
            frames.append(frame)
        encode_video(folder / "videos" / f"{video}.mp4", frames, "libx264")
        (folder / "tracks" / f"{video}.txt").write_text("\n".join(lines))
        if video in CODED:
            for track in (1, 2):
                does = "run" if lefts[track][1] > lefts[track][0] else "rest"
                who = ("one", "two")[track - 1]
                rows.append((video, f"{video}.mp4", 25, who, does, "STATE", 0, 0.79))
    header = ("Observation id", "Media file", "FPS", "Subject", "Behavior")
    header += ("Behavior type", "Start (s)", "Stop (s)")
    with open(folder / "coded.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def words(tmp_path, monkeypatch):
    """The words of a2d start in a folder of drawn videos, with random weights."""
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/weights").mkdir(parents=True)
    made = layouts.convert("efficientnet_lite0", state(), "lite0.pth")[0]
    made.write(tmp_path / "cache/weights/lite0.h5")
    draw(tmp_path)
    return [
        f"--tracks={tmp_path / 'tracks'}",
        f"--bouts={tmp_path / 'coded.csv'}",
        f"--videos={tmp_path / 'videos'}",
    ]


SUBJECTS = '--subjects={"one": "1", "two": "2"}'
FURTHER = ["--", "--actor=mouse", "--every=4", SUBJECTS]


def detections(library):
    """{video: the rows of its detections.json}."""
    rows = {}
    for video in VIDEOS:
        path = pathlib.Path(library) / video / "detections.json"
        rows[video] = json.loads(path.read_text())
    return rows


def test_tracks_and_times_to_pages(words, tmp_path):
    output = tmp_path / "out"
    done = run_a2d("start", *words, f"--output={output}", *FURTHER)
    printed = succeeded(done)
    assert printed.splitlines()[-1] == str(output / "videos" / "index.html")
    assert "weights of I3D, which know actions by their motion, are not" in done.stderr
    assert "--merge_gap" not in done.stderr
    scores = json.loads((output / "scores.json").read_text())
    coded = {row["name"]: row["coded"] for row in scores["behaviours"]}
    assert coded == {"rest": pytest.approx(2.4), "run": pytest.approx(2.4)}
    page = (output / "videos" / "index.html").read_text()
    assert "each coded video was scored by a fit without it" in page
    # Each track is there in each answered frame, under its own number.
    for video in VIDEOS:
        tracks = json.loads((output / "videos" / video / "tracks.json").read_text())
        runner = 1 + VIDEOS.index(video) % 2
        told = {track["track_id"]: track["actions"] for track in tracks}
        assert sorted(told) == [1, 2]
        for track, actions in told.items():
            does = "run" if track == runner else "rest"
            assert [bout["action"] for bout in actions] == [does]
    # Coded pages have labels of the fit without them; the model says how good it was.
    info = json.loads((output / "model" / "a2d_tf.json").read_text())
    assert info["held_out"]["videos"] == 3
    assert info["held_out"]["seconds"] == pytest.approx(4.8)
    assert 0 <= info["held_out"]["unsure_below"] <= 1
    for video in VIDEOS:
        folder = output / "videos" / video
        facts = json.loads((folder / "video.json").read_text())
        assert facts["held_out"] | {"trained_on": [*CODED]} == info["held_out"]
        assert facts.get("coded") == ("left_out" if video in CODED else None)
        page = (folder / "index.html").read_text()
        assert "In 3 coded videos, each left out of the fit in turn, " in page
        assert ("of the fit that left it out" in page) == (video in CODED)
    # Kept features say what the model says, except of videos that were left out.
    model = ["predict", f"--saved_model={output / 'model'}"]
    of_tracks = [words[0], "--actor=mouse", "--every=4", "--results=detections"]
    library = tmp_path / "library"
    succeeded(
        run_a2d(
            *model,
            *of_tracks,
            f"--video={tmp_path / 'videos'}",
            f"--output={library}",
        )
    )
    kept = detections(output / "videos")
    count = 0
    for video, rows in detections(library).items():
        assert len(rows) == len(kept[video]) == 10
        for row, kept_row in zip(rows, kept[video]):
            same = ("image_id", "category_id", "bbox", "track_id")
            for name in same:
                assert row.get(name) == kept_row.get(name)
            assert row["score"] == pytest.approx(kept_row["score"], abs=0.02)
            count += 1
    assert count == 40
    # Without tracks it has nothing to label.
    alone = run_a2d(
        *model, f"--video={tmp_path / 'videos/a.mp4'}", f"--output={tmp_path / 'alone'}"
    )
    assert "pass --tracks" in complaint(alone)
    # Half done and given again: the same.
    before = (output / "scores.json").read_bytes()
    (output / "features" / "b.npz").unlink()
    (output / "features" / "c.npz").write_bytes(b"torn")
    (output / "model.json").unlink()
    succeeded(run_a2d("start", *words, f"--output={output}", *FURTHER))
    assert (output / "scores.json").read_bytes() == before
    assert detections(output / "videos") == kept
    # A track that is missing in a single frame, which is to be labelled.
    path = tmp_path / "tracks" / "d.txt"
    rows = path.read_text().splitlines()
    path.write_text("\n".join(row for row in rows if not row.startswith("5,1,")))
    again = ("start", *words, f"--output={output}", *FURTHER)
    done = run_a2d(*again)
    succeeded(done)
    assert "one of 4 frames is labelled, and 1 times a track is missing" in done.stderr
    done = run_a2d(*again, "--merge_gap=0.5")
    succeeded(done)
    assert "--merge_gap" not in done.stderr
    check_a_new_behaviour(again, tmp_path)


def check_a_new_behaviour(words, folder):
    """Code a behaviour more, in two videos: a new fit, of features that are kept."""
    path = folder / "coded.csv"
    rows = path.read_text().splitlines()
    for number, row in enumerate(rows):
        if row.startswith(("a,", "c,")):
            rows[number] = row.replace(",rest,", ",freeze,")
    path.write_text("\n".join(rows))
    output = folder / "out"
    features = sorted((output / "features").iterdir())
    times = [file.stat().st_mtime_ns for file in features]
    printed = succeeded(run_a2d(*words))
    assert "features of" not in printed
    assert [file.stat().st_mtime_ns for file in features] == times
    scores = json.loads((output / "scores.json").read_text())
    coded = {row["name"]: row["coded"] for row in scores["behaviours"]}
    assert list(coded) == ["freeze", "rest", "run"]
    assert coded["freeze"] == pytest.approx(1.6)
    info = json.loads((output / "model" / "a2d_tf.json").read_text())
    assert info["labels"]["actions"] == ["freeze", "rest", "run"]
    page = (output / "videos" / "a" / "index.html").read_text()
    assert "freeze" in page


def test_mistakes(words, tmp_path):
    output = f"--output={tmp_path / 'out'}"

    def problem(*more):
        return complaint(run_a2d("start", *more))

    assert "--bouts is missing" in problem(words[0], words[2], output)
    for flag in ("--after=x", "--minutes=3", "--annotations=x"):
        name = flag.split("=")[0]
        assert f"{name} has nothing to do" in problem(*words, output, flag)
    told = problem(*words, output, "--", "--steps=3")
    assert told.startswith("error: --steps=3: has nothing to do with --tracks")
    told = problem(*words, output, "--actor=mouse")
    assert "--actor=mouse: give it behind --, as in: a2d start ... -- --actor" in told
    (tmp_path / "tracks/d.txt").unlink()
    assert "no tracks of d" in problem(*words, output, *FURTHER)
    assert not (tmp_path / "out" / "features").exists()


def test_seconds_of_behaviours_in_words():
    scores = CodedSeconds.count(
        ("dig", "rest", "run"),
        videos=["a", "a", "b", "b", "c"],
        seconds=[10.0, 2.0, 5.0, 3.0, 4.0],
        coded=[1, 2, 2, 1, 0],
        predicted=[1, 1, 2, 1, 2],
    )
    _, rest, run = scores.behaviours
    assert rest.counts == Counts(annotated=13, right=13, predicted=15)
    assert (rest.videos, run.taken_for) == (2, {"rest": 2})
    assert run.counts == Counts(annotated=7, right=5, predicted=9)
    sentences = coded_seconds_report.lines(scores)
    assert sentences[2] == (
        "run: found in 5.0 of 7.0 coded seconds; of 9.0 predicted 5.0 are right; in 2"
        " videos left out; 2.0 were taken for rest"
    )
    assert sentences[0] == (
        "dig: 4.0 seconds of one video, which nothing tells once that is left out; code"
        " it in another"
    )
    assert [video.name for video in scores.videos] == ["c", "a", "b"]
    assert sentences[3:] == [
        "look at these first: c (0 % agree), a (83 % agree)",
        "code more of: dig (4.0 s), rest (13 s), run (7.0 s); some 20 s in 3 videos or"
        " more",
    ]


def features_of(groups, digest="x"):
    """Two tracks in frames 1, 5 and 9."""
    return TrackFeatures(
        digest=digest,
        seconds=0.2,
        numbers=np.array([1, 1, 5, 5, 9, 9], np.int32),
        tracks=np.array([2, 7] * 3),
        groups=groups,
    )


def test_features_are_read_as_written_or_not_at_all(tmp_path):
    path = tmp_path / "a.npz"
    groups = {"appearance": np.arange(12, dtype=np.float16).reshape(6, 2)}
    features_of(groups).write(path)
    kept = track_features.read(path, "x")
    assert (kept.seconds, kept.groups["appearance"].dtype) == (0.2, np.float16)
    np.testing.assert_array_equal(kept.groups["appearance"], groups["appearance"])
    assert kept.rows(5, np.array([7, 2])).tolist() == [3, 2]
    assert track_features.read(path, "other") is None
    assert track_features.read(tmp_path / "b.npz", "x") is None
    path.write_bytes(path.read_bytes()[:100])
    assert track_features.read(path, "x") is None


def coded_features():
    """Features of four videos, and the codes of their two tracks in three frames."""
    rng = np.random.default_rng(3)
    videos = {}
    codes: dict = {}
    for video in "pqrs":
        groups = {"appearance": rng.normal(size=(6, 4)).astype(np.float16)}
        videos[video] = features_of(groups)
        codes[video] = {}
        for number in (1, 5, 9):
            codes[video][number, 2] = int(rng.choice(LABELS.codes))
            codes[video][number, 7] = int(rng.choice(LABELS.codes))
    return videos, codes


def fitted(videos, codes, bout_seconds):
    """The coded rows of videos, their fit, and these rows by the fits without them."""
    rows = coded_instances.find(videos, codes, every=4)
    fit = fit_tracks(videos, rows, LABELS)
    predictor = LeftOutPredictor(LABELS, videos, 4, bout_seconds)
    scored = predictor.predict_left_out(fit, rows)
    return rows, fit, scored


def test_predictions_of_videos_left_out_are_read_along_tracks():
    """Bouts that last: of each track the action that all its frames make likeliest."""
    videos, codes = coded_features()
    lasting = dict.fromkeys(LABELS.actions, 1e6)
    _, fit, scored = fitted(videos, codes, lasting)
    likely = []
    for row in scored:
        weights = fit.without(row.coded.video)
        actions = weights.probabilities(videos[row.coded.video].groups).actions
        likely.append(np.log(actions[row.coded.row]))
    likely = np.array(likely)
    told = np.array([row.predicted for row in scored])
    _, _, alone = fitted(videos, codes, {})
    assert told.tolist() != [row.predicted for row in alone]
    for rows in (np.arange(6 * i, 6 * i + 6) for i in range(4)):
        for track in (rows[::2], rows[1::2]):
            assert set(told[track]) == {likely[track].sum(axis=0).argmax()}


def test_uncoded_frames_of_a_track_say_what_it_does():
    """As on the page: all frames of a lasting bout count, not the coded ones alone."""
    videos, codes = coded_features()
    codes["p"] = {(5, 2): codes["p"][5, 2]}
    lasting = dict.fromkeys(LABELS.actions, 1e6)
    _, fit, scored = fitted(videos, codes, lasting)
    actions = fit.without("p").probabilities(videos["p"].groups).actions[::2]
    (row,) = (row for row in scored if row.coded.video == "p")
    assert row.predicted == np.log(actions).sum(axis=0).argmax()
    assert row.coded.row == 2


def test_an_instance_stands_for_the_frames_that_are_coded_alike():
    """Of frames 1 to 4 two are coded as the first one, of 5 to 8 all, of 9 on one."""
    videos, codes = coded_features()
    run, other = LABELS.codes[:2]
    codes["p"] = {(1, 2): run, (2, 2): run, (3, 2): other, (9, 2): run}
    codes["p"].update({(number, 2): run for number in (5, 6, 7, 8)})
    rows = coded_instances.find(videos, codes, every=4)
    seconds = [row.seconds for row in rows if row.video == "p"]
    assert seconds == pytest.approx([0.1, 0.2, 0.05])


def test_a_video_is_told_by_a_fit_without_it():
    """By fits to the other videos, which have the whole fit's weights and scales."""
    videos, codes = coded_features()
    _, fit, scored = fitted(videos, codes, {})
    x = np.concatenate([videos[v].groups["appearance"] for v in "pqrs"]).astype(float)
    y = np.array([row.action for row in scored])
    video_of = np.array([row.coded.video for row in scored])
    weights = 1 / (2 * np.bincount(y)[y])
    z = np.c_[(x - weights @ x) / x.std(0) / 2, np.ones(len(x))]
    for video in "pqrs":
        rest = video_of != video
        penalty = np.diag([0.03] * 4 + [0])
        gram = (z[rest] * weights[rest, None]).T @ z[rest] + penalty
        moments = (z[rest] * weights[rest, None]).T @ np.eye(2)[y[rest]]
        solution = np.linalg.solve(gram, moments)
        told = [row.predicted for row in scored if row.coded.video == video]
        assert told == (z[~rest] @ solution).argmax(1).tolist()
        # Frames that nobody coded have the labels of the same fit.
        inverse_temperature = fit.fitted.action.inverse_temperature
        weights_without = fit.without(video)
        for other in "pqrs":
            exponentials = np.exp(
                inverse_temperature * (z[video_of == other] @ solution)
            )
            expected = exponentials / exponentials.sum(axis=1, keepdims=True)
            actual = weights_without.probabilities(videos[other].groups).actions
            np.testing.assert_allclose(actual, expected, atol=1e-3)
    actor, action = fit.weights.probabilities(videos["p"].groups)
    np.testing.assert_allclose(actor, np.ones((6, 1)))
    np.testing.assert_allclose(action.sum(axis=1), np.ones(6))


def test_a_single_coded_video_is_not_left_out():
    videos, codes = coded_features()
    rows = coded_instances.find(videos, {"p": codes["p"]}, every=4)
    assert not fit_tracks(videos, rows, LABELS).can_leave_out
