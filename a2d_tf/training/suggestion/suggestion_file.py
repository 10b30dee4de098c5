"""A suggestion of settings: for people a flagfile, for commands a JSON file beside it.

`a2d suggest-config` writes both, and `a2d start` reads the JSON file. No TensorFlow
here, since `a2d start` leaves it to the commands it runs.
"""

from __future__ import annotations

import dataclasses
import os
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from a2d_tf.core.checked_json import load_json, number, whole
from a2d_tf.core.files import write_json
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags

_WIDTH = 100  # columns of a comment
_SECONDS = number(0, 1e9)
_FIELDS = {
    "title": str,
    "settings": [{"flags": dict, "reason": str}],
    "remarks": [str],
    "individuals": whole(0),
    "source": str,
    "minutes": (float, None),
    "after": (str, None),
    "duration": (str, None),
    "times?": {
        "start": _SECONDS,
        "step": _SECONDS,
        "answer": _SECONDS,
        "motion": _SECONDS,
    },
}


class MeasuredTimes(NamedTuple):
    """How long training and prediction take on a machine, in seconds.

    Attributes:
      start: seconds until the first step of a training is done, or until another
        command has loaded the network.
      step: seconds of each later step.
      answer: seconds of the network for a frame that is answered.
      motion: seconds of the motion maps for each frame of a video; 0 if the network
        reads none.
    """

    start: float
    step: float
    answer: float
    motion: float


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """Suggested settings for records on a machine, with remarks for the user.

    Attributes:
      title: a line that says what the settings were suggested for.
      settings: the flagfile that they start from, then the flags that change it.
      remarks: advice about the records that no flag can give, see `record_remarks`.
      individuals: the largest number of individuals in an annotated frame.
      source: digest of the files and settings that the records were made from, as in
        their manifest.
      minutes: how many minutes the training may take; None if that was not given.
      after: absolute path of the run folder whose weights the training starts from;
        None for a new training.
      duration: a sentence on how long training, scores and prediction take; None if it
        was not measured.
      times: the measured times that `duration` describes; None if they were not
        measured, and in files of earlier versions.
    """

    title: str
    settings: Sequence[ReasonedFlags]
    remarks: Sequence[str]
    individuals: int
    source: str
    minutes: float | None = None
    after: str | None = None
    duration: str | None = None
    times: MeasuredTimes | None = None

    @classmethod
    def read(cls, path: str | os.PathLike) -> Suggestion:
        """Read a JSON file that `write` wrote.

        Raises:
          InputError: the file is missing or damaged.
        """
        fields = load_json(path, _FIELDS, "delete it and run again")
        names = [field.name for field in dataclasses.fields(cls)]
        values = {name: fields[name] for name in names if name in fields}
        values["settings"] = [ReasonedFlags(**part) for part in fields["settings"]]
        if "times" in fields:
            values["times"] = MeasuredTimes(**fields["times"])
        return cls(**values)

    def write(self, path: str | os.PathLike) -> None:
        """Write the suggestion as a JSON file, which `read` reads."""
        fields = dataclasses.asdict(self)
        del fields["times"]
        if self.times:
            fields["times"] = self.times._asdict()
        write_json(path, fields)

    def is_for(self, source: str, minutes: float, after: str | None) -> bool:
        """Return whether the suggestion was made for these records, minutes and run.

        If so, a2d start uses it again.

        Args:
          source: digest of the files and settings that the records were made from, as
            in their manifest.
          minutes: how many minutes the training may take; compared to six digits, as a
            command line has them.
          after: path of the run folder whose weights the training starts from; None for
            a new training.
        """
        if self.source != source or self.minutes is None:
            return False
        if f"{self.minutes:g}" != f"{minutes:g}":
            return False
        return self.after == (os.path.abspath(after) if after else None)

    @property
    def steps(self) -> int:
        """The suggested number of training steps."""
        flags: dict[str, Any] = {}
        for part in self.settings:
            flags.update(part.flags)
        return flags["steps"]

    def predict_flag(self) -> str:
        """Return '--max_tracks=N', the flag of a2d predict for `individuals`."""
        return f"--max_tracks={self.individuals}"

    def notes(self) -> list[str]:
        """Return the remarks, then the sentence on durations, if they were measured."""
        if self.duration is None:
            return list(self.remarks)
        return [*self.remarks, self.duration]

    def flagfile(self) -> str:
        """Return the text of a flagfile for people and `--flagfile`.

        Comments at its top have the title and the notes; each group of flags has its
        reason as a comment above it.
        """
        head = [*_comment(self.title), "#"]
        for note in self.notes():
            head += _comment(f"- {note}", indent="  ")
        blocks = ["\n".join(head)]
        for part in self.settings:
            lines = [*_comment(part.reason), *part.words()]
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks) + "\n"


def json_path(flagfile: str | os.PathLike) -> str:
    """Return the path of the JSON file beside a suggested flagfile.

    Args:
      flagfile: path of the flagfile, such as 'own.flags'.

    Returns:
      a path such as 'own.suggestion.json'.
    """
    stem, _ = os.path.splitext(flagfile)
    return f"{stem}.suggestion.json"


def _comment(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_on_hyphens=False,
    )
