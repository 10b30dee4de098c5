"""The report: the figures of the runs, beside the published ones, in both of its forms."""

import dataclasses
import json
import re
import shutil

import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.evaluator import Evaluator
from a2d_tf.evaluation.reports import bootstrap, pages, reproduction
from a2d_tf.evaluation.reports.reproduction import Result


@pytest.fixture(scope="module")
def results(loaded_run, mini_records, tmp_path_factory):
    """The full model and three variants of it: other thresholds, and one with figures of Fig. 4."""
    root, made = tmp_path_factory.mktemp("reproduction"), []
    config = dataclasses.replace(
        loaded_run.config, learning=dataclasses.replace(loaded_run.config.learning, batch_size=3)
    )
    evaluator = Evaluator(loaded_run.network, config, mini_records)
    for name, threshold in (("full", 0.1), ("no_flow", 0.5), ("zero_shot_cat", 0.9)):
        result = Result(name, 0, str(root / name), 90.0, 2, "", {"tensorflow": "2.15.1"})
        evaluator.evaluate("test", threshold, str(result.test))
        made.append(result)
    (root / "full" / "flags.txt").write_text("--steps=<7>\n")
    for result, aps in (
        (made[0], {"zero_shot_actor_ap": {"6": 40.0}}),
        (made[2], {"zero_shot": {"actor": "cat", "ap": 12.0, "chance": 3.0}}),
    ):
        path = result.test / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **aps}))
    failed = Result("no_joint", 0, str(root), 30.0, 1, "train ended with status 1 (disk full)", {})
    return [*made, failed]


@pytest.fixture(scope="module")
def report(results, mini_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    blocks = reproduction.build(results, mini_records, "Made on six clips.")
    pages.write(folder, "Tables", blocks)
    return folder


def row(text, name, table=-1):
    """The cells of a table's row of this name, of the last such table by default."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip().strip("*") for cell in lines[table].split("|")[2:-1]]


def test_our_rows_stand_beside_the_published_ones(report, results):
    text = (report / "report.md").read_text()
    assert text.startswith(
        "# Tables\n\nMade on six clips.\n\nFailed: no_joint, seed 0: train ended"
    )
    assert row(text, "w/o flow, published") == (
        "79.5 93.7 66.5 60.4 86.3 36.8 46.2 87.8 29.4".split()
    )
    for name, title in (("full", "ours, full"), ("no_flow", "ours, w/o flow")):
        metrics = next(r for r in results if r.name == name).metrics()["segmentation"]
        expected = [
            f"{metrics[kind][m]:.1f}"
            for kind in ("actor", "action", "joint")
            for m in ("ave", "glo", "miou")
        ]
        assert row(text, f"**{title}**", 0) == expected
    assert row(text, "TSHR, published") == ["67.9", "59.6", "49.6"]


def test_differences_have_the_intervals_of_the_bootstrap(report, results):
    full, other = (bootstrap.figures(results[i].test, A2D) for i in (0, 1))
    low, high = bootstrap.interval(*(f["segmentation"]["joint"]["miou"] for f in (other, full)))
    values = [results[i].metrics()["segmentation"]["joint"]["miou"] for i in (1, 0)]
    cells = row((report / "report.md").read_text(), "w/o flow", 0)
    assert cells[0] == "-7.5"  # 29.4 - 36.9
    assert cells[3] == f"{values[0] - values[1]:+.1f} [{low:+.1f}, {high:+.1f}]"


def test_what_the_paper_does_not_have(report, results):
    text = (report / "report.md").read_text()
    coco = results[1].metrics()["coco"]["mask"]
    assert row(text, "w/o flow, mask")[:2] == [f"{coco[name]:.1f}" for name in ("ap", "ap50")]


def test_figure_4(report):
    assert row((report / "report.md").read_text(), "cat") == ["12.0", "40.0", "3.0", "0.30", "0.07"]


def test_html_needs_nothing_else_and_markdown_its_pictures(report):
    page, text = (report / "report.html").read_text(), (report / "report.md").read_text()
    names = re.findall(r"\]\((report/[^)]+)\)", text)
    drawn = ("frames", "zero_shot", "confusion_joint")
    assert {f"report/{name}.png" for name in drawn} <= set(names)
    for name in names:
        assert (report / name).read_bytes()[:4] == b"\x89PNG"
    assert page.count("data:image/png;base64,") == len(names)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "--steps=&lt;7&gt;" in page and "<7>" not in page
    assert "disk full" in page and "2.15.1" in page


def test_seeds_are_summed_up(results, mini_records):
    again = [dataclasses.replace(result, seed=4) for result in results[:2]]
    blocks = reproduction.build(results + again, mini_records, "")
    table, differences = (b for b in blocks if isinstance(b, pages.Table) and b.heads[1] == "seeds")
    miou, other = (r.metrics()["segmentation"]["actor"]["miou"] for r in results[:2])
    assert table.rows[0][:3] == ["full", "2", f"{miou:.1f} ({miou:.1f} to {miou:.1f})"]
    (row,) = differences.rows
    off = f"{other - miou:+.1f}"
    assert row[:3] == ["w/o flow", "2", f"{off} ({off} to {off})"]


def test_the_steps_of_phases_are_told(results, mini_records, tmp_path):
    for name, result, text in (
        ("full", results[0], "--steps=9\n"),
        ("no_joint_actor", results[1], "--steps=4\n"),
        ("no_joint_action", results[1], f"--init_run={tmp_path}/no_joint_actor\n--steps=5\n"),
    ):
        shutil.copytree(result.folder, tmp_path / name)
        (tmp_path / name / "flags.txt").write_text(text)
    full, phased = (
        dataclasses.replace(results[i], name=name, folder=str(tmp_path / folder))
        for i, name, folder in ((0, "full", "full"), (1, "no_joint", "no_joint_action"))
    )
    blocks = reproduction.build([full, phased], mini_records, "")
    texts = [block.text for block in blocks if hasattr(block, "text")]
    assert "--init_run=no_joint_actor\n--steps=5" in texts and str(tmp_path) not in "".join(texts)
    (runs,) = (b for b in blocks if isinstance(b, pages.Table) and b.heads[0] == "run")
    assert [row[:3] for row in runs.rows] == [["full", "0", "9"], ["no_joint", "0", "4 + 5"]]


def test_the_seed_with_the_most_runs_is_shown(results, mini_records):
    more = [dataclasses.replace(result, seed=1) for result in results[:3]]
    few = [dataclasses.replace(results[0], seed=0)]
    texts = [
        b.text for b in reproduction.build(few + more, mini_records, "x") if hasattr(b, "text")
    ]
    assert texts[1] == "All but the section Seeds shows seed 1."
    assert "w/o flow" in str(reproduction.build(few + more, mini_records, "x"))


def test_a_damaged_result_is_named(results, mini_records, tmp_path):
    damaged = dataclasses.replace(results[0], folder=str(tmp_path))
    with pytest.raises(InputError, match="metrics.json"):
        reproduction.build([damaged], mini_records, "")


def test_a_report_of_nothing_but_failures(results, mini_records):
    blocks = reproduction.build(results[-1:], mini_records, "x")
    assert [block.text for block in blocks][0] == "x" and "disk full" in blocks[1].text
