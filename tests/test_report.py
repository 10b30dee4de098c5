"""The report in both of its forms; a draw of the bootstrap stands for its set."""

import dataclasses
import json
import re
import shutil
import zlib

import cv2
import numpy as np
import pytest
from plain_detection import SMALL

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.boxes import instance_tables, scored_rois
from a2d_tf.evaluation.metrics import detection, segmentation
from a2d_tf.evaluation.reports import blocks as report_blocks
from a2d_tf.paper import bootstrap, comparison, report, report_tables
from a2d_tf.paper.results import Result


@pytest.fixture(scope="module", autouse=True)
def few_samples():
    """A bootstrap of few samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "SAMPLES", 40)
        yield


@pytest.fixture(scope="module")
def results(evaluator, evaluated, tmp_path_factory):
    """Return results of the full model, another threshold, Fig. 4, and a failure."""
    root = tmp_path_factory.mktemp("reproduction")
    made = [
        Result(name, 0, root / name, None)
        for name in ("full", "no_flow", "zero_shot_cat")
    ]
    shutil.copytree(evaluated[1], made[0].test)
    evaluator.evaluate("test", 0.5, str(made[1].test))
    shutil.copytree(made[1].test, made[2].test)
    for result, aps in (
        (made[0], {"zero_shot_actor_ap": {"6": 40.0}}),
        (made[2], {"zero_shot": {"actor": "cat", "ap": 12.0, "chance": 3.0}}),
    ):
        path = result.test / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **aps}))
    return [
        *made,
        Result("no_joint", 0, root, "train ended with status 1 (<disk full>)"),
    ]


@pytest.fixture(scope="module")
def written(results, mini_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    blocks = report.build(results, mini_records, "Made on six clips.")
    report_blocks.write(folder, "Tables", blocks)
    return folder


def row(text, name, table=-1):
    """The cells of a table's row of this name, of the last such table by default."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip().strip("*") for cell in lines[table].split("|")[2:-1]]


def test_our_rows_stand_beside_the_published_ones(written, results):
    text = (written / "report.md").read_text()
    assert text.startswith(
        "# Tables\n\nMade on six clips.\n\nFailed: no_joint, seed 0: train ended"
    )
    assert row(text, "w/o flow, published") == (
        "79.5 93.7 66.5 60.4 86.3 36.8 46.2 87.8 29.4".split()
    )
    for result, title in zip(results, ("ours, full", "ours, w/o flow")):
        metrics = result.metrics["segmentation"]
        expected = [
            f"{metrics[kind][m]:.1f}"
            for kind in ("actor", "action", "joint")
            for m in ("ave", "glo", "miou")
        ]
        assert row(text, f"**{title}**", 0) == expected
    assert row(text, "TSHR, published") == ["67.9", "59.6", "49.6"]
    assert row(text, "cat") == ["12.0", "40.0", "3.0", "0.30", "0.07"]  # Fig. 4


def test_rows_are_compared_at_one_threshold(results):
    metrics = {result.row: dict(result.metrics) for result in results[:2]}
    metrics["full"]["joint_miou_at_default"] = 43.6
    _, _, table = report_tables.at_one_threshold(metrics)
    chosen = metrics["full"]["segmentation"]["joint"]["miou"]
    assert table.heads == ("", "at 0.7", "at the chosen one", "chosen")
    assert table.rows[0] == ["ours, full", "43.6", f"{chosen:.1f}", "0.3"]
    assert table.rows[1][3] == "0.5"
    for of_row in metrics.values():  # as of an earlier version
        del of_row["joint_miou_at_default"]
    assert report_tables.at_one_threshold(metrics) == []


def test_figures_of_final_runs_go_before(results, mini_records):
    """But for those of Fig. 4; one line says which is which."""

    def built(*shown):
        blocks = report.build([*shown], mini_records, "x")
        tables = [
            block for block in blocks if isinstance(block, report_blocks.TableBlock)
        ]
        return [block.text for block in blocks if hasattr(block, "text")][1], tables

    full, other, cat, _ = results
    line, tables = built(full, other, cat)
    assert line == "No figure is of a final run on all training videos."
    line, final = built(dataclasses.replace(full, final=other.folder), other, cat)
    assert line.endswith("Figures of the runs before: w/o flow, seed 0; Fig. 4.")
    rows = [next(r for r in t[0].rows if r[0] == "ours, full") for t in (tables, final)]
    expected = next(r for r in tables[1].rows if r[0] == "ours, w/o flow")
    assert rows[0] != rows[1] and rows[1][1:] == expected[1:]
    assert (
        final[-1].rows
        == tables[-1].rows
        == [["cat", "12.0", "40.0", "3.0", "0.30", "0.07"]]
    )


def test_differences_have_the_intervals_of_the_bootstrap(written, results):
    full, other = (
        bootstrap.bootstrap(results[i].test, A2D, comparison.SAMPLES) for i in (0, 1)
    )
    low, high = bootstrap.interval(
        *(f["segmentation"]["joint"]["miou"] for f in (other, full))
    )
    values = [results[i].metrics["segmentation"]["joint"]["miou"] for i in (1, 0)]
    cells = row((written / "report.md").read_text(), "w/o flow", 0)
    assert cells[0] == "-7.5"  # 29.4 - 36.9
    assert cells[3] == f"{values[0] - values[1]:+.1f} [{low:+.1f}, {high:+.1f}]"


def test_html_needs_nothing_else_and_markdown_its_pictures(written):
    page, text = (
        (written / "report.html").read_text(),
        (written / "report.md").read_text(),
    )
    names = re.findall(r"\]\((report/[^)]+)\)", text)
    assert names == ["report/zero_shot.png", "report/frames.png"]
    for name in names:
        assert (written / name).read_bytes()[:4] == b"\x89PNG"
    assert page.count("data:image/png;base64,") == len(names)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "&lt;disk full&gt;" in page and "<disk" not in page


def test_seeds_are_summed_up_and_that_with_the_most_runs_is_shown(
    results, mini_records
):
    more = [dataclasses.replace(result, seed=4) for result in results[:3]]
    blocks = report.build(results[:2] + more, mini_records, "x")
    texts = [block.text for block in blocks if hasattr(block, "text")]
    assert "the rest of 4" in texts[2]
    (table,) = (
        b
        for b in blocks
        if isinstance(b, report_blocks.TableBlock) and b.heads[1] == "runs"
    )
    miou, other = (r.metrics["segmentation"]["actor"]["miou"] for r in results[:2])
    assert [row[:3] for row in table.rows] == [
        ["full", "2", f"{miou:.1f} ± 0.0"],
        ["w/o flow", "2", f"{other:.1f} ± 0.0"],
    ]


def test_folds_have_means_and_deviations(results, tmp_path, monkeypatch):
    """Two models in two folds, in both orders; one lacks a score."""
    full, other = results[:2]
    swapped = (
        dataclasses.replace(full, folder=other.folder),
        dataclasses.replace(other, folder=tmp_path),
    )
    shutil.copytree(full.test, swapped[1].test)
    metrics = full.metrics
    metrics["segmentation"]["actor"]["miou"] = None
    (swapped[1].test / "metrics.json").write_text(json.dumps(metrics))
    done = [dataclasses.replace(r, fold="A") for r in (full, other)]
    done += [dataclasses.replace(r, fold="B") for r in swapped]
    blocks = report.build_folds([*done, results[3]], A2D, "x")
    assert "published" not in str(blocks)
    means, differences, each = (
        b for b in blocks if isinstance(b, report_blocks.TableBlock)
    )
    column = means.heads.index("joint mIoU")
    mious = [
        [r.metrics["segmentation"][k]["miou"] for r in done] for k in ("actor", "joint")
    ]
    mean, deviation = np.mean(mious[1][:2]), np.std(mious[1][:2], ddof=1)
    assert [row[column] for row in means.rows] == 2 * [f"{mean:.1f} ± {deviation:.1f}"]
    assert means.rows[1][2] == f"{mious[0][1]:.1f}" and each.rows[3][3] == "-"
    drawn = [
        bootstrap.bootstrap(
            r.test, A2D, comparison.SAMPLES, zlib.crc32(r.fold.encode())
        )
        for r in (done[1], done[3], done[0], done[2])  # each fold is drawn by itself
    ]
    samples = np.reshape(
        [each["segmentation"]["joint"]["miou"] for each in drawn], (2, 2, -1)
    )
    low, high = bootstrap.interval(*samples.mean(axis=1))
    assert differences.rows[0][0] == "w/o flow"
    assert differences.rows[0][3] == f"+0.0 [{low:+.1f}, {high:+.1f}]" and low < high
    assert each.rows[1][:3] == ["no_flow", "A", "0"] and len(each.rows) == 4
    # A single sample: all are alike, as those of a single video are.
    monkeypatch.setattr(comparison, "SAMPLES", 1)
    blocks = report.build_folds(done, A2D, "x")
    tables = [block for block in blocks if isinstance(block, report_blocks.TableBlock)]
    assert tables[1].rows[0][3] == "+0.0"


def test_results_that_are_damaged_or_failed(results, mini_records, tmp_path):
    damaged = dataclasses.replace(results[0], folder=tmp_path)
    with pytest.raises(InputError, match="metrics.json"):
        report.build([damaged], mini_records, "")
    blocks = report.build(results[-1:], mini_records, "x")
    assert [block.text for block in blocks][0] == "x" and "disk full" in blocks[1].text


# ---- the paired bootstrap

FRAMES = ["a/00001", "a/00002", "b/00004", "c/00001", "c/00009", "d/00002"]
SIZE = 24


def boxes(rng, *shape):
    corner = rng.integers(0, 12, (*shape, 2))
    return np.concatenate(
        [corner, corner + rng.integers(4, 12, (*shape, 2))], -1
    ).astype(float)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A scored split of four videos, and its parts."""
    folder, rng = tmp_path_factory.mktemp("scored"), np.random.default_rng(3)
    gts = np.repeat(np.arange(6), [2, 1, 3, 0, 2, 1])
    truth = instance_tables.Truth(
        FRAMES, gts, boxes(rng, 9), rng.choice(SMALL.codes, 9)
    )
    rois = np.repeat(np.arange(6), 12)
    found = boxes(rng, 72, 2)
    near = rng.random((72, 2)) < 0.5
    for r, frame in enumerate(rois):
        own = truth.boxes[gts == frame]
        if len(own):
            found[r, near[r]] = own[rng.integers(len(own))]
    scores = rng.dirichlet(np.ones(3), 72), rng.dirichlet(np.ones(3), 72)
    detections = scored_rois.ScoredRois(
        FRAMES[::-1], 5 - rois, found, scores[0][:, :2], scores[1]
    )
    maps = {}
    for name in FRAMES:
        for part in ("label_truth", "label_maps"):
            coarse = rng.choice((0, *SMALL.codes), (4, 4)).astype(np.uint8)
            maps[part, name] = coarse.repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)
            path = folder / part / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), maps[part, name])
    truth.save(folder / "truth.json", SMALL)
    detections.save(folder / "detections.npz")
    return folder, truth, detections, maps


def repeated(truth, detections, times):
    """The data set in which frame i occurs `times[i]` times, under other names."""
    names, box_frame, gts, roi_frame, rois = [], [], [], [], []
    for i, name in enumerate(FRAMES):
        for copy in range(times[i]):
            own = np.flatnonzero(truth.box_frame == i)
            seen = np.flatnonzero(detections.frames[detections.roi_frame] == name)
            box_frame += [len(names)] * len(own)
            roi_frame += [len(names)] * len(seen)
            gts, rois = [*gts, *own], [*rois, *seen]
            names.append(f"{name}-{copy}")
    gts, rois = np.array(gts, int), np.array(rois, int)
    found = detections.boxes, detections.actor_scores, detections.action_scores
    return (
        instance_tables.Truth(names, box_frame, truth.boxes[gts], truth.codes[gts]),
        scored_rois.ScoredRois(names, roi_frame, *(part[rois] for part in found)),
    )


def test_a_draw_is_scored_as_the_set_that_it_stands_for(scored):
    folder, truth, detections, maps = scored
    got = bootstrap.bootstrap(folder, SMALL, samples=25, seed=1)
    weights = np.random.default_rng(1).multinomial(4, [0.25] * 4, 25)
    for sample, times in enumerate(weights[:, [0, 0, 1, 2, 2, 3]]):
        confusion = segmentation.Confusion(SMALL)
        for name, count in zip(FRAMES, times):
            for _ in range(count):
                confusion.update(maps["label_truth", name], maps["label_maps", name])
        for kind, values in confusion.metrics().items():
            for name, value in values.items():
                assert got["segmentation"][kind][name][sample] == pytest.approx(
                    value, abs=1e-9
                )
        other = repeated(truth, detections, times)
        expected = detection.voc_aps(*other[::-1], SMALL)["detection"]
        # Pairs that the sample lacks do not count.
        expected["joint"] *= len(np.unique(truth.codes)) / len(
            np.unique(other[0].codes)
        )
        for kind, value in expected.items():
            assert got["detection"][kind][sample] == pytest.approx(value, abs=1e-9)
    assert got["detection"]["joint"].std() > 0


def test_interval_of_paired_differences():
    hard = np.random.default_rng(0).normal(0, 10, 1001)
    ours = hard + np.linspace(-1, 1, 1001)
    assert bootstrap.interval(ours, hard) == pytest.approx((-0.95, 0.95))
    assert bootstrap.interval(hard, hard) == (0, 0)
