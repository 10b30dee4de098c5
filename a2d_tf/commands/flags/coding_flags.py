"""Flags on coded times, which give actions to annotated instances."""

from __future__ import annotations

import dataclasses

from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.annotations.coded_times.subjects import Subjects, load_subjects
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class CodingFlags:
    """The flags of a command that read coded times: when an individual did what.

    Attributes:
      register: the command's register of flags, which holds their values.
    """

    register: Register

    @classmethod
    def define(cls, register: Register) -> CodingFlags:
        """Add the flags of coded times to a command's register."""
        register.define_multi_string(
            "bouts",
            [],
            "Coded times that give annotated instances their actions: tabular or"
            " aggregated events, or the project, of BORIS, or a summary.csv; may be"
            " repeated.",
        )
        register.define_bool(
            "bouts_win", False, "Coded actions replace annotated ones."
        )
        register.define_string(
            "outside",
            None,
            "Action between coded times; by default these frames are left out.",
        )
        register.define_string(
            "subjects",
            None,
            'JSON, or a file of it: {"subject": "track id or name"}, or {"subject":'
            ' {"video": ...}}; null leaves out a subject or a behaviour.',
        )
        register.define_float(
            "fps",
            None,
            "Images a second of --videos that are folders, for --bouts; by default as"
            " BORIS says.",
            1e-3,
            1e6,
        )
        return cls(register)

    @property
    def has_bouts(self) -> bool:
        """Whether a file of coded times is given."""
        return bool(self.register.bouts)

    def check(self, *, has_release: bool) -> None:
        """Raise InputError if the flags contradict each other.

        Args:
          has_release: whether the annotations are those of A2D.
        """
        flags = self.register
        if flags.bouts and has_release:
            raise InputError(
                "--bouts gives actions to --annotations; leave it out with --release"
            )
        needs_bouts = flags.bouts_win or flags.outside or flags.subjects
        if needs_bouts and not flags.bouts:
            raise InputError(
                "--bouts_win, --outside and --subjects need --bouts, for --annotations"
            )

    def read(self, *, by_sight: bool = False) -> Coding | None:
        """Read the coded times; return None without any.

        Args:
          by_sight: see `Coding`.

        Raises:
          InputError: a file cannot be read.
        """
        flags = self.register
        if not self.has_bouts:
            return None
        observations = []
        for path in flags.bouts:
            observations.extend(bout_files.read(path))
        subjects: Subjects = {}
        if flags.subjects:
            subjects = load_subjects(flags.subjects)
        return Coding(
            observations,
            wins=flags.bouts_win,
            outside=flags.outside,
            subjects=subjects,
            fps=flags.fps,
            by_sight=by_sight,
        )
