"""One command from an export to a page: killed and resumed; the words of scores."""

import contextlib
import csv
import io
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import types

import cv2
import numpy as np
import pytest
from a2d_files import coloured_frames, write_video
from processes import ROOT, complaint, run_a2d, succeeded
from test_mains import TINY

from a2d_tf.commands import start
from a2d_tf.commands.rounds import further_flags
from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.trained import round_records, round_scores
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.commands.rounds.trained.track_scoring import TrackScoring
from a2d_tf.core.counts import Counts
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder import asked_frames
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.metrics import segmentation, summaries
from a2d_tf.evaluation.metrics.behaviours import Behaviours
from a2d_tf.evaluation.metrics.metric import SplitData
from a2d_tf.evaluation.own_labels import round_comparison, sentences
from a2d_tf.evaluation.own_labels.object_scores import (
    ObjectScores,
    PairScores,
    pairs_of_metrics,
)

LABELS = LabelSpace(("mouse", "wheel"), ("run", "rest"), (11, 12, 22))
FLOW_HISTOGRAMS = "--flow_histograms=true"
HERE, THERE = [0, 0, 20, 10], [30, 30, 50, 40]
SMALL = [
    *TINY,
    "--steps=12",
    "--checkpoint_every=1",
    "--init_rgb=",
    "--init_flow=",
    "--workers=1",
]


def frame(truth, found, name="v/00001", rles=((), ())):
    """Make a frame of true [(code, box)] and of predicted [(code, box, p(actor))].

    The best prediction is first.

    `rles` are the masks of both; by default they have none.
    """
    codes, boxes = zip(*truth)
    columns = zip(*found) if found else ((), np.zeros((0, 4)), ())
    named = zip(("code", "boxes", "class_scores"), map(np.array, columns))
    masked = np.arange(len(codes)) < len(rles[0])
    true = dict(
        codes=np.array(codes), boxes=np.array(boxes), has_mask=masked, rles=rles[0]
    )
    return types.SimpleNamespace(
        truth=types.SimpleNamespace(name=name, **true),
        instances=types.SimpleNamespace(**{"code": np.zeros(0, int), **dict(named)}),
        rles=rles[1],
    )


def behaviours(labels=LABELS):
    """The metric of four frames, three of them with a mouse that runs."""
    aps = {
        "per_actor_ap": {"1": 50.0, "2": 0.0},
        "per_action_ap": {"1": 25.0, "2": 0.0},
    }
    aps["per_pair_ap"] = {"11": 20.0, "12": 0.0, "22": 0.0}
    earlier = {**aps, "per_pair_iou": {"11": 75.0}}
    metric = Behaviours(labels)
    unsure = (11, HERE, 0.4)  # below the threshold, so that it answers for nothing
    for number, (truth, found) in enumerate(
        [
            ([(11, HERE)], [unsure, (12, HERE, 0.9), (11, HERE, 0.8)]),
            ([(11, HERE), (22, THERE)], [(11, HERE, 0.5), (12, [5, 0, 45, 10], 0.9)]),
            ([(11, HERE), (11, THERE)], [(22, THERE, 0.9), (11, HERE, 0.9)]),
            ([(22, THERE)], []),
        ]
    ):
        metric.update(frame(truth, found, f"v/{number:05d}"))
    return {**earlier, **metric.result(SplitData(0.5), earlier)}


def test_each_behaviour_has_counts_and_scores():
    found = behaviours()["behaviours"]
    assert found["actor mouse"] == {"frames": 3, "ap": 50.0, "iou": None}
    assert found["mouse-run"] == {
        "frames": 3,
        "ap": 20.0,
        "iou": 75.0,
        "videos": 1,
        "instances": 4,
        "found": 3,
        "findings": 3,
        "name": "mouse run",
    }
    assert found["mouse-rest"] == {
        "frames": 0,
        "ap": None,
        "iou": None,
        "videos": 0,
        "instances": 0,
        "found": 0,
        "findings": 2,
        "name": "mouse rest",
    }


def test_means_are_of_the_classes_that_were_tested():
    assert behaviours()["tested"] == {
        "actors": {"classes": 2, "ap": 25.0, "iou": None},
        "actions": {"classes": 2, "ap": 12.5, "iou": None},
        "pairs": {"classes": 2, "ap": 10.0, "iou": 75.0},
    }


def test_confusions_are_percents_and_mistakes_are_by_frame():
    found = behaviours()
    seen = [(a, b, round(percent, 1)) for a, b, percent in found["confusions"]]
    assert seen == [
        ("wheel", None, 100.0),
        ("run", "rest", 66.7),
        ("mouse", "wheel", 33.3),
    ]
    assert found["mistakes"] == {
        "v/00000": [[0, 12]],  # on the mouse that was found beside it
        "v/00001": [[22, 0], [0, 12]],
        "v/00002": [[11, 22]],
        "v/00003": [[22, 0]],
    }


def test_what_was_found_is_told_in_words():
    found = behaviours()
    pairs = pairs_of_metrics(found)
    assert sentences.of_pairs(pairs, "frames") == {
        "mouse-run": (
            "mouse run: found 3 of 4 times in 3 frames of 1 video, no prediction of it"
            " is wrong."
        ),
        "mouse-rest": "mouse rest: not tested, 2 of 2 predictions of it are wrong.",
        "wheel-rest": (
            "wheel rest: found in 0 of 2 frames of 1 video, 1 of 1 predictions of it"
            " is wrong."
        ),
    }
    text = summaries.table(found).splitlines()
    assert text[:3] == [*sentences.of_pairs(pairs, "single frames").values()]
    assert text[0].startswith(
        "mouse run: found 3 of 4 times in 3 single frames of 1 video, no "
    )
    in_tracks = summaries.table({**found, "in_tracks": True}).splitlines()
    assert in_tracks[:3] == [*sentences.of_pairs(pairs, "frames").values()]
    assert text[-3:] == [
        "run taken for rest in 67 % of frames",
        "mouse taken for wheel in 33 % of frames",
        "wheel not found in 100 % of frames",
    ]


def test_the_table_has_a_row_for_each_behaviour_that_was_tested():
    text = summaries.table(behaviours()).splitlines()
    assert text[3] == "not tested (no test video): mouse rest"
    assert text[5].split() == ["frames", "AP", "IoU"]
    assert text[6].split() == ["actor", "mouse", "3", "50.0", "-"]
    assert not any(line.startswith("mouse-rest") for line in text)
    assert text[-4].split() == "mean of 2 pairs tested - 10.0 75.0".split()


def test_of_a2d_and_beside_its_tables_nothing_is_told_in_words():
    assert not {"behaviours", "mistakes"} & {*behaviours(A2D)}
    found = behaviours()
    assert not summaries.scalars(found)
    more = {"segmentation": {}, "detection": {"joint": 9.0}}
    assert summaries.table({**found, **more}) == summaries.table(found)
    assert "joint" in summaries.table(more)


def test_an_instance_is_found_by_its_mask_once():
    """True masks are compared if there are any, else boxes; one instance finds one."""
    masks = np.zeros((3, 60, 60), bool)
    masks[0, :20, :10], masks[1, :20, :5], masks[2, :9, :10] = True, True, True
    whole, half, less = map(encode_mask, masks)
    metric = Behaviours(LABELS)
    found = [(11, HERE, 0.9), (11, HERE, 0.8), (11, THERE, 0.7)]
    metric.update(
        frame([(11, HERE), (11, THERE)], found, rles=([whole], [less, half, whole]))
    )
    metric.update(frame([(11, HERE)], [], "v/00002", rles=([whole], [])))
    figures = metric.result(SplitData(0.5), {})
    row = figures["behaviours"]["mouse-run"]
    assert (row["instances"], row["found"], row["findings"]) == (3, 2, 3)
    assert figures["mistakes"] == {"v/00001": [[0, 11]], "v/00002": [[11, 0]]}


def test_sentences_name_what_tells_pairs_apart():
    alone = LabelSpace(("mouse",), ("run", "rest"), (11, 12))
    assert [alone.spoken(code) for code in alone.codes] == ["run", "rest"]
    still = LabelSpace(("mouse", "cat"), ("rest",), (11, 21))
    assert [still.spoken(code) for code in still.codes] == ["mouse", "cat"]
    assert LabelSpace(("mouse",), ("run",), (11,)).spoken(11) == "mouse-run"


def test_own_labels_have_the_iou_of_each_class():
    split = SplitData()
    metric = segmentation.Segmentation(LABELS)
    metric.confusions[split.threshold].update(
        np.array([[11, 11, 0, 0]]), np.array([[11, 12, 0, 0]])
    )
    found = metric.result(split, {})
    assert found["per_actor_iou"] == {"1": 100.0, "2": None}
    assert found["per_action_iou"] == {"1": 50.0, "2": None}
    assert found["per_pair_iou"] == {"11": 50.0, "12": None, "22": None}
    assert summaries.table(found).startswith("segmentation, percent")


@pytest.fixture
def words(tmp_path):
    """Return the command's flags for three videos with two annotated frames each."""
    images, annotations = [], []
    for number, action in enumerate(("run", "rest", "run")):
        write_video(
            tmp_path / f"videos/v{number}.mp4", coloured_frames(4, 64, 96, seed=number)
        )
        for key in (2, 3):
            shape = {
                "segmentation": [[20, 10, 60, 10, 60, 40, 20, 40]],
                "image_id": len(images),
            }
            annotations.append({"actor": "mouse", "action": action, **shape})
            image = {"id": len(images), "file_name": f"v{number}/{key:05d}.png"}
            images.append({**image, "width": 96, "height": 64})
    export = {"images": images, "annotations": annotations}
    (tmp_path / "own.json").write_text(json.dumps(export))
    named = {"annotations": "own.json", "videos": "videos", "output": "out"}
    return [f"--{name}={tmp_path / value}" for name, value in named.items()]


def children(folder):
    """The processes that have a folder in their command line."""
    lines = (path.parent for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"))
    return [
        path
        for path in lines
        if str(folder).encode() in (path / "cmdline").read_bytes()
    ]


@pytest.mark.slow
def test_killed_in_training_and_given_again(words, tmp_path):
    output = tmp_path / "out"
    command = [sys.executable, "-m", "a2d_tf", "start", *words, "--", *SMALL]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as killed:
        while killed.poll() is None and not list(
            output.glob("run/checkpoints/*.index")
        ):
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        said = [line.split() for line in killed.stdout]
    # A note on the test split names a command, too.
    assert [line[0] for line in said if "a2d" in line and line[0] != "test"] == [
        "check",
        "records",
        "sheets",
        "settings",
    ]
    sheet = output / "run/annotations/1.png"
    assert ["-", str(sheet)] in said
    # in training, and tested
    assert ["mouse-run", "1", "2", "2", "1", "2", "2"] in said
    time.sleep(1)
    assert not children(output)
    lines = succeeded(run_a2d("start", *words, "--", *SMALL)).splitlines()
    stages = [line.split()[0] for line in lines if "  a2d " in line]
    expected = "records training scores videos objects browse pages export"
    assert stages == expected.split()
    assert sum(line.startswith("on this machine: about ") for line in lines) == 1
    assert "resuming at step" in (output / "logs/training.txt").read_text()
    assert any(
        "a2d predict " in line and "--max_tracks=1 --overwrite" in line
        for line in lines
    )
    told = [
        line
        for line in lines
        if re.match(r"(run|rest): found in [012] of 2 frames of 1 video[,.]", line)
    ]
    assert len(told) == 1 and "What to do next:" in lines[lines.index(told[0]) :]
    page = output / "videos/index.html"
    text = page.read_text()
    sheets = 'The annotations, as sheets of frames: <a href="../run/annotations/1.png">'
    assert f"prediction.</a> {sheets}1</a>.</p>" in text
    assert cv2.imread(str(sheet)).shape[1] == 4 * 440  # four frames across
    assert '<p class="warning">This network&#39;s last training had only 12 steps' in (
        text
    )
    assert "This network's last training had only 12 steps; fewer than 100" in "".join(
        lines
    )
    assert re.match("about .* in all, by the sizes of the videos", lines[0])
    assert lines[-1] == str(page) and text.count("trained on this video") == 2
    assert "In 1 video held out of the training (2 annotated frames), tracks " in text
    known = json.loads((output / "run/held_out.json").read_text())
    exported = json.loads((output / "model/a2d_tf.json").read_text())["held_out"]
    assert {**exported, "weights": known["weights"]} == known
    (tested,) = known["tested_on"]
    own = (page.parent / tested / "index.html").read_text()
    assert known["unsure_below"] is None and "Fewer than 20 labels could be" in own
    assert "In 1 video held out" in own and '<span class="badge held-out">' in own
    assert sorted(path.parent.name for path in page.parent.glob("*/*.html")) == [
        "v0",
        "v1",
        "v2",
    ]
    assert (output / "model/saved_model.pb").is_file()
    check_second_round(words, tmp_path)


def check_second_round(words, tmp_path):
    """Add two frames of each video, in one a new action: it goes on from the first."""
    first, second = tmp_path / "out", tmp_path / "second"
    more = json.loads((tmp_path / "own.json").read_text())
    for image in more["images"]:
        image["file_name"] = (
            image["file_name"].replace("00003", "00004").replace("00002", "00001")
        )
    for annotation in more["annotations"]:
        annotation["action"] = annotation["action"].replace("rest", "creep")
    (tmp_path / "more.json").write_text(json.dumps(more))
    words = [
        *words[:2],
        f"--annotations={tmp_path / 'more.json'}",
        f"--output={second}",
    ]
    lines = succeeded(
        run_a2d("start", *words, f"--after={first}", "--", "--steps=6")
    ).splitlines()
    stages = [line.split()[0] for line in lines if "  a2d " in line]
    assert (
        " ".join(stages)
        == "check records sheets settings training scores videos objects before"
        " compare browse pages export"
    )
    before, after = (Manifest.load(folder / "records") for folder in (first, second))
    assert after.split_of == before.split_of
    assert before.label_space.actions == ("rest", "run")
    assert after.label_space == before.label_space.with_pairs([("mouse", "creep")])
    assert "new beside the earlier records: action 'creep'" in lines
    weights = (second / "run/weights.txt").read_text()
    assert "action_logits/kernel[creep]: no class of that name" in weights
    assert "action_logits/kernel <- action_logits/kernel (rest, run" in weights
    config = Config.read(second / "run/flags.txt")
    assert (
        config.training.init_run == str(first / "run") and not config.training.init_rgb
    )
    assert config.model == Config.read(first / "run/flags.txt").model
    at = lines.index("Both rounds on the same held-out frames: numbers of instances")
    assert (
        lines[at + 1].split() == "in all found before found wrong before wrong".split()
    )
    # A network of few steps may find 'rest', too, which is not there.
    assert ["mouse-run", "4"] in [line.split()[:2] for line in lines[at + 2 : at + 4]]
    assert any(re.match("(better|worse|as before): ", line) for line in lines[at + 3 :])
    rows = list(csv.reader((second / "rounds.csv").open()))
    assert rows[0] == "pair,in all,found before,found,wrong before,wrong".split(",")
    assert ["mouse-run", "4"] in [row[:2] for row in rows[1:]]
    assert any(
        line.startswith("new, and so without a round before: creep; ") for line in lines
    )
    page = (second / "videos/index.html").read_text()
    assert "(the round before: " in page
    assert 'alt="learning curve"' in page
    scored = json.loads((second / "scores_before/objects.json").read_text())
    assert set(scored["videos"]) == after.videos("test") and scored["frames"] == 4


def test_the_counts_of_two_rounds_side_by_side():
    before = {"run": (4, 1, 2), "rest": (2, 2, 2), "none": (0, 0, 1), "turn": (3, 1, 4)}
    now = {"run": (4, 3, 4), "rest": (2, 2, 2), "none": (0, 0, 0), "turn": (3, 1, 5)}
    sides = []
    for side in (before, now):
        pairs = {}
        for name, counts in side.items():
            pairs[name] = PairScores(f"mouse {name}", Counts(*counts))
        sides.append(ObjectScores([], 0, pairs, mistakes={}, answers=[]))
    table = round_comparison.compare(*sides)
    rows = {name: list(row.values()) for name, row in table.rows.items()}
    assert rows == {
        **{"run": [4, 1, 3, 1, 1], "rest": [2, 2, 2, 0, 0]},
        **{"none": [0, 0, 0, 1, 0], "turn": [3, 1, 1, 3, 4]},
    }
    found = table.notes
    assert found == (
        "better: mouse run, mouse none",
        "worse: mouse turn",
        "as before: mouse rest",
    )


def request_of(folder, exports=(), videos="videos", before=None, further_flags=None):
    """What a user asks of a round in a folder."""
    return RoundRequest(
        folder=RoundFolder(folder),
        videos=videos,
        jobs=[],
        exports=exports,
        bouts=[],
        further_flags=further_flags or {},
        minutes=30.0,
        before=before and RoundFolder(before),
    )


def runner_of(request):
    return StageRunner(request.folder.logs, request.further_flags)


def test_scores_are_made_anew_with_flags_of_evaluate(tmp_path, monkeypatch):
    """Old ones may have another --score_threshold; else they stay if readable."""
    monkeypatch.setattr(round_scores.scores, "are_current", lambda *_: True)
    manifest = types.SimpleNamespace(directory="R", source="s", videos=lambda _: {"v"})
    folder = tmp_path / "run/evaluation/test"
    folder.mkdir(parents=True)
    scored = {"videos": ["v"], "frames": 1, "behaviours": {}, "mistakes": {}}
    scored["answers"] = []
    (folder / "metrics.json").write_text('{"behaviours": {}, "tested": {}}')
    (folder / "objects.json").write_text(json.dumps(scored))
    called = []
    monkeypatch.setattr(
        StageRunner, "run", lambda self, stage, *_: called.append(stage)
    )
    for flags in (["--score_threshold=0.5"], []):
        request = request_of(tmp_path, further_flags={"evaluate": flags})
        stages = runner_of(request)
        scoring = TrackScoring(stages, [], tmp_path / "labels.json", "--max_tracks=1")
        round_scores.evaluate(request, stages, manifest)
        round_scores.score_tracks(request, stages, scoring, manifest, None)
    assert called == ["scores", "objects", "browse", "objects", "browse"]
    (folder / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=f"{folder}/metrics.json: .*; delete it"):
        round_scores.score_tracks(request, stages, scoring, manifest, None)


def test_the_check_of_the_annotations_is_shown_as_the_single_command_shows_it(
    words, tmp_path, monkeypatch
):
    """With the line of each export, what is left out, and the notes."""
    export = tmp_path / "own.json"
    annotations = json.loads(export.read_text())
    for annotation in annotations["annotations"][2:4]:
        annotation["actor"] = "muose"  # of v1
    export.write_text(json.dumps(annotations))
    sources = words[:2]
    checked = succeeded(run_a2d("records", *sources, "--check"))
    assert checked.startswith(f"{export}: ") and "note: " in checked
    (tmp_path / "out/logs").mkdir(parents=True)
    request = request_of(tmp_path / "out", [str(export)], str(tmp_path / "videos"))
    run = StageRunner.run
    monkeypatch.setattr(
        StageRunner,
        "run",
        lambda self, stage, *words: stage != "records" and run(self, stage, *words),
    )
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(InputError, match="records"):
        round_records.build(request, runner_of(request))  # finds none
    assert checked in shown.getvalue()


@pytest.mark.parametrize(
    "maps_before, expected",
    [
        (MotionFacts("i3d", "ab", True), ["--action_backbone=i3d", FLOW_HISTOGRAMS]),
        (MotionFacts("", "", True), [FLOW_HISTOGRAMS]),
        (None, []),
    ],
)
def test_motion_maps_and_asked_frames_are_those_of_the_round_before(
    maps_before, expected, tmp_path, monkeypatch
):
    """A first round has those that are suggested."""
    called = {}
    monkeypatch.setattr(
        StageRunner,
        "run",
        lambda self, stage, command, *flags: called.update({stage: flags}),
    )
    manifest = types.SimpleNamespace(motion=maps_before)
    monkeypatch.setattr(round_records.Manifest, "load", lambda _: manifest)
    records = tmp_path / "out/records"
    records.mkdir(parents=True)
    (records / "manifest.json").touch()
    size = round_records.FrameSize(64, 96)
    monkeypatch.setattr(round_records, "_frame_size", lambda *_: size)
    before = tmp_path / "before"
    (before / "records").mkdir(parents=True)
    asked_frames.add(before / "records", {"clip9": [3]})
    for round_before, maps in ((None, ["--suggested_motion"]), (before, expected)):
        request = request_of(tmp_path / "out", ["own.json"], before=round_before)
        assert round_records.build(request, runner_of(request)) is manifest
        at = called["records"].index("--max_frames=3000")
        assert [*called["records"][at + 1 :]] == maps
        # What was asked for and is not corrected yet trains in a third round.
        asked = {"clip9": [3]} if round_before else {}
        assert asked_frames.read(records) == asked


def test_suggested_motion_maps_are_stored_and_stay(words, tmp_path, monkeypatch):
    """Records keep theirs if weights come or go."""
    monkeypatch.setenv("A2D_TF_CACHE", str(tmp_path / "cache"))
    weights = tmp_path / "cache/weights/lite0.h5"
    weights.parent.mkdir(parents=True)
    weights.touch()
    output = tmp_path / "records"
    flags = [*words[:2], f"--output={output}", "--workers=1", "--clip_frames=1"]
    # What is given comes first; the weights of I3D may be installed.
    flags += ["--suggested_motion", "--action_backbone="]
    succeeded(run_a2d("records", *flags))
    assert Manifest.load(output).motion == MotionFacts("", "", True)
    weights.unlink()
    assert "already complete, nothing to do" in succeeded(run_a2d("records", *flags))


def test_motion_maps_of_the_records_are_told_in_a_line():
    both = round_records.describe_motion(MotionFacts("i3d", "ab", True))
    assert both.startswith(
        "the records have features of I3D (Kinetics-400) and histograms of optical flow"
    )
    flow = round_records.describe_motion(MotionFacts("", "", True))
    assert flow.startswith("the records have histograms of optical flow, from which")


def test_each_further_flag_goes_to_the_commands_that_have_it():
    """The size of the frames is that of the records alone."""
    words = ["--image_height=64", "--noflip", "--score_threshold=0.5", "--workers=3"]
    shares = further_flags.for_training(words)
    assert shares == {
        "records": ["--image_height=64", "--workers=3"],
        "train": ["--noflip", "--score_threshold=0.5"],
        "evaluate": ["--score_threshold=0.5"],
        "export": ["--score_threshold=0.5"],
        "predict": ["--score_threshold=0.5"],
    }
    words = ["--every=4", "--fps=25", "--outside=rest"]
    assert further_flags.for_tracks(words) == {"start --tracks": words}
    for word in ("--steps=3", "--workers=3"):
        with pytest.raises(InputError, match="nothing to do with --tracks"):
            further_flags.for_tracks([word])
    own = [f"--{name}=x" for name in start.FLAGS]
    for word in (*own, "--stpes=3", "--workdir=x", "steps", "--"):
        with pytest.raises(InputError, match=f"^{word}: not a flag of a2d records, "):
            further_flags.for_training([word])


def test_mistakes(words, tmp_path):
    for after, problem in (
        (tmp_path / "none", "no such folder; correct the path"),
        (tmp_path, "not the output of an a2d start that has trained"),
        (tmp_path / "out", "is the --output, too"),
        (tmp_path / "begun", "its training is not finished"),
    ):
        (tmp_path / "begun/run").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out").mkdir(exist_ok=True)
        message = complaint(run_a2d("start", *words, f"--after={after}"))
        assert f"--after={after}: {problem}" in message
    gone = complaint(run_a2d("start", words[0], "--videos=gone", words[2]))
    assert "--videos=gone: no such folder" in gone
    assert "--stpes" in complaint(run_a2d("start", *words, "--", "--stpes=3"))
    # Its scores would be in a folder of their own.
    assert "--checkpoint" in complaint(
        run_a2d("start", *words, "--", "--checkpoint=best")
    )
    assert "--output" in complaint(run_a2d("start", *words[:2]))
    done = run_a2d("start", "--annotations=no.json", *words[1:])
    assert "no.json" in complaint(done)
    assert done.stderr.strip().endswith("run the same command again to resume")
