"""How good a model is in videos that its training, or its fit, had not seen.

A run keeps it in `held_out.json`, an export as `held_out` in its `a2d_tf.json`, and
each prediction, but for the names of videos, in `video.json`, whose page shows it:

  {"videos": 3, "frames": 27, "unsure_below": 0.31,
   "behaviours": {"rider riding": {"objects": 10, "videos": 1, "right": 5,
                                   "predicted": 9,
                                   "taken_for": {"person walking": 1}}, ...},
   "before": {"rider riding": {"objects": 10, "right": 3, "predicted": 9}, ...},
   "folds": {"folds": 5, "videos": 12, "frames": 110, "behaviours": {...}},
   "trained_on": ["lucia", ...], "tested_on": ["hockey", ...]}

Of so many annotated `objects` of a behaviour, in so many `videos`, tracks found those
that are `right`; of so many objects in these frames it was `predicted`. Objects of it
were `taken_for` others. `before` is of the model that this one goes on from, on the
same frames.
`folds` is of further models with the same settings, each trained without the videos of
one fold, and asked about these. Of labels that were fitted to coded times it is

  {"videos": 11, "seconds": 7.9, "right": 4.1, "unsure_below": 0.42,
   "behaviours": {"run": {"seconds": 1.8, "right": 1.2, "predicted": 2.4}, ...}}

where `videos` were left out of the fit in turn; `seconds` were coded in them, of which
`right` got the coded behaviour. In either case, labels with a score below
`unsure_below` were rather wrong than right, see `evaluation.unsure`; it is null if too
few were compared, and models of earlier versions do not say it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from a2d_tf.core.checked_json import load_json, number, whole
from a2d_tf.core.files import file_digest, write_json
from a2d_tf.runs import run_folder
from a2d_tf.runs.video_splits import HELD_OUT, NEW, TRAINED

FILE = "held_out.json"
"""In a run or a packed model; `weights` in it is the digest of those it is of."""
_AMOUNT = number(0, 1e12)
_BEHAVIOURS = {
    str: {
        "objects?": _AMOUNT,
        "seconds?": _AMOUNT,
        "videos?": whole(),
        "right": _AMOUNT,
        "predicted": _AMOUNT,
        "taken_for?": {str: _AMOUNT},
    }
}
KIND = {
    "videos": whole(1),
    "frames?": whole(),
    "seconds?": _AMOUNT,
    "right?": _AMOUNT,
    "unsure_below?": (number(0, 1), None),
    "behaviours": _BEHAVIOURS,
    "before?": _BEHAVIOURS,
    "folds?": {
        "folds": whole(2),
        "videos": whole(1),
        "frames": whole(),
        "behaviours": _BEHAVIOURS,
    },
    "trained_on?": [str],
    "tested_on?": [str],
}
"""Of the field, as for `check_json`."""
_NAMES = ("trained_on", "tested_on")
_REMEDY = "delete it; a2d start with the same flags writes it again"


class Behaviour(NamedTuple):
    """How well a behaviour is told in videos held out.

    Attributes:
      name: of an actor and an action, as in sentences, or of an action.
      unit: "objects" or "seconds".
      amount: how many were annotated or coded.
      videos: number of the videos that show it; None if nobody says.
      right: how many of them got this behaviour.
      predicted: how many got it, right or wrong.
      taken_for: {another behaviour: how many got that in its place}.
    """

    name: str
    unit: str
    amount: float
    videos: int | None
    right: float
    predicted: float
    taken_for: Mapping[str, float]

    @property
    def is_tested(self) -> bool:
        """Whether a video held out shows it."""
        return self.amount > 0

    @property
    def recall(self) -> float | None:
        """The share that is found, 0 to 1; None if it is not tested."""
        return self.right / self.amount if self.amount else None

    @property
    def precision(self) -> float | None:
        """The share of what is predicted that is right; None without any."""
        return self.right / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; None if it was neither there nor predicted."""
        total = self.amount + self.predicted
        return 2 * self.right / total if total else None

    def clauses(self) -> str:
        """Say what was found, and what of it is right."""
        clauses = []
        if self.is_tested:
            found = f"found {_text(self.right)} of {_text(self.amount)}"
            if self.videos:
                found += f" in {_count(self.videos, 'video')}"
            clauses.append(found)
        else:
            clauses.append("not tested")
        if self.taken_for:
            other = max(self.taken_for, key=lambda name: self.taken_for[name])
            clauses.append(f"{_text(self.taken_for[other])} taken for {other}")
        if self.predicted:
            share = f"{_text(self.right)} of {_text(self.predicted)}"
            clauses.append(f"{share} that got this label are right")
        return "; ".join(clauses)


def behaviours(rows: Mapping[str, Mapping[str, Any]]) -> list[Behaviour]:
    """Return the behaviours of the field, in their order there.

    Args:
      rows: its "behaviours" or "before".
    """
    result = []
    for name, row in rows.items():
        unit = "objects" if "objects" in row else "seconds"
        result.append(
            Behaviour(
                name=name,
                unit=unit,
                amount=row.get(unit, 0),
                videos=row.get("videos"),
                right=row["right"],
                predicted=row["predicted"],
                taken_for=row.get("taken_for", {}),
            )
        )
    return result


def sentence(held_out: Mapping[str, Any]) -> str:
    """Say it in a sentence."""
    if "frames" in held_out:
        sentences = [
            f"In {_count(held_out['videos'], 'video')} held out of the training"
            f" {_track_counts(held_out)}."
        ]
        if "folds" in held_out:
            folds = held_out["folds"]
            sentences.append(
                f"In cross-validation, {folds['folds']} further trainings without one"
                f" fold each of {folds['videos']} videos {_track_counts(folds)}."
            )
        sentences.append(
            "A right label on a poor outline (IoU below .5) counts as wrong here, so"
            " seconds may be better than these figures."
        )
        return " ".join(sentences)
    shares = []
    for name, behaviour in held_out["behaviours"].items():
        shares.append(f"{name} {_percent(behaviour)}")
    return (
        f"In {held_out['videos']} coded videos, each left out of the fit in turn,"
        f" {_percent(held_out)} of the coded seconds got their behaviour:"
        f" {', '.join(shares)}."
    )


def video_facts(held_out: Mapping[str, Any], video: str) -> dict[str, Any]:
    """Return the fields of `video.json` of a prediction.

    Args:
      held_out: the field of a model.
      video: name of the video, see `video_names`.
    """
    facts = {name: value for name, value in held_out.items() if name not in _NAMES}
    fields: dict[str, Any] = {"held_out": facts}
    if video in held_out.get("trained_on", ()):
        fields["split"] = TRAINED
    elif video in held_out.get("tested_on", ()):
        fields["split"] = HELD_OUT
    elif "trained_on" in held_out:
        fields["split"] = NEW
    return fields


def read(run: str | os.PathLike) -> dict[str, Any] | None:
    """Read it of a run or of a packed model; None if nobody scored these weights.

    Raises:
      InputError: a damaged file.
    """
    path = os.path.join(run, FILE)
    if not os.path.isfile(path):
        return None
    fields = load_json(path, {"weights": (str, None), **KIND}, _REMEDY)
    weights = _newest_weights(run)
    if weights is not None and fields["weights"] != weights:
        return None
    return {name: value for name, value in fields.items() if name != "weights"}


def write(run: str | os.PathLike, held_out: Mapping[str, Any]) -> None:
    """Write it of the newest weights of a run."""
    fields = {"weights": _newest_weights(run), **held_out}
    write_json(os.path.join(run, FILE), fields)


def _newest_weights(run: str | os.PathLike) -> str | None:
    """Return the digest of the newest weights' index; None if there are none."""
    folder = run_folder.checkpoint_folder(os.fspath(run))
    steps = run_folder.checkpoint_steps(folder)
    if not steps:
        return None
    return file_digest(os.path.join(folder, f"ckpt-{max(steps)}.index"))


def _track_counts(scores: Mapping[str, Any]) -> str:
    """Say what tracks found in the annotated frames of some videos."""
    rows = behaviours(scores["behaviours"])
    right = _text(sum(row.right for row in rows))
    return (
        f"({_count(scores['frames'], 'annotated frame')}), tracks found {right} of"
        f" {_text(sum(row.amount for row in rows))} annotated objects; of the"
        f" {_text(sum(row.predicted for row in rows))} labels given, {right} are right"
    )


def _percent(seconds: Mapping[str, Any]) -> str:
    """Return what is right of seconds; all are if there are none."""
    share = seconds["right"] / seconds["seconds"] if seconds["seconds"] else 1
    return f"{100 * share:.0f} %"


def _text(amount: float) -> str:
    """Format a number of objects, or of seconds."""
    return f"{amount:.1f}".removesuffix(".0")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
