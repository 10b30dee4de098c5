"""Films that begin after the sound of their files: whose clock counts from where."""

import prediction_files
import pytest
from a2d_files import grey_frames, write_video_with_sound
from test_annotation_formats import open_source, write
from test_coding import annotations, events, labels

from a2d_tf.annotations.coded_times import coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.behaviour import agreement, boris, bouts
from a2d_tf.behaviour.prediction_folder import read_video_info

DELAY = 0.52
PRESENT = [(frame, "mouse", None, None) for frame in range(1, 11)]


@pytest.fixture
def film(tmp_path):
    """A film of 10 frames, 25 a second."""
    frames = grey_frames(10, 48, 64)
    return write_video_with_sound(tmp_path / "videos/yard.mp4", frames, DELAY)


def coded_labels(folder, observations):
    export = write(folder, {"own.json": annotations(PRESENT)}) / "own.json"
    coded = coding.Coding(observations)
    return labels(open_source(export, folder / "videos", coding=coded))


def test_times_of_boris_count_from_the_start_of_the_file(film, tmp_path):
    """Frames 3 to 5 are shown from 0.60 to 0.72 s, as a player counts."""
    rows = [("", "run", "START", "0.600"), ("", "run", "STOP", "0.720")]
    path = events(tmp_path / "events.tsv", rows, length="0.900")
    observations = bout_files.read(path)
    expected = dict.fromkeys((3, 4, 5), ["mouse-run"])
    assert coded_labels(tmp_path, observations) == expected


def test_times_of_a_prediction_count_from_the_first_frame(film, tmp_path):
    run = prediction_files.track(1, ("mouse", "run", 3, 5, 0.9))
    (action,) = run["actions"]
    action["start_second"] = 0.08
    action["end_second"] = 0.2
    folder = tmp_path / "prediction"
    prediction_files.write(folder, [run], 0, name="yard.mp4", film_start=DELAY)
    (folder / "summary.csv").write_text(
        "track_id,actor,action,start_second,end_second,start_frame,end_frame,mean_score"
        "\n1,mouse,run,0.08,0.2,3,5,0.9\n"
    )
    observations = bout_files.read(folder / "summary.csv")
    expected = dict.fromkeys((3, 4, 5), ["mouse-run"])
    assert coded_labels(tmp_path, observations) == expected


def test_a_prediction_agrees_with_its_events_in_the_clock_of_a_player(tmp_path):
    folder = prediction_files.write(tmp_path / "clip", overlay=0, film_start=DELAY)
    prediction = bouts.Prediction("clip", read_video_info(folder), bouts.read(folder))
    path = tmp_path / "events.tsv"
    boris.write_events(path, [prediction])
    times = [line.split("\t")[13] for line in path.read_text().splitlines()[1:3]]
    assert times == ["0.520", "1.520"]
    comparison = agreement.compare(bout_files.read(path), [prediction])
    scores = [figures["f1_seconds"] for figures in comparison.actions.values()]
    assert scores == pytest.approx([100.0] * len(scores))
