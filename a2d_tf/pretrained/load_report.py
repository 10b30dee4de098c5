"""A report of loaded weights, which accounts for every tensor and every variable.

Each is loaded, initialised or skipped, with the reason. A run that is to start from
weights starts from them or stops.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """Accounts for every variable of the network and every tensor of the weights.

    Attributes:
      origin: source of the weights, in a line or more.
      loaded: {variable: tensor}.
      initialised: {variable, variable[class] or variable[input channels]: reason}.
      skipped: {tensor: reason}.
    """

    origin: str
    loaded: dict[str, str]
    initialised: dict[str, str]
    skipped: dict[str, str]

    def summary(self) -> str:
        """Summarise in a few lines: origin, counts, groups of initialised layers."""
        groups = set()
        for name in self.initialised:
            words = re.split("[_/]", name)
            groups.add("_".join(words[:2]))
        initialised_groups = ", ".join(sorted(groups)) or "none"
        count = len(self.loaded) + len(self.initialised)
        return (
            f"{self.origin}\n{len(self.loaded)} of {count} variables of the network"
            " have its weights, and the others begin to learn anew:"
            f" {initialised_groups}; {len(self.skipped)} tensors of it are not used"
        )

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
    """Join the reports of weights that were loaded one after another.

    Files may have tensors of one name, so each tensor is named with its stream.

    Args:
      reports: {stream: report}, at least one, in the order of loading.
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
