"""What the counts of a user's own behaviours say: in words, and of two rounds.

They are read from "behaviours" in `metrics.json`, see `behaviours.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from a2d_tf.evaluation.metrics.tables import Table

_COLUMNS = {
    name: name for name in ("in all", "found before", "found", "wrong before", "wrong")
}


class Counts(NamedTuple):
    """The numbers of instances of one pair.

    Attributes:
      instances: of true instances.
      found: of those that are found.
      findings: of predicted instances, right or wrong.
    """

    instances: int
    found: int
    findings: int

    @classmethod
    def of(cls, row: dict) -> Counts:
        """Return the counts of a row of "behaviours" in `metrics.json`."""
        return cls(
            instances=row.get("instances", 0),
            found=row.get("found", 0),
            findings=row.get("findings", 0),
        )

    @property
    def wrong(self) -> int:
        """The number of findings that are wrong."""
        return self.findings - self.found

    def f1(self) -> float:
        """Return the harmonic mean of the shares that are found, and that are right.

        One is the share of the true instances that is found, the other the share of the
        findings that is right.
        """
        if not self.found:
            return 0.0
        return 2 * self.found / (self.instances + self.findings)


def sentences(metrics: dict) -> dict[str, str]:
    """Say how well each pair was found: {name of the pair: sentence}.

    Pairs that were neither there nor found are left out.

    Args:
      metrics: as in `metrics.json`; without counts of pairs the result is empty.
    """
    told = {}
    for pair, row in metrics.get("behaviours", {}).items():
        counts = Counts.of(row)
        if not counts.instances and not counts.findings:
            continue
        frames = row["frames"]
        share = f"{counts.found} of {counts.instances}"
        if not frames:
            clauses = ["not tested"]
        elif counts.instances == frames:
            clauses = [f"found in {share} frames"]
        else:
            clauses = [f"found {share} times in {frames} frames"]
        if counts.findings:
            verb = "is" if counts.wrong == 1 else "are"
            clauses.append(f"{counts.wrong} of {counts.findings} findings {verb} wrong")
        told[pair] = f"{row['name']}: {', '.join(clauses)}."
    return told


def compared(before: dict, now: dict) -> Table:
    """Put the counts of two rounds on the same frames side by side.

    A pair is better or worse by F1; if that is equal, by wrong findings.

    Args:
      before, now: `metrics.json` of the rounds.
    """
    rows = {}
    changes: dict[str, list[str]] = {"better": [], "worse": [], "as before": []}
    for pair, row in now["behaviours"].items():
        old = Counts.of(before["behaviours"][pair])
        new = Counts.of(row)
        if not any(old) and not any(new):
            continue
        old_rank = (old.f1(), -old.wrong)
        new_rank = (new.f1(), -new.wrong)
        if new_rank > old_rank:
            changes["better"].append(row["name"])
        elif new_rank < old_rank:
            changes["worse"].append(row["name"])
        else:
            changes["as before"].append(row["name"])
        rows[pair] = {
            "in all": new.instances,
            "found before": old.found,
            "found": new.found,
            "wrong before": old.wrong,
            "wrong": new.wrong,
        }
    notes = []
    for change, names in changes.items():
        if names:
            notes.append(f"{change}: {', '.join(names)}")
    title = "Both rounds on the same held-out frames: numbers of instances"
    return Table(title, _COLUMNS, rows, notes=tuple(notes))
