"""The page of a scored split: what it holds, and what it does in a browser."""

import base64
import html.parser
import json
import re
import shutil

import browsers
import cv2
import numpy as np
import pytest
from processes import complaint, run_tool

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import pipeline, records
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation import box_data
from a2d_tf.evaluation.label_maps import write_png
from a2d_tf.evaluation.reports import browse


def other_action(code):
    """Another valid pair of the same actor."""
    return next(c for c in A2D.codes if c // 10 == code // 10 and c != code)


def spoilt(truth, how):
    """(label map, codes of the instances predicted) of a frame, right or wrong in one way."""
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
    shards = pipeline.split_shards(mini_records, "test")
    read = [records.read_truth(s) for shard in shards for s in records.read_shard(shard)]
    return {truth.name: truth for truth in read}


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
        instances += box_data.entries(number, truth.boxes, codes, scores, rles)
    box_data.write_entries(split / "instances.json", instances)
    (folder / "labels.json").write_text(A2D.to_json())
    return folder, hows


@pytest.fixture(scope="module")
def written(run, mini_records):
    """The page as the tool writes it: its path."""
    done = run_tool("browse", "--run", run[0], "--records", mini_records.directory)
    assert done.returncode == 0, done.stderr
    path = run[0] / "evaluation" / "test" / "browse.html"
    assert re.fullmatch(rf"6 of 6 frames, \d+\.\d MB -> {path}\n", done.stdout)
    return path


class Cards(html.parser.HTMLParser):
    """A page: its tags and addresses, the data of its script, the pictures and boxes of a frame."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.pictures, self.boxes, self.frames = set(), [], [], [], []
        self.feed(text)
        found = re.search('<script id="data" type="application/json">(.*)</script>', text)
        self.data = json.loads(found[1])
        self.names = [frame["name"] for frame in self.data["frames"]]

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.sources += [attributes[k] for k in ("src", "href", "data") if attributes.get(k)]
        if tag == "article":
            self.frames.append(attributes["style"])
            self.pictures.append({})
            self.boxes.append(0)
        elif tag == "img":
            self.pictures[-1][attributes["alt"]] = decoded(attributes["src"])
        elif tag == "i":
            self.boxes[-1] += 1


def decoded(url):
    data = base64.b64decode(re.search(r"base64,([\w+/=]+)", url)[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def cards(written):
    return Cards(written.read_text())


@pytest.fixture(scope="module")
def maps(truths, run):
    """{name: (true, predicted label map)}."""
    return {
        name: (truth.label_map, spoilt(truth, run[1][name])[0]) for name, truth in truths.items()
    }


def figures(truth, predicted, chosen=lambda code: code >= 0, sides=(0, 1)):
    """miou and shares of errors, percent, of the codes chosen, by plain NumPy."""
    of = [chosen(label_map) for label_map in (truth, predicted)]
    wrong = (truth != predicted) & np.any([of[side] for side in sides], axis=0)
    same = truth // 10 == predicted // 10
    pixels = {
        "error": wrong,
        "missed": wrong & (predicted == 0),
        "extra": wrong & (truth == 0),
        "what": wrong & same & (predicted > 0) & (truth > 0),
        "who": wrong & (truth > 0) & (predicted > 0) & ~same,
    }
    ious = [
        ((truth == code) & (predicted == code)).sum()
        / ((truth == code) | (predicted == code)).sum()
        for code in np.unique(truth[of[0]])
    ]
    shares = {kind: 100 * inside.mean() for kind, inside in pixels.items()}
    return {"miou": 100 * np.mean(ious) if ious else 0, **shares}


def test_the_page_holds_every_frame_the_worst_first(cards, maps, run, truths):
    mious = {name: figures(*both)["miou"] for name, both in maps.items()}
    assert cards.names == sorted(mious, key=lambda name: (mious[name], name))
    assert mious[cards.names[0]] < 60 and mious[cards.names[-1]] == 100
    for frame, boxes in zip(cards.data["frames"], cards.boxes):
        truth, predicted = maps[frame["name"]]
        pairs = np.stack([truth.ravel(), predicted.ravel()], axis=1)
        unique, counts = np.unique(pairs, axis=0, return_counts=True)
        assert frame["pixels"] == [[*p, n] for p, n in zip(unique.tolist(), counts.tolist())]
        # An instance behind another one may not be to be seen in the prediction.
        true = len(truths[frame["name"]].codes)
        most = 0 if run[1][frame["name"]] == "missed" else true
        assert min(most, 1) <= boxes - true <= most


def test_pictures_are_the_frame_and_its_label_maps(cards, run, truths, mini_records):
    index = {name: i for i, name in enumerate(cards.names)}
    frames = dict(pipeline.key_frames(mini_records, "test", set(index)))
    assert set(frames) == set(index)
    palette = A2D.palette
    for name, truth in truths.items():
        frame = decoded(cards.frames[index[name]])[..., ::-1]
        assert frame.shape == frames[name].shape == (*truth.size, 3)
        assert np.abs(frame.astype(int) - frames[name]).mean() < 8
        shown = cards.pictures[index[name]]["truth"]
        height, width = truth.native_size
        scale = 320 / max(height, width)
        assert shown.shape == (round(height * scale), round(width * scale), 4)
        codes = cv2.resize(truth.label_map, shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(shown[..., 3], 255 * (codes > 0))
        for code in filter(None, np.unique(codes)):
            colour = palette[code] * (255 / palette[code].max())
            (drawn,) = np.unique(shown[codes == code][:, 2::-1], axis=0)
            np.testing.assert_allclose(drawn, colour, atol=1)
    missed = next(cards.pictures[index[name]] for name, how in run[1].items() if how == "missed")
    assert not missed["prediction"][..., 3].any()
    errors = missed["errors"]
    np.testing.assert_array_equal(errors[..., 3], missed["truth"][..., 3])
    assert np.unique(errors[errors[..., 3] > 0], axis=0).tolist() == [[216, 126, 47, 255]]


def test_the_page_needs_nothing_else_and_escapes_names(written, cards):
    text = written.read_text()
    assert cards.sources and all(source.startswith("data:image/") for source in cards.sources)
    assert not cards.tags & {"link", "iframe", "object"} and "http://" not in text
    assert "<title>run &lt;1&gt;: frames of split test</title>" in text and "<1>" not in text
    assert "default-src 'none'" in text and "p(actor) of 0.3 or more" in text
    metrics = json.loads(written.with_name("metrics.json").read_text())
    row = [metrics["segmentation"]["joint"][name] for name in ("ave", "glo", "miou")]
    row = "".join(f"<td>{value:.1f}</td>" for value in (*row, metrics["detection"]["joint"]))
    assert f"<td>joint</td>{row}" in text
    assert f">{A2D.name(cards.data['frames'][0]['pixels'][-1][0])}</b>" in text
    assert written.stat().st_size < 1_000_000


def test_a_limit_keeps_the_worst_and_records_are_optional(run, cards, tmp_path):
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["coco"] = {"box": {"ap": 12.5, "ap_large": None}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text, shown, count = browse.page("p", folder, A2D, None, split="test", limit=2)
    assert (shown, count) == (2, 6) and "<td>box</td><td>12.5</td>" in text
    assert Cards(text).names == cards.names[:2]
    assert all("--frame" not in style for style in Cards(text).frames)


def test_instances_below_others_have_no_box():
    masks = np.zeros((4, 20, 20), bool)
    masks[0, :10], masks[1, :10], masks[2, 5:], masks[3, 12:] = True, True, True, True
    codes, scores = [16, 16, 76, 12], [0.6, 0.9, 0.8, 0.7]
    results = box_data.Results(
        ["v/00001"],
        np.zeros(4, int),
        np.zeros((4, 4)),
        np.array(codes),
        masks=[encode_mask(mask) for mask in masks],
        scores=np.array(scores),
    )
    label_map = np.zeros((20, 20), np.uint8)
    label_map[masks[2]] = 76
    label_map[masks[1]] = 16
    assert browse._painted(np.arange(4), results, label_map) == [1, 2]


def test_what_is_missing_is_said(run, mini_records, tmp_path):
    assert "a2d_tf.evaluate" in complaint(run_tool("browse", "--run", run[0], "--split=val"))
    with pytest.raises(InputError, match="label_truth"):
        browse.score(tmp_path, A2D)
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    with pytest.raises(InputError, match="--records"):
        browse.page("p", folder, A2D, mini_records, split="train", limit=6)
    with pytest.raises(InputError, match="another label space"):
        other = LabelSpace(("x",), ("y",), (11,))
        browse.page("p", folder, other, mini_records, split="test", limit=1)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="metrics.json: segmentation"):
        browse.page("p", folder, A2D, None, split="test", limit=1)
    next((folder / "label_maps").glob("*/*.png")).unlink()
    with pytest.raises(InputError, match=r"label_maps.*\.png"):
        browse.score(folder, A2D)


@pytest.fixture(scope="module")
def opened(written, tmp_path_factory):
    """Callable: fragment of the address -> the frames to be seen, in their order."""
    with browsers.Browser(browsers.find(), tmp_path_factory.mktemp("browser")) as browser:

        def open_page(fragment, script=""):
            browser.open(f"{written.as_uri()}#{fragment}")
            browser.get(script)
            expression = "cards.filter(c => !c.hidden).map(c => ({name: c.name, ...c.found}))"
            seen = browser.get(expression)
            assert browser.get("form.querySelector('output').value") == f"{len(seen)} of 6 frames"
            assert not browser.complaints
            return seen

        open_page.get = browser.get
        yield open_page


def test_figures_in_a_browser_are_those_of_the_classes_chosen(maps, opened):
    for side, sides in (("either", (0, 1)), ("truth", (0,)), ("prediction", (1,))):
        for fragment, chosen in (
            ("", lambda code: code >= 0),
            ("actor=adult&sort=extra", lambda code: code // 10 == 1),
        ):
            found = opened(f"{fragment}&side={side}")
            assert found
            for frame in found:
                name = frame.pop("name")
                expected = figures(*maps[name], chosen, sides if fragment else (0, 1))
                assert frame == pytest.approx(expected, abs=1e-6)


def test_a_browser_sorts_and_filters_as_the_address_says(cards, maps, opened):
    error = {name: figures(*both)["error"] for name, both in maps.items()}
    actor, action = divmod(cards.data["frames"][0]["pixels"][-1][0], 10)
    actor_name, action_name = A2D.actors[actor - 1], A2D.actions[action - 1]

    def names(fragment, script=""):
        return [card["name"] for card in opened(fragment, script)]

    by_error = sorted(error, key=lambda name: (-error[name], name))
    assert names("") == cards.names != by_error
    assert names("sort=error") == by_error
    seen = names(f"sort=name&order=best&actor={actor_name}")
    assert seen == sorted(
        (name for name, both in maps.items() if any((x // 10 == actor).any() for x in both)),
        reverse=True,
    )
    seen = names(f"sort=name&actor={actor_name}&action={action_name}&side=prediction")
    code = 10 * actor + action
    assert seen == sorted(name for name, (_, found) in maps.items() if (found == code).any())
    assert len(seen) < 6
    assert names("actor=unicorn&nonsense=1") == cards.names
    # A choice by hand sorts at once, and can be sent to others as an address.
    by_hand = "fields.sort.value = 'error'; form.dispatchEvent(new Event('input'))"
    assert names("order=best", by_hand) == sorted(error, key=lambda name: (error[name], name))
    assert opened.get("location.hash") == "#sort=error&order=best"
    assert opened.get("cards[0].querySelector('.miou').textContent") == "100.0"
