"""Flags that name the annotated videos of records: A2D, or a user's own."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Collection, Sequence

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.annotations.coded_times.subjects import Subjects, load_subjects
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.reading_flags import ReadingFlags
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.annotations.tracks.given_tracks import Reading
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
    """The flags of a source of annotated videos.

    Attributes:
      register: the register in which they are defined.
      reading: the flags that tell how exports are read.
    """

    register: Register
    reading: ReadingFlags

    @classmethod
    def define(cls, register: Register) -> SourceFlags:
        """Define them for a command."""
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
        _define_coding(register)
        return cls(register, ReadingFlags(register, "annotations"))

    def open(
        self, *, on_error: str = "fail", has_split: bool = True, by_sight: bool = False
    ) -> Source:
        """Return the source that the flags name.

        Args:
          on_error: the treatment of a broken item of A2D, one of `convert.ON_ERROR`.
          has_split: see `Selection`.
          by_sight: see `Coding`.

        Raises:
          InputError: the flags contradict each other, or the source cannot be read.
        """
        flags = self.register
        label_space = None
        if flags.labels:
            label_space = LabelSpace.from_json(flags.labels)
        release = flags.release
        exports = flags.annotations
        if not release and len(exports) == 1 and _is_release(exports[0]):
            release = exports[0]
            exports = []
        self._check(has_release=bool(release))
        if flags.coco:
            exports = [*exports, flags.coco]
        if release:
            return self._open_release(release, exports, label_space or A2D, on_error)
        if not exports:
            raise InputError(
                "--annotations (or --release) is missing; --help shows the flags"
            )
        command_line.require([], videos=flags.videos)
        source = self._open_annotated_videos(
            exports, label_space, has_split=has_split, by_sight=by_sight
        )
        for line in source.summary():
            print(line)
        return source

    def check_coding(self) -> None:
        """Raise InputError if coded times cannot be read, or contradict other flags."""
        self._check(has_release=False)
        _read_coding(self.register)

    def reading_of_tracks(self) -> Reading:
        """Return how --annotations are read if they are given tracks."""
        return self.reading.reading_of_tracks(self.register.annotations, "annotations")

    def _check(self, *, has_release: bool) -> None:
        """Raise InputError if the flags contradict each other."""
        flags = self.register
        if flags.split_of and (has_release or flags.test_videos):
            raise InputError(
                "--split_of, as of a round --after another, goes without --test_videos"
                " and --release"
            )
        if flags.labels_of and has_release:
            raise InputError("--labels_of is for --annotations; leave it out")
        if flags.bouts and has_release:
            raise InputError(
                "--bouts gives actions to --annotations; leave it out with --release"
            )
        needs_bouts = flags.bouts_win or flags.outside or flags.subjects
        if needs_bouts and not flags.bouts:
            raise InputError(
                "--bouts_win, --outside and --subjects need --bouts, for --annotations"
            )

    def _open_release(
        self,
        release: str,
        exports: Sequence[str],
        label_space: LabelSpace,
        on_error: str,
    ) -> Release:
        """Return A2D; `exports` may name another folder of annotations."""
        if len(exports) > 1:
            raise InputError("--release takes at most one --annotations")
        list_of_videos = self.register.videos
        if list_of_videos and os.path.isdir(list_of_videos):
            list_of_videos = None  # a folder of videos, which only --annotations uses
        return Release(
            release,
            label_space,
            videos=list_of_videos,
            annotations=exports[0] if exports else None,
            test_videos=frozenset(self.register.test_videos),
            on_error=on_error,
        )

    def _open_annotated_videos(
        self,
        exports: Sequence[str],
        label_space: LabelSpace | None,
        *,
        has_split: bool,
        by_sight: bool,
    ) -> AnnotatedVideos:
        """Return a user's own videos; without labels, those of the annotations."""
        flags = self.register
        earlier_labels = None
        if flags.labels_of:
            earlier_labels = Manifest.load(flags.labels_of).label_space
        known_labels = label_space or earlier_labels
        actors: Sequence[str] = ()
        if known_labels is not None:
            actors = known_labels.actors
        options = self.reading.options(
            actors,
            format_name="a2d_tf" if flags.coco else None,
            # Coded times are known for all frames.
            interpolated=flags.interpolated or bool(flags.bouts),
            empty_frames=flags.empty_frames,
            frame_step=flags.frame_step,
        )
        earlier_splits = {}
        asked: Collection[str] = ()
        if flags.split_of:
            earlier_splits = Manifest.load(flags.split_of).split_of
            asked = asked_frames.read(flags.split_of).keys()
        return AnnotatedVideos.read(
            [Export.parse(export) for export in exports],
            pathlib.Path(flags.videos),
            label_space,
            earlier_labels=earlier_labels,
            names=self.reading.names(),
            options=options,
            coding=_read_coding(flags, by_sight) if flags.bouts else None,
            selection=Selection(
                test_videos=flags.test_videos,
                earlier=earlier_splits,
                asked=asked,
                max_frames=flags.max_frames,
                has_split=has_split,
            ),
        )


def _define_coding(register: Register) -> None:
    """Define the flags of coded times."""
    register.define_multi_string(
        "bouts",
        [],
        "Coded times that give annotated instances their actions: tabular or"
        " aggregated events, or the project, of BORIS, or a summary.csv; may be"
        " repeated.",
    )
    register.define_bool("bouts_win", False, "Coded actions replace annotated ones.")
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
        "Images a second of --videos that are folders, for --bouts; by default as BORIS"
        " says.",
        1e-3,
        1e6,
    )


def _is_release(path: str) -> bool:
    """Return whether a path is A2D's Release folder."""
    return (pathlib.Path(path) / "videoset.csv").is_file()


def _read_coding(flags: Register, by_sight: bool = False) -> Coding:
    """Return the coded times of --bouts."""
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
