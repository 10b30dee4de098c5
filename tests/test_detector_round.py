"""From a detector and coded times to pages: `a2d start --detector`."""

import csv
import json

import blob_detector
import pytest
from a2d_files import write_images
from blob_detector import Blobs, frame
from processes import complaint, run_a2d, succeeded
from test_coded_subjects import cvat_track, open_cvat, state
from test_coding import labels
from test_efficientnet import state as state_of_lite0

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import layouts
from a2d_tf.video import video_prediction
from a2d_tf.video.library import library_videos
from a2d_tf.video.track_store.detected_tracks import DetectedTracks

PERSON, DOG, _ = blob_detector.COLOURS
FRAMES = 20
CODED = ("a", "b", "c")
VIDEOS = (*CODED, "d")
FURTHER = ["--", "--actors=mouse=person,mouse=dog", "--every=4", "--fps=25"]


def images(video):
    """A mouse, red, that runs in the first half or in the second, else rests.

    In c a second one, green, rests below it in the last five frames.
    """
    left = 8
    frames = []
    for number in range(FRAMES):
        left += 4 if runs(video, number) else 0
        boxes = {PERSON: (8, left, 32, left + 24)}
        if video == "c" and number >= 15:
            boxes[DOG] = (60, 100, 84, 124)
        frames.append(frame(boxes))
    return frames


def runs(video, number):
    return (number < 10) == (VIDEOS.index(video) % 2 == 0)


def write_codes(path):
    """Times of one subject, Tim, in each coded video; in c one when two are there."""
    rows = []
    for video in CODED:
        first, second = ("run", "rest") if runs(video, 0) else ("rest", "run")
        end = 0.59 if video == "c" else 0.79
        rows.append((video, video, 25, "Tim", first, "STATE", 0, 0.39))
        rows.append((video, video, 25, "Tim", second, "STATE", 0.4, end))
    rows.append(("c", "c", 25, "Tim", "rest", "STATE", 0.6, 0.79))
    header = ("Observation id", "Media file", "FPS", "Subject", "Behavior")
    header += ("Behavior type", "Start (s)", "Stop (s)")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def words(tmp_path, monkeypatch):
    """The words of a2d start in a folder of drawn videos, with random weights."""
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/weights").mkdir(parents=True)
    made = layouts.convert("efficientnet_lite0", state_of_lite0(), "lite0.pth")[0]
    made.write(tmp_path / "cache/weights/lite0.h5")
    for video in VIDEOS:
        write_images(tmp_path / "videos" / video, images(video))
    write_codes(tmp_path / "coded.csv")
    blob_detector.write(tmp_path / "blobs")
    return [
        f"--detector={tmp_path / 'blobs'}",
        f"--bouts={tmp_path / 'coded.csv'}",
        f"--videos={tmp_path / 'videos'}",
    ]


@pytest.mark.slow
def test_a_detector_and_times_to_pages(words, tmp_path):
    output = tmp_path / "out"
    start = ["start", *words, f"--output={output}", *FURTHER]
    done = run_a2d(*start)
    printed = succeeded(done)
    assert printed.splitlines()[-1] == str(output / "videos" / "index.html")
    # The coded time with two mice is told, and left out.
    (note,) = (line for line in done.stderr.splitlines() if "'Tim'" in line)
    assert "from second 0.6 to 0.79 of 'c' mouse 1, mouse 2 are visible" in note
    assert "1 such bouts are left out" in note
    scores = json.loads((output / "scores.json").read_text())
    coded = {row["name"]: row["coded"] for row in scores["behaviours"]}
    # Frames 11 and 12 do not do what frame 9 does, which is answered for them.
    assert coded == {"rest": pytest.approx(0.84), "run": pytest.approx(1.12)}
    for video in VIDEOS:
        tracks = json.loads((output / "videos" / video / "tracks.json").read_text())
        assert [track["track_id"] for track in tracks] == (
            [1, 2] if video == "c" else [1]
        )
        assert {track["actor"] for track in tracks} == {"mouse"}
        page = (output / "videos" / video / "index.html").read_text()
        assert "those that the detector blobs found" in page
    # The tracks are those of the way by hand.
    succeeded(
        run_a2d(
            "predict",
            words[0],
            *FURTHER[1:2],
            "--fps=25",
            f"--video={tmp_path / 'videos'}",
            f"--output={tmp_path / 'found'}",
        )
    )
    kept = {}
    for video in VIDEOS:
        by_hand = tmp_path / f"{video}.xml"
        words_of_export = (f"--prediction={tmp_path / 'found' / video}", "--every=1")
        succeeded(
            run_a2d("export-annotations", *words_of_export, f"--output={by_hand}")
        )
        path = output / "tracks" / f"{video}.xml"
        assert path.read_bytes() == by_hand.read_bytes()
        kept[video] = path.stat().st_mtime_ns
    assert sorted(p.name for p in output.glob("tracks/*")) == [
        f"{video}.xml" for video in VIDEOS
    ]
    # A second time only the tracks that are missing are made; corrections stay.
    path = output / "tracks" / "a.xml"
    path.write_text(path.read_text().replace('name="name">1<', 'name="name">Tim<'))
    corrected = path.read_bytes()
    (output / "tracks" / "b.xml").unlink()
    succeeded(run_a2d(*start))
    assert path.read_bytes() == corrected
    assert (output / "tracks" / "b.xml").read_bytes() == (
        tmp_path / "b.xml"
    ).read_bytes()
    assert (output / "tracks" / "c.xml").stat().st_mtime_ns == kept["c"]
    (tim,) = json.loads((output / "videos" / "a" / "tracks.json").read_text())
    assert tim["name"] == "Tim"
    # Another detector, other classes: nothing is replaced.
    other = blob_detector.write(tmp_path / "other", Blobs(scores=(0.9, 0.9, 0.9)))
    problem = complaint(run_a2d("start", f"--detector={other}", *start[2:]))
    assert "tracks of another detector (blobs); use another --output" in problem
    problem = complaint(run_a2d(*start[:-3], "--actors=mouse=person"))
    assert "tracks with --actors=mouse=person,mouse=dog, not mouse=person" in problem
    assert path.read_bytes() == corrected


def test_mistakes(words, tmp_path):
    output = f"--output={tmp_path / 'out'}"

    def problem(*more):
        return complaint(run_a2d("start", *more))

    assert "--bouts is missing" in problem(words[0], words[2], output)
    for flag in ("--after=x", "--minutes=3", "--annotations=x", "--tracks=x"):
        name = flag.split("=")[0]
        told = problem(*words, output, flag)
        assert (
            f"--detector finds the individuals, and nothing is trained, so {name}"
            in (told)
        )
    told = problem(*words, output, "--", "--steps=3")
    assert told.startswith("error: --steps=3: has nothing to do with --detector")
    told = problem(*words, output, "--actors=person")
    assert "--actors=person: give it behind --" in told
    assert "did you mean person?" in problem(*words, output, "--", "--actors=perzon")
    told = problem("--detector=none", *words[1:], output)
    assert "--detector=none: no saved_model.pb there" in told
    told = problem(words[0], "--bouts=none.csv", words[2], output, *FURTHER)
    assert "none.csv" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_videos_without_anybody_who_is_coded(words, tmp_path):
    dog = {DOG: (60, 100, 84, 124)}
    both = {**dog, PERSON: (8, 8, 32, 32)}
    write_images(tmp_path / "videos" / "d", [frame(both)] * FRAMES)
    write_images(tmp_path / "videos" / "e", [frame({})] * FRAMES)
    write_images(tmp_path / "videos" / "f", [frame(dog)] * FRAMES)
    (tmp_path / "videos" / "c").rename(tmp_path / "c")
    output = tmp_path / "out"
    start = ["start", *words, f"--output={output}", "--", "--every=4", "--fps=25"]
    done = run_a2d(*start)
    succeeded(done)
    assert "note: nobody coded dog, so its 40 boxes are left out" in done.stderr
    actors = {}
    for video in "adef":
        path = output / "videos" / video / "tracks.json"
        actors[video] = [track["actor"] for track in json.loads(path.read_text())]
    assert actors == {"a": ["person"], "d": ["person"], "e": [], "f": []}


def test_nobody_at_all(words, tmp_path):
    for video in VIDEOS:
        write_images(tmp_path / "videos" / video, [frame({})] * FRAMES)
    start = ["start", *words, f"--output={tmp_path / 'out'}", *FURTHER]
    assert "no annotated frames" in complaint(run_a2d(*start))


def by_sight(folder, tracks, rows, **fields):
    return open_cvat(folder, {"own.xml": tracks}, rows, by_sight=True, **fields)


def test_a_subject_is_who_is_seen_alone(tmp_path):
    """The first, then the second, which may be the same one after a gap."""
    tracks = [cvat_track(0, 4, (0, 1), "1"), cvat_track(1, 20, (3, 4), "2")]
    rows = state("Ann", "run", 0, 0.2) + state("Ann", "rest", 0.3, 0.45)
    source = by_sight(tmp_path, tracks, rows)
    assert labels(source) == {
        **dict.fromkeys((1, 2), ["mouse-run"]),
        **dict.fromkeys((4, 5), ["mouse-rest"]),
    }
    assert source.doubts == ()
    with pytest.raises(InputError, match="individual of 'yard' is called 'Ann'"):
        open_cvat(tmp_path, {"own.xml": tracks}, rows)


def test_a_subject_is_who_is_seen_beside_others_that_are_called(tmp_path):
    tracks = [cvat_track(0, 4, name="1"), cvat_track(1, 20, name="2")]
    rows = state("Ann", "run") + state("Bea", "rest")
    source = by_sight(tmp_path, tracks, rows, subjects={"Ann": "1"})
    assert labels(source) == dict.fromkeys((1, 2), ["mouse-run", "mouse-rest"])


def test_a_time_with_several_in_sight_is_told(tmp_path):
    tracks = [cvat_track(0, 4, (0, 1, 2, 3, 4), "1"), cvat_track(1, 20, (3, 4), "2")]
    both = state("Ann", "rest", 0.3, 0.45)
    problem = (
        "from second 0.3 to 0.45 of 'yard' mouse 1, mouse 2 are visible; say in"
        ' --subjects whose time it is: {"Ann": {"yard": "number of a track"}}'
    )
    with pytest.raises(InputError) as caught:
        by_sight(tmp_path, tracks, both)
    assert "e.csv, line 5: nobody is called 'Ann', and " + problem in str(caught.value)
    # Neither of the two is taken to do what all do between coded times.
    rows = state("Ann", "run", 0, 0.15) + both
    source = by_sight(tmp_path, tracks, rows, outside="none")
    run, none = ["mouse-run"], ["mouse-none"]
    assert labels(source) == {1: run, 2: run, 3: none}
    (doubt,) = source.doubts
    assert problem in doubt
    assert doubt.endswith("; 1 such bouts are left out")


def test_numbers_and_actors_of_nobody_are_no_one_in_sight(tmp_path):
    tracks = [cvat_track(0, 4, name="1")]
    for subject in ("7", "mouse 7"):
        with pytest.raises(InputError, match=f"is called '{subject}'"):
            by_sight(tmp_path, tracks, state(subject, "run"))
    named = [cvat_track(0, 4, (0, 1, 2), "Ann"), cvat_track(1, 20, (4, 5), "2")]
    with pytest.raises(InputError, match="is called 'Bea'"):
        by_sight(tmp_path, named, state("Bea", "run"))


def test_a_killed_detection_goes_on(words, tmp_path, monkeypatch):
    """Exports that are there are whole; the others are made."""
    output = tmp_path / "out"
    jobs = library_videos.plan(words[2].partition("=")[2], None, str(output / "videos"))
    detected = DetectedTracks(output, str(tmp_path / "blobs"), ["mouse=person"])
    predict = video_prediction.predict
    predicted = []

    def killed(load, reader, *arguments, **options):
        predicted.append(reader.name)
        outcome = predict(load, reader, *arguments, **options)
        return outcome._replace(is_interrupted=len(predicted) == 3)

    monkeypatch.setattr(video_prediction, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        detected.complete(jobs, "cpu", 25.0)
    names = sorted(path.name for path in output.rglob("*"))
    assert names == ["a.xml", "b.xml", "tracks", "tracks.json"]
    (output / ".detected").mkdir()  # as of a process that was killed
    detected.complete(jobs, "cpu", 25.0)
    assert predicted == ["a", "b", "c", "c", "d"]
    # A video that has changed is another one, unless its tracks are to be made.
    write_images(tmp_path / "videos" / "a", images("b"))
    with pytest.raises(InputError, match="tracks of another video 'a'"):
        detected.complete(jobs, "cpu", 25.0)
    (output / "tracks" / "a.xml").rename(output / "tracks" / "a.old")
    detected.complete(jobs, "cpu", 25.0)
    assert predicted[5:] == ["a"]
    # An export of CVAT in place of the file will do.
    (output / "tracks" / "a.xml").rename(output / "tracks" / "a.zip")
    detected.complete(jobs, "cpu", 25.0)
    assert len(predicted) == 6
    (output / "tracks.json").unlink()
    with pytest.raises(InputError, match=r"tracks.json: .* remove .*tracks, and with"):
        detected.complete(jobs, "cpu", 25.0)
