"""Tables of figures, and how they are printed."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Table:
    """Figures of a metric, for print and for TensorBoard.

    Attributes:
      title: the line above the headings.
      columns: {name of a figure: the heading of its column}, in order.
      rows: {name of a row: {name of a figure: its value, or None}}. The row "" is the
        network's; it is printed with the network's name.
      notes: sentences to print below the rows.
      lead: sentences to print above the title.
    """

    title: str
    columns: dict[str, str]
    rows: dict[str, dict]
    notes: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, list]]:
        """Return the rows as pairs (name, values in the order of the columns).

        A missing value is None.
        """
        lines = []
        for name, values in self.rows.items():
            lines.append((name, [values.get(column) for column in self.columns]))
        return lines

    def text(self, name: str = "ours") -> str:
        """Format the table with its sentences, as it is printed.

        Args:
          name: what the network is called, in the row whose name is "".
        """
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
    """Format a number for a table.

    An int is printed as it is, a float with one digit after the point, None as "-".
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}"
