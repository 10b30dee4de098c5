"""How good a model is in videos held out: kept with it, told, and put on pages."""

import csv
import json
import shutil

import browsers
import pytest
from prediction_files import TRACKS, track, write
from test_page import HELPERS, parts

from a2d_tf.behaviour.comparison import ComparedVideo, compare_splits
from a2d_tf.behaviour.spans import TimeSpan
from a2d_tf.core.checked_json import check_json
from a2d_tf.core.errors import InputError
from a2d_tf.runs import held_out_file, held_out_scores, model_source
from a2d_tf.runs.held_out_scores import HeldOutScores
from a2d_tf.video.library import (
    library_page,
    library_request,
    library_tables,
    renewed_pages,
)
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.pages import held_out_sentences, trust, video_page

OBJECTS_JSON = {
    "videos": 2,
    "frames": 30,
    "behaviours": {
        "dog running": {"objects": 10, "right": 8, "predicted": 9},
        "dog walking": {
            "objects": 4,
            "videos": 1,
            "right": 1,
            "predicted": 5,
            "taken_for": {"cat running": 1, "dog running": 2},
        },
        "ball rolling": {"objects": 0, "right": 0, "predicted": 2},
        "cat running": {"objects": 0, "right": 0, "predicted": 0},
    },
    "unsure_below": 0.7,
    "trained_on": ["a"],
    "tested_on": ["b"],
    "before": {"dog running": {"objects": 10, "right": 3, "predicted": 9}},
    "folds": {
        "folds": 3,
        "videos": 5,
        "frames": 41,
        "behaviours": {
            "dog running": {"objects": 12, "right": 6, "predicted": 7},
            "cat running": {"objects": 3, "videos": 2, "right": 0, "predicted": 0},
        },
    },
}
SECONDS_JSON = {
    "videos": 2,
    "seconds": 6.0,
    "right": 3.0,
    "behaviours": {"run": {"seconds": 4.0, "right": 2.5, "predicted": 3}},
}
OBJECTS = HeldOutScores.from_json(OBJECTS_JSON)
SECONDS = HeldOutScores.from_json(SECONDS_JSON)


def test_it_is_told_in_sentences():
    for fields, scores in ((OBJECTS_JSON, OBJECTS), (SECONDS_JSON, SECONDS)):
        check_json(fields, held_out_scores.KIND)
        assert list(scores.to_json().items()) == list(fields.items())
    assert held_out_sentences.of_model(OBJECTS) == (
        "In 2 videos held out of the training (30 annotated frames), tracks found 9 of"
        " 14 annotated objects; of the 16 labels given, 9 are right. In"
        " cross-validation, 3 further trainings without one fold each of 5 videos (41"
        " annotated frames), tracks found 6 of 15 annotated objects; of the 7 labels"
        " given, 6 are right. A right label on a poor outline (IoU below .5) counts as"
        " wrong here, so seconds may be better than these figures."
    )
    assert held_out_sentences.of_model(SECONDS) == (
        "In 2 coded videos, each left out of the fit in turn, 50 % of the coded seconds"
        " got their behaviour: run 62 %."
    )
    told = trust.of_model(OBJECTS)
    assert [tuple(line) for line in told.lines] == [
        (
            "dog running: found 8 of 10; 8 of 9 that got this label are right (the"
            " round before: found 3 of 10; 3 of 9 that got this label are right) (in"
            " cross-validation: found 6 of 12; 6 of 7 that got this label are right).",
            80.0,
            88.9,
            False,
        ),
        (
            "dog walking: found 1 of 4 in 1 video; 2 taken for dog running; 1 of 5 that"
            " got this label are right.",
            25.0,
            20.0,
            True,
        ),
        (
            "ball rolling: not tested; 0 of 2 that got this label are right.",
            None,
            0.0,
            True,
        ),
        (
            "cat running: not tested (in cross-validation: found 0 of 3 in 2 videos).",
            None,
            None,
            True,
        ),
    ]
    assert told.not_tested == "ball rolling, cat running"
    (line,) = trust.of_model(SECONDS).lines
    assert line.sentence.startswith("run: found 2.5 of 4; 2.5 of 3 that got")
    assert trust.of_model(None) is None


def test_a_run_keeps_it_until_its_weights_change(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "flags.txt").touch()
    (tmp_path / "checkpoints/ckpt-5.index").write_text("weights")
    identity = model_source.identity(str(tmp_path))
    assert held_out_file.read(tmp_path) is None
    held_out_file.write(tmp_path, OBJECTS)
    assert held_out_file.read(tmp_path) == OBJECTS
    # Predictions by the run are still its own.
    assert model_source.identity(str(tmp_path)) == identity
    (tmp_path / "checkpoints/ckpt-7.index").write_text("other weights")
    assert held_out_file.read(tmp_path) is None
    shutil.rmtree(tmp_path / "checkpoints")  # finished, and weights deleted
    assert held_out_file.read(tmp_path) == OBJECTS
    (tmp_path / "held_out.json").write_text('{"weights": null, "videos": 0}')
    with pytest.raises(InputError, match="held_out.json: videos: 0 is not an integer"):
        held_out_file.read(tmp_path)


@pytest.fixture
def library(tmp_path):
    """A library of three videos, one of each split."""
    tracks = {
        "a": TRACKS,
        "b": [track(1, ("dog", "running", 1, 20, 0.9))],
        "c": [track(1, ("dog", "walking", 1, 10, 0.9))],
    }
    for name, of_video in tracks.items():
        facts = held_out_scores.video_facts(OBJECTS, name)
        video_page.write_page(write(tmp_path / name, of_video, overlay=0, **facts))
    return tmp_path


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_tables_of_a_library_have_all_figures_of_its_page(library, monkeypatch):
    jobs = [Job(f"{name}.mp4", str(library / name)) for name in "abc"]
    monkeypatch.setattr(library_request.Request, "is_whole", lambda *_: True)
    monkeypatch.setattr(library_tables, "read_part", lambda f: parts(library)[f.name])
    request = library_request.Request(kinds=("tracks", "page"))
    library_tables.conclude(str(library), jobs, request, {})
    assert rows_of(library / "videos.csv") == [
        ["video", "video_seconds", "fps", "split"],
        ["a", "4.0", "10.0", "trained"],
        ["b", "2.0", "10.0", "held out"],
        ["c", "1.0", "10.0", "new"],
    ]
    sums = rows_of(library / "sums.csv")
    assert (
        sums[0]
        == "split actor action tracks seconds bouts mean_score unsure_seconds".split()
    )
    assert ["trained", "dog", "running", "2", "1.5", "2", "0.8", "0.5"] in sums
    assert sums[-2:] == [
        ["held out", "dog", "running", "1", "2.0", "1", "0.9", "0.0"],
        ["new", "dog", "walking", "1", "1.0", "1", "0.9", "0.0"],
    ]
    header, running, walking, *_ = rows_of(library / "held_out.csv")
    assert header[-3:] == ["right_in_folds", "predicted_in_folds", "unsure_below"]
    assert (
        ",".join(running)
        == "dog running,objects,10,,8,9,80.0,88.9,84.2,,3,9,12,,6,7,0.7"
    )
    assert ",".join(walking) == (
        "dog walking,objects,4,1,1,5,25.0,20.0,22.2,cat running 1; dog running 2"
        ",,,,,,,0.7"
    )


def test_a_browser_shows_the_videos_of_a_split_and_their_sums(library):
    library_page.write_library_page(library, parts(library), {})
    script = """
    const names = () => seen('article').map(e => e.querySelector('h2').textContent);
    const sums = () => [...document.querySelector('tbody').rows].filter(
      row => !row.hidden).map(row => [...row.cells].map(c => c.innerText).join(' '));
    const all = [names(), document.querySelectorAll('.trust li').length];
    choose({split: 'held out'});
    const held = [names(), sums()];
    choose({split: 'new', score: 0.9});
    const wide = document.documentElement.scrollWidth > innerWidth;
    return [all, held, [names(), sums()], wide];
    """
    shown = browsers.run(library / "index.html", HELPERS + script, 420, 800)
    everything, held, new, wide = shown
    assert everything == [["a trained", "b held out", "c new"], 4] and not wide
    assert held == [["b held out"], ["held out dog running 1 2.00 1 0.900 0.00"]]
    assert new == [[], []]  # the track has a mean score of 0.5
    text = (library / "index.html").read_text()
    # Walking dogs were rather wrong than right, and nobody tested balls or cats.
    sign = '<abbr title="found 1 of 4 in 1 video; 2 taken for dog'
    assert text.count(sign) == 3  # in both tables and beside the picture of c
    trained = (library / "a/index.html").read_text()
    assert "dog walking" in trained and "<abbr" not in trained
    new = (library / "c/index.html").read_text()
    assert new.count(sign) == 2 and "A label with <abbr>?</abbr> below" in new


def test_pages_made_before_the_scores_get_them(library, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    jobs = [Job(f"{name}.mp4", str(library / name)) for name in "abc"]
    page = library / "b/index.html"
    made = page.read_bytes()
    page.unlink()
    renewed_pages.renew(jobs, str(run))  # nobody has scored the run
    held_out_file.write(run, OBJECTS)
    renewed_pages.renew(jobs, str(run))  # the pages have these scores
    assert not page.exists()
    page.write_bytes(made)
    better = json.loads(json.dumps(OBJECTS_JSON))
    better["behaviours"]["dog walking"]["right"] = 4
    better["tested_on"] = ["c"]
    held_out_file.write(run, HeldOutScores.from_json(better))
    renewed_pages.renew(jobs, str(run))
    assert "dog walking: found 4 of 4 in 1 video; 2 taken" in page.read_text()
    splits = [part.split for part in parts(library).values()]
    assert splits == ["trained", "new", "held out"]


def test_agreement_with_a_coder_is_told_apart_for_trained_videos():
    """The trained video agrees in all seconds, the new one in half of them."""
    videos = []
    for name, predicted, split in (("a", 2.0, "trained"), ("c", 4.0, "new")):
        videos.append(
            ComparedVideo(
                name=name,
                coded={"run": [TimeSpan(0.0, 2.0)]},
                predicted={"run": [TimeSpan(0.0, predicted)]},
                limits=TimeSpan(0.0, 4.0),
                fps=10,
                split=split,
            )
        )
    whole = compare_splits(videos, {"run"}, {"run"})
    f1 = {split: of.actions["run"]["f1_seconds"] for split, of in whole.splits.items()}
    assert f1 == {"trained": 100.0, "new": pytest.approx(200 * 2 / 6)}
    assert whole.actions["run"]["f1_seconds"] == 80.0
    titles = [table.title for table in whole.tables()]
    assert titles == [
        "Bouts coded in BORIS and predicted, 1 videos that the model was trained on,"
        " which says little about others",
        "Frames (40) and bouts, percent",
        "Bouts coded in BORIS and predicted, 1 videos that nobody annotated for the"
        " model",
        "Frames (40) and bouts, percent",
    ]
    unknown = compare_splits(
        [videos[0], videos[1]._replace(split=None)], {"run"}, {"run"}
    )
    assert unknown.tables()[0].title == "Bouts coded in BORIS and predicted, 2 videos"
