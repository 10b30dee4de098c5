"""The page of a scored split: what it holds, and what it does in a browser."""

import base64
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess

import browsers
import cv2
import numpy as np
import pytest
from processes import run_tool

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import pipeline, records
from a2d_tf.evaluation import box_data, coco_results
from a2d_tf.evaluation.label_maps import write_png
from a2d_tf.evaluation.reports import browse, pages

TOOL = pathlib.Path(__file__).resolve().parents[1] / "tools" / "browse.py"


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


def write_evaluation(folder, truths, hows, labels=A2D):
    """What a2d_tf.evaluate leaves, as far as the page needs it."""
    names, instances, boxes = [], [], []
    for number, (truth, how) in enumerate(zip(truths, hows), 1):
        names.append(f"{truth.video}/{truth.frame:05d}")
        label_map, codes = spoilt(truth, how)
        write_png(str(folder / "label_truth" / f"{names[-1]}.png"), truth.label_map)
        write_png(str(folder / "label_maps" / f"{names[-1]}.png"), label_map)
        masks = records.decode_rles(truth.rles, *truth.native_size)
        instances += coco_results.entries(
            number, truth.boxes, codes, np.linspace(0.9, 0.5, len(codes)), masks=masks
        )
        boxes.append(truth.boxes[:, [1, 0, 3, 2]])
    coco_results.write(folder / "instances.json", instances)
    counts = [len(b) for b in boxes]
    box_data.Truth(
        names,
        np.repeat(np.arange(len(names)), counts),
        np.concatenate(boxes),
        np.concatenate([truth.codes for truth in truths]),
        sizes=[truth.native_size for truth in truths],
        masks=[{**r, "counts": r["counts"].decode()} for truth in truths for r in truth.rles],
    ).save(folder / "truth.json", labels)
    row = {"ave": 12.345, "glo": 50.0, "miou": 25.0}
    kinds = ("actor", "action", "joint")
    metrics = {
        "segmentation": {k: row for k in kinds},
        "detection": {k: 3.0 for k in kinds},
        "score_threshold": 0.35,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return names


@pytest.fixture(scope="module")
def truths(mini_records):
    shards = pipeline.split_shards(mini_records, "test")
    return [records.read_truth(s) for shard in shards for s in records.read_shard(shard)]


@pytest.fixture(scope="module")
def run(truths, tmp_path_factory):
    """A run folder, and of each frame (name, what is wrong with its prediction)."""
    folder = tmp_path_factory.mktemp("page") / "run <1>"
    hows = ["right", "missed", "what", "extra", "missed", "right"]
    names = write_evaluation(folder / "evaluation" / "test", truths, hows)
    (folder / "labels.json").write_text(A2D.to_json())
    return folder, dict(zip(names, hows))


@pytest.fixture(scope="module")
def written(run, mini_records):
    """The page as the tool writes it: its path."""
    done = run_tool("browse", "--run", run[0], "--records", mini_records.directory)
    assert done.returncode == 0, done.stderr
    path = run[0] / "evaluation" / "test" / "browse.html"
    assert re.fullmatch(rf"6 of 6 frames, \d+\.\d MB -> {path}\n", done.stdout)
    return path


class Cards(html.parser.HTMLParser):
    """The frames of a page: of each its attributes, and its pictures by their name."""

    def __init__(self, text):
        super().__init__()
        self.cards, self.tags, self.sources = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.sources += [attributes[k] for k in ("src", "href", "data") if attributes.get(k)]
        if tag == "article":
            self.cards.append({**attributes, "pictures": {}, "boxes": 0})
        elif tag == "img":
            self.cards[-1]["pictures"][attributes["alt"]] = decoded(attributes["src"])
        elif tag == "i":
            self.cards[-1]["boxes"] += 1

    def names(self):
        return [card["data-name"] for card in self.cards]


def decoded(url):
    data = base64.b64decode(re.search(r"base64,([\w+/=]+)", url)[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def joint_miou(truth, predicted):
    """Percent; the mean over the codes in the truth, background among them."""
    ious = []
    for code in np.unique(truth):
        a, b = truth == code, predicted == code
        ious.append((a & b).sum() / (a | b).sum())
    return 100 * np.mean(ious)


def test_the_page_holds_every_frame_the_worst_first(run, written, truths):
    folder, hows = run
    page = Cards(written.read_text())
    of_name = {f"{t.video}/{t.frame:05d}": t for t in truths}
    assert sorted(page.names()) == sorted(hows)
    mious = [float(card["data-miou"]) for card in page.cards]
    assert mious == sorted(mious) and mious[-2:] == [100, 100] and mious[0] < 60
    for card in page.cards:
        truth, how = of_name[card["data-name"]], hows[card["data-name"]]
        predicted, codes = spoilt(truth, how)
        miou = joint_miou(truth.label_map, predicted)
        assert float(card["data-miou"]) == pytest.approx(miou, abs=1e-3)
        wrong = 100 * (truth.label_map != predicted).mean()
        assert float(card["data-error"]) == pytest.approx(wrong, abs=1e-2)
        if how in ("missed", "what"):
            assert card[f"data-{how}"] == card["data-error"] != "0.000"
        kinds = [float(card[f"data-{kind}"]) for kind in ("missed", "extra", "who", "what")]
        assert sum(kinds) == pytest.approx(wrong, abs=1e-2)
        assert card["data-truth"].split() == [str(c) for c in np.unique(truth.label_map) if c]
        assert card["data-prediction"].split() == [str(c) for c in np.unique(predicted) if c]
        # An instance behind another one may not be to be seen in the prediction.
        boxes = card["boxes"] - len(truth.codes)
        assert min(len(codes), 1) <= boxes <= len(codes)


def test_pictures_are_the_frame_and_its_label_maps(run, written, truths, mini_records):
    page = {card["data-name"]: card for card in Cards(written.read_text()).cards}
    frames = dict(pipeline.key_frames(mini_records, "test", set(page)))
    assert set(frames) == set(page)
    palette = A2D.palette
    for truth in truths:
        name = f"{truth.video}/{truth.frame:05d}"
        frame = decoded(page[name]["style"])[..., ::-1]
        assert frame.shape == frames[name].shape == (*truth.size, 3)
        assert np.abs(frame.astype(int) - frames[name]).mean() < 8
        shown = page[name]["pictures"]["truth"]
        height, width = truth.native_size
        scale = 320 / max(height, width)
        assert shown.shape == (round(height * scale), round(width * scale), 4)
        codes = cv2.resize(truth.label_map, shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(shown[..., 3], 255 * (codes > 0))
        for code in filter(None, np.unique(codes)):
            colour = palette[code] * (255 / palette[code].max())
            (drawn,) = np.unique(shown[codes == code][:, 2::-1], axis=0)
            np.testing.assert_allclose(drawn, colour, atol=1)
    missed = next(page[name] for name, how in run[1].items() if how == "missed")
    assert not missed["pictures"]["prediction"][..., 3].any()
    errors, truth = missed["pictures"]["errors"], missed["pictures"]["truth"]
    np.testing.assert_array_equal(errors[..., 3], truth[..., 3])
    assert np.unique(errors[errors[..., 3] > 0], axis=0).tolist() == [[216, 126, 47, 255]]


def test_the_page_needs_nothing_else_and_escapes_names(run, written):
    text = written.read_text()
    page = Cards(text)
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert not page.tags & {"link", "iframe", "object"} and "http://" not in text
    assert "<title>run &lt;1&gt;: frames of split test</title>" in text and "<1>" not in text
    assert "default-src 'none'" in text and "p(actor) of 0.35 or more" in text
    assert "<td>joint</td><td>12.3</td><td>50.0</td><td>25.0</td><td>3.0</td>" in text
    assert f">{A2D.name(int(page.cards[0]['data-truth'].split()[0]))}</b>" in text
    assert written.stat().st_size < 1_000_000


def test_a_limit_keeps_the_worst_and_records_are_optional(run):
    folder = run[0] / "evaluation" / "test"
    text, shown, count = browse.page("p", folder, A2D, None, split="test", limit=2)
    page = Cards(text)
    assert (shown, count) == (2, 6)
    assert "right" not in [run[1][name] for name in page.names()]
    assert page.names() == [frame.name for frame in browse.score(folder, A2D)[:2]]
    assert all("--frame" not in card["style"] for card in page.cards)
    assert "2 of 6 frames, those of lowest joint mIoU" in text


def test_instances_below_others_have_no_box():
    masks = np.zeros((4, 20, 20), bool)
    masks[0, :10], masks[1, :10], masks[2, 5:], masks[3, 12:] = True, True, True, True
    codes, scores = [16, 16, 76, 12], [0.6, 0.9, 0.8, 0.7]
    results = coco_results.Results(
        ["v/00001"],
        np.zeros(4, int),
        np.zeros((4, 4)),
        np.array(codes),
        np.array(scores),
        [coco_results.encode_mask(mask) for mask in masks],
    )
    label_map = np.zeros((20, 20), np.uint8)
    label_map[masks[2]] = 76
    label_map[masks[1]] = 16
    assert browse._painted(np.arange(4), results, label_map) == [1, 2]


def test_what_is_missing_is_said(run, truths, mini_records, tmp_path):
    def complaint(*arguments):
        done = run_tool("browse", *arguments)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    assert "a2d_tf.evaluate" in complaint("--run", str(run[0]), "--split=val")
    with pytest.raises(InputError, match="no label maps there; run a2d_tf.evaluate"):
        browse.score(tmp_path, A2D)
    folder = tmp_path / "test"
    shutil.copytree(run[0] / "evaluation" / "test", folder)
    with pytest.raises(InputError, match=r"split 'train' lacks .* made from other records"):
        browse.page("p", folder, A2D, mini_records, split="train", limit=6)
    with pytest.raises(InputError, match="another label space"):
        other = LabelSpace(("x",), ("y",), (11,))
        browse.page("p", folder, other, mini_records, split="test", limit=1)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="metrics.json: no metrics of a split"):
        browse.page("p", folder, A2D, None, split="test", limit=1)
    next((folder / "label_maps").glob("*/*.png")).unlink()
    with pytest.raises(InputError, match=r"label_maps.*\.png: cannot be read"):
        browse.score(folder, A2D)


def test_figures_beyond_the_paper_are_shown_where_there_are_any(run, tmp_path):
    plain = json.loads((run[0] / "evaluation" / "test" / "metrics.json").read_text())
    coco = {"box": {"ap": 12.5, "ap_large": None}}
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({**plain, "coco": coco}))
    text = pages.document("p", browse._metrics(path))
    assert "<td>box</td><td>12.5</td>" in text
    path.write_text(json.dumps({"coco": coco}))
    with pytest.raises(InputError, match="no metrics of a split"):
        browse._metrics(path)


def test_figures_in_a_browser_are_those_of_the_classes_chosen(written, truths, run, opened):
    """Against numpy on the label maps; without a choice they are Python's."""
    of_name = {f"{t.video}/{t.frame:05d}": t for t in truths}
    kinds = ("miou", "error", "missed", "extra", "who", "what")
    cards = Cards(written.read_text()).cards
    all_shown = opened("")
    assert len(cards) == len(all_shown) == 6
    for plain, shown in zip(cards, all_shown):
        assert [float(plain[f"data-{kind}"]) for kind in kinds] == pytest.approx(
            [float(shown[f"data-{kind}"]) for kind in kinds], abs=1e-3
        )
    # Frames where an adult who eats was made up have others in truth.
    for side in ("either", "truth", "prediction"):
        found = opened(f"actor=adult&side={side}&sort=extra")
        assert found
        for card in found:
            truth = of_name[card["data-name"]].label_map
            predicted = spoilt(of_name[card["data-name"]], run[1][card["data-name"]])[0]
            of = {"truth": truth // 10 == 1, "prediction": predicted // 10 == 1}
            of["either"] = of["truth"] | of["prediction"]
            wrong = (truth != predicted) & of[side]
            expected = {
                "error": wrong,
                "missed": wrong & (predicted == 0),
                "extra": wrong & (truth == 0),
                "what": wrong & (truth // 10 == predicted // 10),
                "who": wrong & (truth > 0) & (predicted > 0) & (truth // 10 != predicted // 10),
            }
            for kind, pixels in expected.items():
                assert float(card[f"data-{kind}"]) == pytest.approx(100 * pixels.mean(), abs=1e-3)
            ious = [
                ((truth == code) & (predicted == code)).sum()
                / ((truth == code) | (predicted == code)).sum()
                for code in np.unique(truth[truth // 10 == 1])
            ]
            miou = 100 * np.mean(ious) if ious else 0
            assert float(card["data-miou"]) == pytest.approx(miou, abs=1e-3)


@pytest.fixture(scope="module")
def browser():
    return browsers.find()


@pytest.fixture
def opened(browser, written, tmp_path):
    """Callable: fragment of the address -> the cards to be seen, in their order.

    A script given is run at the end, and what it makes of the page's title must be `title`.
    """

    def open_page(fragment, script="", title=""):
        path = tmp_path / "page.html"
        path.write_text(written.read_text() + f"<script>{script}</script>")
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--dump-dom",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--virtual-time-budget=2000",
                f"{path.as_uri()}#{fragment}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            env=dict(os.environ, HOME=str(tmp_path)),
        )
        page = Cards(done.stdout)
        seen = [card for card in page.cards if "hidden" not in card]
        assert f"{len(seen)} of 6 frames</output>" in done.stdout
        assert f"<title>{title}" in done.stdout
        return seen

    return open_page


def test_a_browser_sorts_and_filters_as_the_address_says(run, written, opened):
    cards = Cards(written.read_text()).cards
    actor, action = divmod(int(cards[0]["data-truth"].split()[0]), 10)
    actor_name, action_name = A2D.actors[actor - 1], A2D.actions[action - 1]

    def names(cards):
        return [card["data-name"] for card in cards]

    def has(card, side, x, y=None):
        codes = [divmod(int(c), 10) for c in card[f"data-{side}"].split()]
        return any(a == x and y in (None, b) for a, b in codes)

    by_error = sorted(cards, key=lambda c: (-float(c["data-error"]), c["data-name"]))
    assert names(by_error) != names(cards)
    assert names(opened("sort=error")) == names(by_error)
    seen = opened(f"sort=error&actor={actor_name}")
    assert set(names(seen)) == set(
        names(c for c in cards if has(c, "truth", actor) or has(c, "prediction", actor))
    )
    assert names(seen) == names(
        sorted(seen, key=lambda c: (-float(c["data-error"]), c["data-name"]))
    )
    seen = opened(f"sort=name&order=best&actor={actor_name}&action={action_name}&side=prediction")
    expected = [c for c in cards if has(c, "prediction", actor, action)]
    assert names(seen) == sorted(names(expected), reverse=True)
    assert len(seen) < len(cards)
    assert names(opened("actor=unicorn&nonsense=1")) == names(cards)
    # A choice by hand sorts at once, and can be sent to others as an address.
    by_hand = """fields.sort.value = "error"; form.dispatchEvent(new Event("input"));
                 document.title = location.hash;"""
    by_error.sort(key=lambda c: (float(c["data-error"]), c["data-name"]))
    assert names(opened("order=best", by_hand, "#sort=error&amp;order=best<")) == names(by_error)
