"""Flags on how to read exports of annotation tools, which several commands have."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.labels.names import NO_NAMES, Names
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.readers.formats import FORMATS
from a2d_tf.annotations.tracks.given_tracks import Reading
from a2d_tf.core.command.register import Register


class ReadingFlags:
    """The flags on how to read exports.

    Args:
      register: the command's register of flags.
      exports: name of the flag that names the exports.
    """

    NAMES = ("format", "names", "actor", "first_frame")

    def __init__(self, register: Register, exports: str) -> None:
        self._format = register.define_enum(
            "format", None, FORMATS, f"Format of --{exports}; by default by content."
        )
        self._names = register.define_string(
            "names",
            None,
            f'JSON file that maps labels of --{exports} to names: {{"label": ["actor",'
            ' "action"]}, or ["actor", null] to use the attribute \'action\'.',
        )
        self._actor = register.define_string(
            "actor",
            None,
            "Actor of the tracks and poses in files that name no class; by default the"
            " only actor of the labels.",
        )
        self._first_frame = register.define_enum(
            "first_frame",
            None,
            ("0", "1"),
            "Number of a video's first frame in names of images and in tracks of MOT;"
            " by default 1.",
        )

    def given(self, register: Register) -> list[str]:
        """Return the names of those that a user has given."""
        return [name for name in self.NAMES if register[name].present]

    def names(self) -> Names:
        """Return the mapping of labels; InputError if its file is malformed."""
        return Names.load(self._names.value) if self._names.value else NO_NAMES

    def options(
        self, actors: Collection[str] = (), format_name: str | None = None, **more: Any
    ) -> ReadOptions:
        """Return the options of reading.

        Args:
          actors: known actors of the labels. A single one is the actor of tracks whose
            file names no actor.
          format_name: name of the format; None for the value of --format.
          more: further fields of `ReadOptions`.
        """
        actor = self._actor.value
        if not actor and len(actors) == 1:
            (actor,) = actors
        first_frame = None
        if self._first_frame.value is not None:
            first_frame = int(self._first_frame.value)
        return ReadOptions(
            format_name=format_name or self._format.value,
            first_frame=first_frame,
            actor=actor or None,
            **more,
        )

    def reading_of_tracks(self, exports: Iterable[str], flag: str) -> Reading:
        """Return how exports of given tracks are read.

        Coordinates of frames between two key frames are those that the tool shows
        there.

        Args:
          exports: values of a flag.
          flag: its name, for messages.
        """
        return Reading(
            [Export.parse(export, flag) for export in exports],
            self.names(),
            self.options(interpolated=True, needs_actor=False),
        )
