"""Flags of a prediction about tracks: how they are found, or which are given."""

from __future__ import annotations

import dataclasses
from typing import Any

from a2d_tf.annotations.readers.exports import exports_digest
from a2d_tf.annotations.reading_flags import ReadingFlags
from a2d_tf.annotations.tracks.given_tracks import Reading
from a2d_tf.annotations.tracks.video_tracks import FLAG as TRACKS_FLAG
from a2d_tf.core.command import command_flags
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.video.frames.track_settings import TrackSettings

_OF_FINDING = (
    "patience",
    "max_tracks",
    "init_rgb",
    "actors",
    "detector",
    "actions",
)
"""Flags of finding and following instances; they have no effect with --tracks."""


@dataclasses.dataclass(frozen=True)
class TrackFlags:
    """The flags of a prediction about tracks.

    Attributes:
      register: the register of the flags, which holds their values once they are
        parsed.
      reading: the flags that say how the exports of --tracks are read.
    """

    register: Register
    reading: ReadingFlags

    @classmethod
    def define(cls, register: Register) -> TrackFlags:
        """Define the flags in the register of a command.

        These are --window, --patience, --max_tracks, --min_bout, --merge_gap and
        --tracks, and the flags of reading exports.
        """
        register.define_integer(
            "window",
            TrackSettings.window,
            "Number of segmented frames that vote on a track's label; 1: each frame"
            " alone. Actions whose times were coded do not depend on it.",
            1,
        )
        register.define_integer(
            "patience",
            TrackSettings.patience,
            "Number of segmented frames in a row that may miss a track before it ends.",
            0,
        )
        register.define_string(
            "max_tracks",
            None,
            "Number of individuals, in all or for each actor, as in mouse=2,wheel=1.",
        )
        command_flags.define_bout_lengths(register)
        register.define_multi_string(
            TRACKS_FLAG,
            [],
            "Export of a tracker or an annotation tool, whose tracks are labelled in"
            " place of those that the model would find; VIDEO=PATH names its video.",
        )
        return cls(register, ReadingFlags(register, TRACKS_FLAG))

    def settings(self) -> TrackSettings:
        """Return how individuals are tracked, by the values of the flags."""
        flags = self.register
        return TrackSettings(
            window=flags.window,
            patience=flags.patience,
            max_tracks=flags.max_tracks,
            min_bout=flags.min_bout,
            merge_gap=flags.merge_gap,
        )

    def check(self) -> None:
        """Check that the flags of tracks go together.

        Raises:
          InputError: --tracks is missing and a flag of reading its exports is set, or
            --tracks is set with a flag that has no effect then.
        """
        flags = self.register
        given = self.reading.given(flags)
        if not flags.tracks:
            if given:
                raise InputError(
                    f"--{given[0]} says how --tracks is read, which is missing"
                )
            return
        useless = [name for name in _OF_FINDING if flags[name].present]
        useless += Config.named_settings(flags, "inference")
        if useless:
            raise InputError(
                f"--tracks: instances are given, so --{useless[0]} has nothing to do;"
                " leave out one of both"
            )

    def reading_of_tracks(self) -> Reading:
        """Return the exports that --tracks names, and how they are read."""
        return self.reading.reading_of_tracks(self.register.tracks, TRACKS_FLAG)

    def recorded(self, reading: Reading) -> dict[str, Any]:
        """Return the flags by which predictions of given tracks differ.

        Args:
          reading: the exports, the result of `reading_of_tracks`.

        Returns:
          {name of a flag: its value}, with the digest of the exports as "tracks"; {}
          without --tracks.
        """
        flags = self.register
        settings: dict[str, Any] = {}
        if flags.tracks:
            settings["tracks"] = exports_digest(reading.exports)
            for name in self.reading.given(flags):
                settings[name] = flags[name].value
        return settings
