"""A report of loaded weights, which names every tensor and every variable.

A variable is loaded or initialised, a tensor is loaded or skipped; the report gives the
reason. No weights are left out silently.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What became of every variable of a network and every tensor of the weights.

    Its text names all of them; the run folder keeps it as weights.txt.

    Attributes:
      origin: where the weights come from, in one line or more.
      loaded: {name of a variable: name of the tensor that fills it}.
      initialised: {name of a variable, or of a part of it as variable[part]: why no
        tensor fills it}; it keeps its initial values.
      skipped: {name of a tensor: why it was not used}.
    """

    origin: str
    loaded: dict[str, str]
    initialised: dict[str, str]
    skipped: dict[str, str]

    def summary(self) -> str:
        """Return the report in short, for the log.

        Returns:
          the origin; how many variables were filled; the first words of the names of
          the others' layers, such as action_fc1; how many tensors are not used.
        """
        groups = set()
        for name in self.initialised:
            words = re.split("[_/]", name)
            groups.add("_".join(words[:2]))
        initialised_groups = ", ".join(sorted(groups)) or "none"
        count = len(self.loaded) + len(self.initialised)
        text = (
            f"{self.origin}\n{len(self.loaded)} of {count} variables of the network"
            " have its weights, and the others begin to learn anew:"
            f" {initialised_groups}"
        )
        if self.skipped:
            text += f"; {len(self.skipped)} tensors of it are not used"
        return text

    def __str__(self) -> str:
        lines = [self.summary(), "", "loaded:"]
        for variable, tensor in self.loaded.items():
            lines.append(f"  {variable} <- {tensor}")
        lines.append("initialised:")
        for variable, reason in self.initialised.items():
            lines.append(f"  {variable}: {reason}")
        lines.append("skipped:")
        for tensor, reason in self.skipped.items():
            lines.append(f"  {tensor}: {reason}")
        return "\n".join(lines) + "\n"


def join(reports: Mapping[str, LoadReport]) -> LoadReport:
    """Join the reports of weights that were loaded one after another into one network.

    A variable that any of them filled counts as loaded. The files may use the same
    names of tensors, so the key of the report is added to those of unused tensors.

    Args:
      reports: {what was loaded, such as the stream 'rgb' or 'flow': its report}, at
        least one, in the order of loading.

    Returns:
      one report; if there is only one already, that.
    """
    if len(reports) == 1:
        (report,) = reports.values()
        return report
    loaded = {}
    skipped = {}
    for stream, report in reports.items():
        loaded.update(report.loaded)
        for tensor, reason in report.skipped.items():
            skipped[f"{tensor} ({stream})"] = reason
    initialised: dict[str, str] = {}
    for report in reports.values():
        for name, reason in report.initialised.items():
            if name not in loaded:
                initialised.setdefault(name, reason)
    origin = "\n".join(report.origin for report in reports.values())
    return LoadReport(origin, loaded, initialised, skipped)
