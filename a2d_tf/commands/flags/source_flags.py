"""Flags that name the annotated videos of records: A2D, or the user's own."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Collection, Sequence

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.reading_flags import ReadingFlags
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.annotations.tracks.given_tracks import Reading
from a2d_tf.commands.flags.coding_flags import CodingFlags
from a2d_tf.core.command import command_line
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.record_folder import asked_frames
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.sources.release import Release
from a2d_tf.data.sources.source import Source


@dataclasses.dataclass(frozen=True)
class SourceFlags:
    """The flags of a command that name annotated videos: A2D, or the user's own.

    Attributes:
      register: the command's register of flags, which holds their values.
      coding: the flags of coded times (when an individual did what).
      reading: the flags that say how exports of annotation tools are read.
    """

    register: Register
    coding: CodingFlags
    reading: ReadingFlags

    @classmethod
    def define(cls, register: Register) -> SourceFlags:
        """Add the flags of annotated videos to a command's register."""
        register.define_string(
            "release", None, "Folder of A2D: videoset.csv, clips, annotations."
        )
        register.define_multi_string(
            "annotations",
            [],
            "Export of an annotation tool: a file, a folder or the downloaded zip; may"
            " be repeated; VIDEO=PATH names its video. With --release: another folder"
            " of its annotations.",
        )
        register.define_string(
            "coco", None, "The same as --annotations with --format=a2d_tf."
        )
        register.define_string(
            "videos",
            None,
            "Folder of the videos; with --release: text file of VIDs to use, one per"
            " line.",
        )
        register.define_bool(
            "interpolated",
            False,
            "Also use frames that contain only interpolated shapes.",
        )
        register.define_bool(
            "empty_frames", False, "Use listed frames without shapes as background."
        )
        register.define_integer(
            "frame_step", 1, "Sampling interval of Roboflow's frames.", 1
        )
        register.define_list(
            "test_videos",
            [],
            "Names of the test videos; by default as the export says, else about a"
            " fifth.",
        )
        register.define_string(
            "split_of",
            None,
            "Earlier records whose videos keep their split; new videos for which a2d"
            " next asked for frames are for training.",
        )
        register.define_string(
            "labels_of",
            None,
            "Earlier records whose labels keep their places; new labels follow.",
        )
        register.define_integer(
            "max_frames", None, "Maximum number of annotated frames for training.", 1
        )
        register.define_string(
            "labels",
            None,
            "JSON file of the label space; by default A2D's, or that of --annotations.",
        )
        return cls(
            register,
            coding=CodingFlags.define(register),
            reading=ReadingFlags(register, "annotations"),
        )

    def open(self, *, on_error: str = "fail") -> Source:
        """Open the source that the flags name.

        Args:
          on_error: the treatment of a broken item of A2D, one of `convert.ON_ERROR`.

        Raises:
          InputError: the flags contradict each other, or the source cannot be read.
        """
        exports = self.register.annotations
        release = self.register.release
        if not release and len(exports) == 1 and _is_release(exports[0]):
            return self._open_release(exports[0], None, on_error)
        if not release:
            return self.open_own_videos()
        exports = self._exports()
        if len(exports) > 1:
            raise InputError("--release takes at most one --annotations")
        return self._open_release(release, exports[0] if exports else None, on_error)

    def open_own_videos(
        self, *, has_split: bool = True, by_sight: bool = False
    ) -> AnnotatedVideos:
        """Read the user's own videos and annotations, and print a summary.

        Args:
          has_split: whether there is a test split, so that the summary tells of it.
          by_sight: whether a coded subject that no annotation names may be the
            individual that is seen alone during its bouts; else it is an error.

        Raises:
          InputError: the flags contradict each other, or a file cannot be read.
        """
        flags = self.register
        label_space = self._label_space()
        self.check(has_release=False)
        exports = [Export.parse(export) for export in self._exports()]
        if not exports:
            raise InputError(
                "--annotations (or --release) is missing; --help shows the flags"
            )
        command_line.require([], videos=flags.videos)
        earlier_labels = None
        if flags.labels_of:
            earlier_labels = Manifest.load(flags.labels_of).label_space
        source = AnnotatedVideos.read(
            exports,
            pathlib.Path(flags.videos),
            label_space,
            earlier_labels=earlier_labels,
            names=self.reading.names(),
            options=self._read_options(label_space or earlier_labels),
            coding=self.coding.read(by_sight=by_sight),
            selection=self._selection(has_split),
        )
        for line in source.summary():
            print(line)
        return source

    def reading_of_tracks(self) -> Reading:
        """Return how exports are read if --annotations names tracks to be labelled."""
        return self.reading.reading_of_tracks(self.register.annotations, "annotations")

    def check(self, *, has_release: bool) -> None:
        """Raise InputError if the flags contradict each other.

        Args:
          has_release: whether the source is A2D.
        """
        flags = self.register
        if flags.split_of and (has_release or flags.test_videos):
            raise InputError(
                "--split_of, as of a round --after another, goes without --test_videos"
                " and --release"
            )
        if flags.labels_of and has_release:
            raise InputError("--labels_of is for --annotations; leave it out")
        self.coding.check(has_release=has_release)

    def _exports(self) -> list[str]:
        """Return the exports of --annotations and --coco."""
        exports = list(self.register.annotations)
        if self.register.coco:
            exports.append(self.register.coco)
        return exports

    def _label_space(self) -> LabelSpace | None:
        """Return the label space of --labels; None without that flag."""
        if not self.register.labels:
            return None
        return LabelSpace.from_json(self.register.labels)

    def _open_release(
        self, release: str, annotations: str | None, on_error: str
    ) -> Release:
        """Return A2D.

        Args:
          release: its folder.
          annotations: another folder of its annotations; None for its own.
          on_error: see `open`.
        """
        label_space = self._label_space() or A2D
        self.check(has_release=True)
        list_of_videos = self.register.videos
        if list_of_videos and os.path.isdir(list_of_videos):
            list_of_videos = None  # a folder of videos, which only --annotations uses
        return Release(
            release,
            label_space,
            videos=list_of_videos,
            annotations=annotations,
            test_videos=frozenset(self.register.test_videos),
            on_error=on_error,
        )

    def _read_options(self, known_labels: LabelSpace | None) -> ReadOptions:
        """Return the options of reading exports."""
        flags = self.register
        actors: Sequence[str] = ()
        if known_labels is not None:
            actors = known_labels.actors
        return self.reading.options(
            actors,
            format_name="a2d_tf" if flags.coco else None,
            # Coded times are known for all frames.
            interpolated=flags.interpolated or self.coding.has_bouts,
            empty_frames=flags.empty_frames,
            frame_step=flags.frame_step,
        )

    def _selection(self, has_split: bool) -> Selection:
        """Return which videos are tested, and how many frames are for training."""
        flags = self.register
        earlier_splits = {}
        asked: Collection[str] = ()
        if flags.split_of:
            earlier_splits = Manifest.load(flags.split_of).split_of
            asked = asked_frames.read(flags.split_of).keys()
        return Selection(
            test_videos=flags.test_videos,
            earlier=earlier_splits,
            asked=asked,
            max_frames=flags.max_frames,
            has_split=has_split,
        )


def _is_release(path: str) -> bool:
    """Return whether a path is A2D's Release folder."""
    return (pathlib.Path(path) / "videoset.csv").is_file()
