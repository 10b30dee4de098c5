"""The figures of `metrics.json` as tables: the paper's Tables 1 and 2 with ours, and the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from a2d_tf.evaluation import metrics as registry

NOTE = "Published rows are for A2D's own test split: compare only figures of that split."


def table(metrics: dict, name: str = "ours") -> str:
    """Format the tables of all metrics that there are, `-` where a figure is absent.

    Args:
      metrics: as in `metrics.json`, every part optional.
      name: of our row.
    """
    tables = [table for metric in registry.registered() for table in metric.rows(metrics)]
    notes = [NOTE] if any(table.published for table in tables) else []
    return "\n\n".join([*(text(table, name) for table in tables), *notes])


def text(table: registry.Table, name: str = "ours") -> str:
    """Format a table."""
    rows = [*table.published.items(), *((row or name, values) for row, values in lines(table))]
    return "\n".join([table.title, *_aligned(table.columns.values(), rows)])


def lines(table: registry.Table) -> list[tuple[str, list]]:
    """Return the rows of a table without the published ones: names, and values by column."""
    return [(row, [values.get(c) for c in table.columns]) for row, values in table.rows.items()]


def further(metrics: dict) -> list[registry.Table]:
    """Return the tables of what the paper does not have."""
    tables = (table for metric in registry.registered() for table in metric.rows(metrics))
    return [table for table in tables if not table.published]


def figure(value: float | None) -> str:
    """Format a figure; `-` where there is none."""
    return "-" if value is None else f"{value:.1f}"


def _aligned(heads: Iterable[str], rows: list) -> Iterator[str]:
    heads = list(heads)
    width, wide = max(len(name) for name, _ in rows), max(5, *map(len, heads))
    yield " " * width + "".join(f"  {head:>{wide}}" for head in heads)
    for name, values in rows:
        yield f"{name:<{width}}" + "".join(f"  {figure(value):>{wide}}" for value in values)
