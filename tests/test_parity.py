"""The table of differences from oracles: how a row is measured, and the command."""

import pytest
from processes import run_tool

from tools.parities import comparison


def test_differences_are_relative_to_the_oracles_largest_value():
    ours, theirs = [[1.0, -3.0], [[10.0]]], [[1.0, -4.0], [[10.5]]]
    assert comparison.relative(ours, theirs) == 0.25
    with pytest.raises(ValueError, match=r"shapes \(1,\) and \(2,\)"):
        comparison.relative([[1.0]], [[1.0, 2.0]])


def test_the_table_tells_what_holds_and_what_was_not_compared():
    rows = [
        comparison.Comparison("a", "b", difference, 0.1, "pixels")
        for difference in (0.1, 0.11, None)
    ]
    assert [row.holds for row in rows] == [True, False, True]
    assert comparison.table(rows).splitlines()[2:] == [
        "| a | b | 0.1 | 0.1 | pixels |",
        "| a | b | 0.11 (beyond the bound) | 0.1 | pixels |",
        "| a | b | not installed | 0.1 | pixels |",
    ]


@pytest.mark.slow
def test_the_command_writes_the_page(tmp_path):
    done = run_tool("parity", "--part=operations", f"--output={tmp_path / 'parity.md'}")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "parity.md").read_text()
    assert text.startswith("# Parity\n") and done.stdout.strip() in text
    assert text.count("\n| RoIAlign 7x7") == 3 and "beyond" not in text
