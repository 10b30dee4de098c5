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
    """The flags on how to read exports of annotation tools.

    They are --format, --names, --actor and --first_frame. A command that reads exports
    makes one object before it parses its arguments, which defines the flags.

    Args:
      register: the command's register of flags, to which the flags are added.
      exports: the name of the command's flag that lists the exports, for the help.
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
        """Return the names of these flags that the user has given, without dashes.

        Args:
          register: the command's register of flags, after it has parsed the arguments.
        """
        return [name for name in self.NAMES if register[name].present]

    def names(self) -> Names:
        """Return the mapping from labels to actors and actions that --names states.

        Raises:
          InputError: the file of --names is missing or malformed.
        """
        return Names.load(self._names.value) if self._names.value else NO_NAMES

    def options(
        self, actors: Collection[str] = (), format_name: str | None = None, **more: Any
    ) -> ReadOptions:
        """Return how exports are read, as these flags state.

        Args:
          actors: the known actors of the labels. If --actor is not given and there is a
            single one, it is the actor of tracks whose file names none.
          format_name: the name of the exports' format; None for the value of --format.
          more: values of further fields of `ReadOptions`, such as `interpolated`.
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
        """Return which exports of tracks the user gives, and how they are read.

        In frames between two key frames of a track, the shapes that the tool has
        interpolated are used.

        Args:
          exports: the values of the flag that lists the exports, 'PATH' or
            'VIDEO=PATH'.
          flag: the name of this flag, for errors.

        Raises:
          InputError: a value is no such pair, or the file of --names is missing or
            malformed.
        """
        return Reading(
            [Export.parse(export, flag) for export in exports],
            self.names(),
            self.options(interpolated=True, needs_actor=False),
        )
