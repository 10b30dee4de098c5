"""Scores and confusions of each actor, action and pair of a label space of a user's
own.

The instances whose p(actor) reaches the threshold count. A true instance is found if
one of its pair has an IoU of 0.5 or more with it, of the masks, or of the boxes where
it has no mask; one to one, see `detection.match`. For a confusion it is compared with
one of them: of those whose box has an IoU of 0.5 or more with its own, the one of the
best score.
"""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.metrics import INSTANCES, Metric, Split, Table
from a2d_tf.evaluation.metrics.detection import MATCH_IOU, iou, match

_COLUMNS = {"frames": "frames", "ap": "AP", "iou": "IoU"}
_COUNTS = ("instances", "found", "findings")
_ROUNDS = ("in all", "found before", "found", "wrong before", "wrong")
_WORST = 2  # confusions to tell of


def sentences(metrics: dict) -> dict[str, str]:
    """Say of each pair that was shown or found how well it was found: {name of the
    pair: sentence}.

    Args:
      metrics: as in `metrics.json`; empty where it has no counts of pairs.
    """
    told = {}
    for pair, row in metrics.get("behaviours", {}).items():
        true, found, findings = (row.get(name, 0) for name in _COUNTS)
        frames, wrong = row["frames"], findings - found
        share = f"{found} of {true}"
        times = f"in {share}" if true == frames else f"{share} times in {frames}"
        clauses = [f"found {times} frames" if frames else "not tested"]
        if findings:
            clauses.append(
                f"{wrong} of {findings} findings {'is' if wrong == 1 else 'are'} wrong"
            )
        if true or findings:
            told[pair] = f"{row['name']}: {', '.join(clauses)}."
    return told


def compared(before: dict, now: dict) -> Table:
    """Put the counts of two rounds on the same frames side by side; arguments as of
    `sentences`.

    A pair is better or worse by F1, the harmonic mean of the share of its true
    instances that are found and of its findings that are right; if that is equal, by
    wrong findings.
    """
    rows = {}
    changes: dict[str, list[str]] = {"better": [], "worse": [], "as before": []}
    for pair, row in now["behaviours"].items():
        both = before["behaviours"][pair], row
        sides = [[side.get(name, 0) for name in _COUNTS] for side in both]
        if any(map(any, sides)):
            # F1 is twice as much.
            old, new = ((f / (t + n), f - n) if f else (0, -n) for t, f, n in sides)
            change = "better" if new > old else "worse" if new < old else "as before"
            changes[change].append(row["name"])
            (_, old_found, old_findings), (true, found, findings) = sides
            figures = true, old_found, found, old_findings - old_found, findings - found
            rows[pair] = dict(zip(_ROUNDS, figures))
    notes = [
        f"{change}: {', '.join(names)}" for change, names in changes.items() if names
    ]
    title = "Both rounds on the same held-out frames: numbers of instances"
    return Table(title, dict(zip(_ROUNDS, _ROUNDS)), rows, notes=tuple(notes))


class Behaviours(Metric):
    """Frames, AP and IoU of every actor, action and pair, and what is taken for what;
    not of A2D.

    The IoU is that of the label maps; it is absent where no frame has a complete one.
    """

    section, place = "", 3  # a chart for each name would hide the others
    needs, validates = (INSTANCES,), True

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self._frames: list[tuple] = []

    def update(self, frame: Any) -> None:
        """Keep the codes of a frame, and which instances, best first, lie on which
        true ones.
        """
        truth, found = frame.truth, frame.instances
        if self.split.labels == A2D:
            return
        ious = iou(found.boxes[:, None], truth.boxes)
        near, masked = ious.T >= MATCH_IOU, np.flatnonzero(truth.has_mask)
        if len(ious) and len(masked):
            masks = [truth.rles[i] for i in masked]
            ious[:, masked] = rle_tools.iou(frame.rles, masks, [False] * len(masks))
        self._frames.append(
            (truth.name, truth.codes, near, ious, found.class_scores, found.code)
        )

    def result(self) -> dict:
        """Return the figures of each class, their means, confusions, and mistakes by
        frame.

        Returns:
          {"behaviours": {name: figures, and of a pair also its `name` in sentences and
          the numbers of true "instances", of those "found", and of "findings" in all},
          "tested": {"actors" | "actions" | "pairs": {"classes", "ap", "iou"}, the
          number of classes with truth, and means over them}, "confusions": [[name, name
          or None, percent]], "mistakes": {frame: [[code, code]]}}. A confusion is the
          percentage of the frames with the first name in which an instance of it is
          taken for the second, or is not found (None); the worst come first. A mistake
          is a true pair and the one that it is taken for, 0 where there is none.
        """
        if not self._frames:
            return {}
        labels, metrics = self.split.labels, self.split.metrics
        shown, confused, mistakes = self._counts()
        names = {("actor", i): name for i, name in enumerate(labels.actors, 1)}
        names |= {("action", i): name for i, name in enumerate(labels.actions, 1)}
        names |= {("pair", code): labels.name(code) for code in labels.codes}
        rows, tested = {}, collections.defaultdict(list)
        for (kind, number), name in names.items():
            count = shown[kind, number]
            row: dict[str, Any] = {"frames": count}
            for of in ("ap", "iou"):
                figure = metrics.get(f"per_{kind}_{of}", {}).get(str(number))
                row[of] = figure if count else None
            if count:
                tested[f"{kind}s"].append(row)
            if kind == "pair":
                row |= {what: shown[what, number] for what in _COUNTS}
                row["name"] = labels.spoken(number)
            rows[name if kind == "pair" else f"{kind} {name}"] = row
        worst = [
            [
                names[kind, true],
                names.get((kind, found)),
                100 * count / shown[kind, true],
            ]
            for (kind, true, found), count in confused.items()
        ]
        worst.sort(key=lambda each: -each[2])
        means = {kind: _means(of) for kind, of in tested.items()}
        return {
            "behaviours": rows,
            "tested": means,
            "confusions": worst,
            "mistakes": mistakes,
        }

    def _counts(self):
        """Return the numbers of each (what, class), of confusions, and the mistakes by
        frame.

        What is a kind for frames, or one of _COUNTS; confusions are (kind, true, found
        class).
        """
        shown: collections.Counter = collections.Counter()
        confused: collections.Counter = collections.Counter()
        mistakes = {}
        for name, codes, near, ious, scores, found in self._frames:
            chosen = scores >= np.float32(self.split.threshold)
            # The last column is background: the answer where no prediction overlaps.
            near = np.column_stack([near[:, chosen], np.ones(len(codes), bool)])
            answers = np.append(found[chosen], 0)[near.argmax(axis=1)]
            shown.update(("pair", code) for code in set(codes.tolist()))
            sides = map(self.split.labels.split, (codes, answers))
            for kind, true, taken in zip(("actor", "action"), *sides):
                shown.update((kind, each) for each in set(true.tolist()))
                both = set(zip(true.tolist(), taken.tolist()))
                confused.update(
                    (kind, a, b) for a, b in both if a != b and (b or kind == "actor")
                )
            missed, made = _compare(codes, found[chosen], ious[chosen])
            for what, each in zip(
                _COUNTS, (codes, np.delete(codes, missed), found[chosen])
            ):
                shown.update((what, code) for code in each.tolist())
            if made:
                mistakes[name] = np.array(made).tolist()
        return shown, confused, mistakes

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return sentences and a table of what was tested, with the worst
        confusions, and means.
        """
        found = metrics.get("behaviours")
        if not found:
            return []
        lead = [*sentences(metrics).values()]
        untested = [
            row["name"] for row in found.values() if "name" in row and not row["frames"]
        ]
        if untested:
            lead.append(f"not tested (no test video): {', '.join(untested)}")
        shown = {name: row for name, row in found.items() if row["frames"]}
        columns = {
            name: heading
            for name, heading in _COLUMNS.items()
            if any(row[name] is not None for row in shown.values())
        }
        taken = [each for each in metrics["confusions"] if each[1]][:_WORST]
        missed = [each for each in metrics["confusions"] if not each[1]][:1]
        notes = [
            f"{name} {f'taken for {other}' if other else 'not found'} in {percent:.0f}"
            " % of frames"
            for name, other, percent in (*taken, *missed)
        ]
        for kind, mean in metrics.get("tested", {}).items():
            shown[f"mean of {mean['classes']} {kind} tested"] = mean
        title = (
            "Who does what, percent (AP of boxes by their scores, IoU of label maps)"
        )
        return [Table(title, columns, shown, notes=tuple(notes), lead=tuple(lead))]


def _compare(codes, found, ious):
    """Match the instances of a frame, [N] best first, to the true ones, [T], by their
    IoU [N, T].

    Returns:
      (indices of the true ones that are missed, [(true code or 0, found code or 0)] of
      mistakes, those of true ones first).
    """
    matched = match(ious * (found[:, None] == codes))
    missed, wrong = (
        np.setdiff1d(np.arange(len(codes)), matched),
        np.flatnonzero(matched < 0),
    )
    taken = match(ious[np.ix_(wrong, missed)])
    mistakes = [
        (codes[missed[t]] if t >= 0 else 0, found[w]) for w, t in zip(wrong, taken)
    ]
    mistakes += [(code, 0) for code in np.delete(codes[missed], taken[taken >= 0])]
    return missed, sorted(mistakes, reverse=True)


def _means(rows):
    """Return the number of some rows, and the mean of each figure; None where none
    has one.
    """
    known = {
        of: [row[of] for row in rows if row[of] is not None] for of in ("ap", "iou")
    }
    return {"classes": len(rows)} | {
        of: sum(x) / len(x) if x else None for of, x in known.items()
    }
