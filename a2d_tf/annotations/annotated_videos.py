"""Users' own videos with annotations in any of `formats.FORMATS`: a source of clips."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from a2d_tf.annotations.coding import Coding, give_actions
from a2d_tf.annotations.document import DEFAULTS, AnnotatedFrame, ReadOptions
from a2d_tf.annotations.formats import read_export
from a2d_tf.annotations.matching import Export, Matcher
from a2d_tf.annotations.names import NO_NAMES, Names, doubts, label_space_of
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import video_frames
from a2d_tf.data.a2d_annotations import Annotation, paint
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.release import Video, with_tests
from a2d_tf.data.segmentations import box_of, decode_box, decode_parts

_BEYOND = "frames beyond --max_frames"


class AnnotatedVideos:
    """Annotated videos; broken files raise an InputError that names file and field.

    Masks and boxes are checked when they are read, all else at once.

    Attributes, the others as of `sources.Source`:
      folder: the folder with a file, or a folder of frames, for each video; see
        `video_frames.find`.
      root: the folder of the first export.
      label_space: the one given, or by default `derive_label_space` of the annotations.
      videos: the `release.Video`s in the order of the annotations, without size and
        length.
      skipped: empty.
      doubts: notes of names that may be misspelled; none with a label space that was
        given.
    """

    remedy = "add it, re-encode it, or pass its folder as --videos"
    skipped: tuple[str, ...] = ()

    def __init__(
        self,
        exports: Sequence[Export],
        videos: pathlib.Path,
        label_space: LabelSpace | None = None,
        *,
        names: Names = NO_NAMES,
        options: ReadOptions = DEFAULTS,
        format_name: str | None = None,
        first_frame: int | None = None,
        test_videos: Collection[str] = (),
        earlier: Mapping[str, str] | None = None,
        coding: Coding | None = None,
        max_frames: int | None = None,
    ) -> None:
        """Read the annotations and find their videos.

        Args:
          exports: the files, folders and zips of the annotations.
          names: maps labels to actors and actions.
          options: which frames and shapes count.
          format_name, first_frame: see `read_export` and `Matcher`.
          test_videos: names of the test split; by default as the files say, else
            `split_by_pairs`.
          earlier: {video: split} of earlier records; a video's split that no file
            states stays.
          coding: coded times, which give the instances their actions.
          max_frames: the most that are used for training; see `spread`.

        Raises:
          InputError: a file cannot be read or is of no known format, a label has no
            actor and action, no video fits a frame, or a test video is not annotated.
        """
        self.folder = videos
        self.root = exports[0].path.parent
        matcher = Matcher(self.folder, first_frame)
        self._exports = [
            (x, read_export(x.path, options, format_name)) for x in exports
        ]
        self.documents = tuple(
            document for _, found in self._exports for document in found
        )
        self._frames = matcher.match(self._exports)
        if not self._frames:
            left_out = _left_out(self.documents) or [
                "use the whole export, with annotated frames"
            ]
            raise InputError(f"{exports[0].path}: no annotated frames; {left_out[0]}")
        self._names = dataclasses.replace(names, label_space=label_space)
        owner = {
            id(frame): document
            for document in self.documents
            for frame in document.frames
        }
        self._documents_of = {
            vid: tuple(
                {id(d): d for d in (owner[id(f)] for f in numbered.values())}.values()
            )
            for vid, numbered in self._frames.items()
        }
        self._coded = self._code_times(coding, matcher) if coding else []
        self.label_space = label_space_of(self._instances(), self._names)
        self.doubts = (
            () if label_space else tuple(doubts(self._frames, names, self.documents))
        )
        self.listing = ", ".join(
            [*(x.path.name for x in exports[:3]), f"videos in {self.folder}"]
        )
        self._lengths: dict[str, int] = {}
        self._offsets = {
            vid: _offsets(numbered.values()) for vid, numbered in self._frames.items()
        }
        given = {
            vid: next((frame.split for frame in numbered.values() if frame.split), None)
            for vid, numbered in self._frames.items()
        }
        self.videos = with_tests(self._listed(given, earlier or {}), test_videos)
        if max_frames:
            self._spread(max_frames)
        self._chosen = sorted(
            v.vid for v in self.videos if v.split == "test" and not given[v.vid]
        )

    def _instances(self):
        frames = (
            frame for numbered in self._frames.values() for frame in numbered.values()
        )
        return (instance for frame in frames for instance in frame.instances)

    def _code_times(self, coding, matcher):
        """Give instances the actions of their times, and leave out frames without;
        say of what.
        """
        own = [
            dataclasses.replace(x, video=matcher.spelling(x.video))
            for x in coding.observations
        ]
        coding = dataclasses.replace(coding, observations=own)
        videos = [*dict.fromkeys(each.video for each in own)]
        absent = [vid for vid in videos if vid not in self._frames]
        for vid, numbered in self._frames.items():
            seconds = functools.partial(
                video_frames.seconds, self.frames_path(vid), self.remedy
            )
            coded, left_out = give_actions(vid, numbered, coding, self._names, seconds)
            self._documents_of[vid][0].left_out.update(left_out)
            self._frames[vid] = coded
        self._frames = {
            vid: numbered for vid, numbered in self._frames.items() if numbered
        }
        modified = sum(each.modifiers for each in own)
        used = sum(instance.coded is not None for instance in self._instances())
        said = [
            f"coded times of {join_names(videos)} give {used} instances their actions"
        ]
        said += [f"not annotated: {join_names(absent)}"] * bool(absent)
        said += [f"ignored: modifiers of {modified} events"] * bool(modified)
        if not self._frames:
            raise InputError(
                f"{self.root}: no annotated frame has a coded action; {said[0]}"
            )
        return said

    def _spread(self, most):
        """Keep the most different frames of the training videos; at most so many."""
        shown: dict = collections.defaultdict(lambda: collections.defaultdict(list))
        vids = [video.vid for video in self.videos if video.split == "train"]
        for vid in vids:
            for number, frame in sorted(self._frames[vid].items()):
                pairs = {self._names.pair(instance) for instance in frame.instances}
                for pair in pairs or {None}:  # of background alone
                    shown[pair][vid].append(number)
        kept = spread(shown, most)
        for vid in vids:
            own = {
                n: frame for n, frame in self._frames[vid].items() if (vid, n) in kept
            }
            self._documents_of[vid][0].left_out[_BEYOND] += len(
                self._frames[vid]
            ) - len(own)
            self._frames[vid] = own
        self.videos = tuple(
            dataclasses.replace(video, annotated=len(self._frames[video.vid]))
            for video in self.videos
            if self._frames[video.vid]
        )

    def _listed(self, given, earlier):
        """Return the videos, of {vid: the split that its files state, or None}."""
        shown = collections.defaultdict(set)
        for vid, numbered in self._frames.items():
            for instance in (i for frame in numbered.values() for i in frame.instances):
                shown[self._names.pair(instance)].add(vid)
        splits = split_by_pairs(given, shown.values(), earlier)
        return tuple(
            Video(vid, frames=0, annotated=len(numbered), split=splits[vid])
            for vid, numbered in self._frames.items()
        )

    def summary(self) -> list[str]:
        """Describe format, videos, numbering and what is left out, a line for each
        export.
        """
        lines = []
        for export, documents in self._exports:
            paths = {document.path for document in documents}
            counts = {
                vid: sum(frame.path in paths for frame in numbered.values())
                for vid, numbered in self._frames.items()
            }
            listed = (
                ", ".join(f"{vid} ({n})" for vid, n in counts.items() if n) or "none"
            )
            formats = ", ".join({document.format: None for document in documents})
            numberings = [f.numbering.explanation for d in documents for f in d.frames]
            parts = [f"{export.path}: {formats}; annotated frames of {listed}"]
            lines.append(
                "; ".join([*parts, *dict.fromkeys(numberings), *_left_out(documents)])
            )
        if self._coded:
            lines.append("; ".join(self._coded))
        if self._chosen:
            lines.append(
                f"test split: {', '.join(self._chosen)}; to keep it as you add videos,"
                " pass --split_of with the folder of these records"
            )
        return lines

    def length(self, vid: str) -> int:
        """Return the number of frames that decode.

        Raises:
          InputError: fewer than an export shows; or more, unless it begins later, or
            another one goes on where it ends.
        """
        if vid not in self._lengths:
            path = self.frames_path(vid)
            count = video_frames.count(path, self.remedy)
            shown = self._shown(vid)
            for document, own in shown:
                goes_on = own.start > 0 or any(
                    other.start >= own.stop for _, other in shown
                )
                if count < own[-1] + 1 or not (goes_on or count <= own[-1] + own.step):
                    raise InputError(
                        f"{path}: {count} frames decode, but {document.path} annotates"
                        f" a video of {own[-1] + 1}; use the video that was annotated,"
                        " or cut it to these frames"
                    )
            self._lengths[vid] = count
        return self._lengths[vid]

    def _shown(self, vid):
        """Return (document, the frames that it shows) of the documents of a video
        that say it.
        """
        return [(d, d.frame_range) for d in self._documents_of[vid] if d.frame_range]

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the 1-based numbers of a video's annotated frames, ascending."""
        return tuple(sorted(self._frames[vid]))

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Decode the masks and boxes of one of `annotated_frames`.

        The label map is painted from the masks, smaller over larger. `size` is the
        (height, width) of the decoded frames, by default the first one's.
        """
        annotated = self._frames[vid][frame]
        size = size or video_frames.size(self.frames_path(vid), self.remedy)
        drawn = annotated.size or size
        if not annotated.fits(size):
            raise InputError(
                f"{annotated.where}: 'width' and 'height' say {drawn[1]}x{drawn[0]},"
                f" but the frames of {self.frames_path(vid)} are {size[1]}x{size[0]};"
                f" annotate them at that {'shape' if annotated.scaled else 'size'}"
            )
        count, ratio = len(annotated.instances), np.divide(size, drawn)
        masks, boxes = np.zeros((count, *size), bool), np.zeros((count, 4), np.float32)
        fields = {field.name: field.all_missing(count) for field in FIELDS}
        for i, instance in enumerate(annotated.instances):
            try:
                for field in FIELDS:
                    fields[field.name][i] = field.read(
                        instance.fields.get(field.name), ratio
                    )
                if instance.parts:
                    masks[i] = decode_parts(instance.parts, drawn, size)
                if instance.box is None:
                    boxes[i] = box_of(masks[i])
                else:
                    boxes[i] = decode_box(instance.box, drawn, size)
            except InputError as error:
                raise InputError(
                    f"{instance.where}: {error} (frame {frame} of '{vid}')"
                ) from error
        codes = np.array([self._code(i) for i in annotated.instances], np.int32)
        label_map = paint(masks, codes, self.label_space.code_dtype)
        tracks = _tracks(annotated.instances, self._offsets[vid][annotated.path])
        return Annotation(label_map, masks, codes, boxes, tracks=tracks, fields=fields)

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the video file, or else the folder of its frames."""
        return video_frames.find(self.folder, vid) or self.folder / f"{vid}.mp4"

    def annotation_folder(self, vid: str) -> pathlib.Path:
        """Return what messages name as its annotations: the file of the first
        annotated frame.
        """
        return self.annotation_path(vid, min(self._frames[vid]))

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the file of a frame's annotation."""
        return pathlib.Path(self._frames[vid][frame].path)

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the video file, or the frames in its folder."""
        return video_frames.files(self.frames_path(vid))

    def annotation_text(self, vid: str) -> str:
        """Return the annotations of a video as text, independent of the files'
        layout.
        """
        content: list = [repr([shown for _, shown in self._shown(vid)])]
        for number, frame in sorted(self._frames[vid].items()):
            instances = [
                [
                    self._code(i),
                    i.track,
                    i.box,
                    list(i.parts),
                    *sorted(i.fields.items()),
                ]
                for i in frame.instances
            ]
            content.append([number, frame.size, frame.scaled, frame.split, instances])
        return json.dumps(content, sort_keys=True)

    def _code(self, instance):
        return self._names.code(instance, self.label_space)


def spread(
    shown: Mapping[Any, Mapping[str, Sequence[int]]], most: int
) -> set[tuple[str, int]]:
    """Choose frames that differ: as many of each pair, then of each video, apart in
    time.

    Args:
      shown: {pair: {video: numbers of the frames that show it, ascending}}.
      most: how many frames; all if there are fewer.

    Returns:
      the (video, number) of the frames.
    """
    ranked = []
    for place, videos in enumerate(shown.values()):
        own = sorted(
            (turn, vid, number)
            for vid, numbers in videos.items()
            for turn, number in enumerate(_halving(numbers))
        )
        ranked += [
            (rank, place, vid, number) for rank, (_, vid, number) in enumerate(own)
        ]
    return {*itertools.islice(dict.fromkeys(key[2:] for key in sorted(ranked)), most)}


def _halving(values):
    """Order values so that the first few of any number are far from each other."""
    bits = max(len(values) - 1, 1).bit_length()
    places = sorted(range(len(values)), key=lambda i: f"{i:0{bits}b}"[::-1])
    return [values[i] for i in places]


def _offsets(annotated: Iterable[AnnotatedFrame]) -> dict[pathlib.PurePath, int]:
    """Return {file: what to add}, so that the tracks of a video's files do not mix."""
    highest: dict = {}
    for frame in annotated:
        tracks = [i.track for i in frame.instances if i.track is not None]
        highest[frame.path] = max([highest.get(frame.path, -1), *tracks])
    ends = itertools.accumulate((top + 1 for top in highest.values()), initial=0)
    return dict(zip(highest, ends))


def _tracks(instances, offset):
    """Return the identities int64 [N], -1 where there is none; None where all have
    none.
    """
    # Tools write numbers of any length.
    tracks = [-1 if i.track is None else (i.track + offset) % 2**63 for i in instances]
    return np.array(tracks, np.int64) if any(track >= 0 for track in tracks) else None


def _left_out(documents):
    """What documents left out, as a list of one line or none."""
    total = sum(
        (document.left_out for document in documents), collections.Counter[str]()
    )
    listed = ", ".join(f"{count} {reason}" for reason, count in total.items())
    return [f"left out: {listed}"] if listed else []


def split_by_pairs(
    stated: Mapping[str, str | None],
    shown: Iterable[set[str]],
    earlier: Mapping[str, str],
) -> dict[str, str]:
    """Assign videos to 'train' and 'test', so that each pair of two videos or more is
    in both.

    Videos change sides, each time the one whose move mends most, until no move mends
    anything; what has no training weighs most. Then a fifth is tested, in the order of
    a hash of the names, as far as this breaks nothing. The result is the same on every
    machine and in every order of the videos.

    Args:
      stated: {video: the split that its annotations state, or None}.
      shown: the videos of each pair.
      earlier: {video: split} of earlier records, also of videos that are there no more.

    Returns:
      {video: split}; what is stated stays, else what was earlier.
    """
    unstated = {vid for vid, split in stated.items() if not split}
    free = sorted(
        unstated - earlier.keys(), key=lambda vid: hashlib.sha256(vid.encode()).digest()
    )
    count = max(round(len(unstated) / 5), 1) if len(unstated) > 1 else 0
    tests = {
        vid for vid, split in stated.items() if (split or earlier.get(vid)) == "test"
    }
    pairs = list(shown)

    def faults(tests: set[str]) -> tuple[bool, int, int]:
        """Return whether there is no test, and how many pairs lack training, and a
        test.
        """
        untrained = sum(vids <= tests for vids in pairs)
        untested = sum(len(vids) > 1 and vids.isdisjoint(tests) for vids in pairs)
        return count > 0 and unstated.isdisjoint(tests), untrained, untested

    def best() -> set[str]:
        return min((tests ^ {vid} for vid in free), key=faults, default=tests)

    while faults(moved := best()) < faults(tests):
        tests = moved
    for vid in free:
        moved = tests ^ {vid}
        nearer = abs(len(moved & unstated) - count) < abs(len(tests & unstated) - count)
        if nearer and faults(moved) <= faults(tests):
            tests = moved
    return {vid: "test" if vid in tests else "train" for vid in stated}
