"""A report of loaded weights, which accounts for every tensor and every variable.

Each is loaded, initialised or skipped, with the reason. A run that is to start from
weights starts from them or stops.
"""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """Accounts for every variable of the network and every tensor of the weights.

    Attributes:
      origin: source of the weights, in one line or two.
      loaded: {variable: tensor}.
      initialised: {variable, variable[class] or variable[input channels]: reason}.
      skipped: {tensor: reason}.
    """

    origin: str
    loaded: dict[str, str]
    initialised: dict[str, str]
    skipped: dict[str, str]

    def then(self, later: LoadReport) -> LoadReport:
        """Combine with the report of weights that were loaded after these."""
        initialised = {}
        for name, reason in self.initialised.items():
            if name in later.initialised or "[" in name:
                initialised[name] = reason
        return LoadReport(
            origin=f"{self.origin}\n{later.origin}",
            loaded={**self.loaded, **later.loaded},
            initialised=initialised,
            skipped={**self.skipped, **later.skipped},
        )

    def summary(self) -> str:
        """Summarise in a few lines: origin, counts, groups of initialised layers."""
        groups = set()
        for name in self.initialised:
            words = re.split("[_/]", name)
            groups.add("_".join(words[:2]))
        initialised_groups = ", ".join(sorted(groups)) or "none"
        return (
            f"{self.origin}\n{len(self.loaded)} variables loaded,"
            f" {len(self.initialised)} initialised ({initialised_groups}),"
            f" {len(self.skipped)} tensors skipped"
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
