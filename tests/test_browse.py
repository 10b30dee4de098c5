"""The page of a scored split: what it holds, and what it does in a browser."""

import json
import re
import shutil

import browsers
import cv2
import numpy as np
import pytest
from processes import complaint, run_a2d, succeeded

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.evaluation.frames.label_maps import write_png
from a2d_tf.evaluation.reports import frame_browser


def other_action(code):
    """Another valid pair of the same actor."""
    return next(c for c in A2D.codes if c // 10 == code // 10 and c != code)


def spoilt(truth, how):
    """Return a frame's predicted label map and codes, right or wrong in one way."""
    label_map, codes = truth.label_map.copy(), list(truth.codes)
    if how == "missed":
        return 0 * label_map, []
    if how == "what":
        for code in set(codes):
            label_map[truth.label_map == code] = other_action(code)
        codes = [other_action(code) for code in codes]
    if how == "extra":
        label_map[:40, :40] = 13  # an adult who eats
    return label_map, codes


@pytest.fixture(scope="module")
def truths(mini_records):
    """{name of a test frame: its truth}."""
    return {truth.name: truth for *_, truth in read_records(mini_records, ["test"])}


@pytest.fixture(scope="module")
def run(truths, evaluated, tmp_path_factory):
    """A run folder, and of each frame (name, what is wrong with its prediction)."""
    folder = tmp_path_factory.mktemp("page") / "run <1>"
    split = shutil.copytree(evaluated[1], folder / "evaluation" / "test")
    hows = dict(zip(truths, ["right", "missed", "what", "extra", "missed", "right"]))
    instances = []
    for number, (name, truth) in enumerate(truths.items(), 1):
        label_map, codes = spoilt(truth, hows[name])
        write_png(split / "label_maps" / f"{name}.png", label_map)
        rles = [{**rle, "counts": rle["counts"].decode()} for rle in truth.rles]
        scores = np.linspace(0.9, 0.5, len(codes))
        instances += coco_json.result_entries(number, truth.boxes, codes, scores, rles)
    (split / "instances.json").write_text(json.dumps(instances))
    (folder / "labels.json").write_text(A2D.to_json())
    return folder, hows


@pytest.fixture(scope="module")
def written(run, mini_records):
    """The page as the tool writes it: its path."""
    said = succeeded(
        run_a2d("browse", "--run", run[0], "--records", mini_records.directory)
    )
    path = run[0] / "evaluation" / "test" / "browse.html"
    assert re.fullmatch(rf"6 of 6 frames, \d+\.\d MB -> {path}\n", said)
    return path


def names(text):
    """The frames of a page in their order."""
    return re.findall(r"<h2>(\S+), mIoU", text)


@pytest.fixture(scope="module")
def maps(truths, run):
    """{name: (true, predicted label map)}."""
    return {
        name: (truth.label_map, spoilt(truth, run[1][name])[0])
        for name, truth in truths.items()
    }


def figures(truth, predicted):
    """miou and shares of errors, percent, by plain NumPy."""
    pixels = {
        "missed": (truth > 0) & (predicted == 0),
        "extra": (truth == 0) & (predicted > 0),
    }
    ious = [
        ((truth == code) & (predicted == code)).sum()
        / ((truth == code) | (predicted == code)).sum()
        for code in np.unique(truth)
    ]
    objects = ((truth > 0) | (predicted > 0)).sum()
    shares = {kind: 100 * inside.sum() / objects for kind, inside in pixels.items()}
    return {"miou": 100 * np.mean(ious), **shares}


def test_the_page_holds_every_frame_the_worst_first(written, maps, truths):
    text = written.read_text()
    found = {name: figures(*both) for name, both in maps.items()}
    assert names(text) == sorted(found, key=lambda name: (found[name]["miou"], name))
    for name, shown in zip(
        names(text), re.findall(r'data-e1="(\S+)" data-e2="(\S+)"', text)
    ):
        wanted = [found[name]["missed"], found[name]["extra"]]
        np.testing.assert_allclose(np.array(shown, float), wanted, atol=1e-9)
    assert text.count("<img ") == 18 and text.count('src="data:image/jpeg') == 18
    assert "http://" not in text and "default-src 'none'" in text
    assert (
        "<title>run &lt;1&gt;: frames of split test</title>" in text
        and "<1>" not in text
    )
    metrics = json.loads(written.with_name("metrics.json").read_text())
    assert f"<td>{metrics['segmentation']['joint']['miou']:.1f}</td>" in text
    assert f">{A2D.name(truths[names(text)[0]].codes[0])}</span>" in text


def test_what_is_missing_is_said(run, mini_records, tmp_path):
    assert "a2d evaluate" in complaint(
        run_a2d("browse", "--run", run[0], "--split=val", "--records=r")
    )
    with pytest.raises(InputError, match="truth.json"):
        frame_browser.page("p", tmp_path, A2D, mini_records, split="test", limit=2)
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    own = {"behaviours": {"ant-digs": dict(frames=3, ap=1.5, iou=None)}}
    own |= {"per_actor_ap": {"1": 5.0}, "confusions": [["digs", "eats", 40.0]]}
    (folder / "metrics.json").write_text(json.dumps(own))
    text, shown, count = frame_browser.page(
        "p", folder, A2D, mini_records, split="test", limit=2
    )
    assert (
        "digs taken for eats in 40 % of frames" in text and text.count("<table>") == 1
    )
    assert (shown, count, len(names(text))) == (2, 6, 2)
    with pytest.raises(InputError, match="--records"):
        frame_browser.page("p", folder, A2D, mini_records, split="train", limit=6)
    next((folder / "label_maps").glob("*/*.png")).unlink()
    with pytest.raises(OSError, match=r"label_maps.*\.png"):
        frame_browser.page("p", folder, A2D, mini_records, split="test", limit=2)


def test_frames_of_own_labels_are_ranked_by_what_is_missed(run, mini_records, tmp_path):
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    ghosts, mistaken, missed, *right = sorted(run[1])
    mistakes = {ghosts: 3 * [[0, 77]], mistaken: [[77, 67], [0, 17]], missed: [[77, 0]]}
    row = {
        "frames": 1,
        "ap": 5.0,
        "iou": None,
        "instances": 1,
        "found": 0,
        "findings": 0,
    }
    behaviours = {"dog-running": {**row, "name": "dog <running>"}}
    metrics = {"behaviours": behaviours, "confusions": [], "mistakes": mistakes}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text, *_ = frame_browser.page("p", folder, A2D, mini_records, split="test", limit=6)
    titles = re.findall("<h2>(.*)</h2>", text)
    assert titles[:3] == [
        f"{mistaken}, dog running taken for cat running; not there: adult running",
        f"{missed}, missed: dog running",
        f"{ghosts}, not there: dog running (3 times)",
    ]
    assert sorted(titles[3:]) == [f"{name}, no mistake" for name in right]
    assert "mIoU" not in text
    assert (
        '<p class="lead">dog &lt;running&gt;: found in 0 of 1 single frames.</p>'
        in text
    )


def test_mistakes_and_pictures_are_those_of_tracks_if_these_are_scored(
    run, mini_records, tmp_path
):
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    worst = min(run[1])
    shutil.copytree(folder / "label_maps", folder / "track_maps")
    path = folder / "track_maps" / f"{worst}.png"
    write_png(path, 0 * cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    row = {"frames": 1, "ap": 5.0, "iou": None, "name": "dog running"}
    of_frames = {**row, "instances": 9, "found": 9, "findings": 9}
    metrics = {"behaviours": {"dog-running": of_frames}, "mistakes": {}}
    metrics["confusions"] = [["dog", "cat", 40.0]]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    of_tracks = {"frames": 1, "instances": 1, "found": 0, "findings": 0}
    objects = {"behaviours": {"dog-running": of_tracks}, "mistakes": {worst: [[77, 0]]}}
    (folder / "objects.json").write_text(json.dumps(objects))
    text, *_ = frame_browser.page("p", folder, A2D, mini_records, split="test", limit=6)
    assert re.findall("<h2>(.*)</h2>", text)[0] == f"{worst}, missed: dog running"
    assert '<p class="lead">dog running: found in 0 of 1 frames.</p>' in text
    assert "a track, as the pages show it" in text and "taken for" not in text
    assert 'data-e1="100.0"' in text


def test_a_frame_without_masks_of_all_instances_is_listed_with_its_boxes(
    run, mini_records, tmp_path
):
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    (folder / "label_truth" / f"{min(run[1])}.png").unlink()
    text, shown, count = frame_browser.page(
        "p", folder, A2D, mini_records, split="test", limit=6
    )
    assert (shown, count) == (6, 6) and set(names(text)) == set(run[1])
    assert "Where not all instances of a frame have masks, boxes are filled." in text


def test_a_browser_sorts_and_filters(written, maps):
    missed = {name: figures(*both)["missed"] for name, both in maps.items()}
    actor = next(iter(maps.values()))[0].max() // 10
    script = """
    const seen = () => [...document.querySelectorAll('article:not([hidden]) h2')].map(
      title => title.innerText.split(',')[0]);
    const {order, actor} = form.elements;
    order.value = 'e1';
    order.dispatchEvent(new Event('change'));
    const sorted = seen();
    actor.value = '%s';
    form.dispatchEvent(new Event('input'));
    return [sorted, seen()];
    """
    ordered, chosen = browsers.run(written, script % A2D.actors[actor - 1])
    assert [missed[name] for name in ordered] == sorted(missed.values(), reverse=True)
    wanted = {
        n for n, both in maps.items() if any((x // 10 == actor).any() for x in both)
    }
    assert set(chosen) == wanted
