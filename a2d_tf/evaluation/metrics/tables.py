"""A table of figures, and its text."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Table:
    """Figures of a metric, for print and for TensorBoard.

    Attributes:
      title: printed above.
      columns: {name of a figure: its heading}.
      rows: {name: {name of a figure: its value, or None}}; the row "" gets the
        network's name.
      notes: sentences below the rows.
      lead: sentences above the title.
    """

    title: str
    columns: dict[str, str]
    rows: dict[str, dict]
    notes: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, list]]:
        """Return the name of each row, with its values in the order of the columns."""
        lines = []
        for name, values in self.rows.items():
            lines.append((name, [values.get(column) for column in self.columns]))
        return lines

    def text(self, name: str = "ours") -> str:
        """Return the table as printed; `name` is that of the network's row."""
        cells = [["", *self.columns.values()]]
        for row, values in self.lines():
            cells.append([row or name, *map(figure, values)])
        first_width = max(len(line[0]) for line in cells)
        width = max(5, *map(len, self.columns.values()))
        lines = []
        for row, *values in cells:
            padded = [f"  {value:>{width}}" for value in values]
            lines.append(f"{row:<{first_width}}" + "".join(padded))
        return "\n".join([*self.lead, self.title, *lines, *self.notes])


def figure(value: float | None) -> str:
    """Format a figure, a count as a whole number; `-` if there is none."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}"
