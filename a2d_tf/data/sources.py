"""Sources of annotated videos: the check that one is complete, and the clips of its videos.

A clip is an annotated frame with its neighbours, and the flow into each.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.workers import imap
from a2d_tf.data.a2d_annotations import Annotation
from a2d_tf.data.flow import Flow, fit, resize_frame
from a2d_tf.data.release import Skip, Video, annotated_frames

_COLUMNS = ("listed", "found", "whole")
_ROWS = {
    "videos": ("listed", "found", "whole"),
    "train": ("listed", "found", "whole"),
    "test": ("listed", "found", "whole"),
    "frames": ("listed", "found"),
    "annotated frames": ("listed", "found", "whole"),
    "instances": ("found",),
}
_RESTORE = "restore the video that was annotated, or correct that number"


Source = Any
"""A `release.Release`, or another class with its public attributes and methods, such as
`annotations.annotated_videos.AnnotatedVideos`."""


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
      title: the source and its list of videos.
      counts: {row: {column: number}}; a video or annotation is `found` if its file exists and
        `whole` if all of it can be read. Frames are `found` if they decode.
      problems: a line for each missing or broken item, with its file, field and remedy.
      notes: a line for each item that was repaired, or that differs without harm.
    """

    title: str
    counts: dict
    problems: tuple
    notes: tuple

    def text(self) -> str:
        """Format the report: a table, the problems, the notes and their numbers."""
        columns = [c for c in _COLUMNS if any(c in row for row in self.counts.values())]
        lines = [self.title, "", f"{'':20}" + "".join(f"{c:>11}" for c in columns)]
        for name, row in self.counts.items():
            lines.append(f"{name:20}" + "".join(f"{row.get(c, ''):>11}" for c in columns))
        lines += ["", *(f"problem: {line}" for line in self.problems)]
        lines += [f"note: {line}" for line in self.notes]
        lines.append(f"problems: {len(self.problems)}, notes: {len(self.notes)}")
        return "\n".join(lines)


def check(source: Source, workers: int = 2) -> CheckReport:
    """Decode every frame to the last and parse every annotation.

    Args:
      source: the annotated videos.
      workers: number of processes.
    """
    examined = imap(
        functools.partial(_examine, source), source.videos, min(workers, len(source.videos))
    )
    found: collections.Counter = collections.Counter()
    problems, notes = [item["reason"] for item in source.skipped], []
    for numbers, broken, harmless in tqdm.tqdm(
        examined, "Checking", total=len(source.videos), unit="video"
    ):
        found.update(numbers)
        problems += broken
        notes += harmless
    counts = {
        row: {c: found[row, c] for c in columns if c != "listed" or found[row, c]}
        for row, columns in _ROWS.items()
    }
    title = f"{source.root}: {source.listing}"
    return CheckReport(title, counts, tuple(problems), tuple(notes))


def _differs(source, video, count):
    """Say that a video has another number of frames than it had when it was annotated."""
    path = source.frames_path(video.vid)
    return f"{path}: {count} frames decode, but by {source.listing} it has {video.frames}"


def _examine(source, video):
    """Return {(row, column): number}, problems and notes of a video."""
    counts, problems, notes = {}, [], []
    path, size, decoded = source.frames_path(video.vid), None, 0

    def problem(path, error):
        line = " ".join(str(error).split())
        if line not in problems:  # a broken video can be reported twice
            problems.append(line)

    try:
        for decoded, frame in source.read_frames(video.vid, None):  # noqa: B007
            size = frame.shape[:2]
    except InputError as error:
        problem(path, error)
    else:
        if decoded < video.frames:
            problem(path, f"{_differs(source, video, decoded)}; {_RESTORE}")
        elif decoded > video.frames > 0:
            notes.append(f"{_differs(source, video, decoded)}; those beyond are left out")
    counts["frames", "listed"], counts["frames", "found"] = video.frames, decoded
    keys, whole, instances = annotated_frames(source, video.vid, problem), 0, 0
    for key in keys:
        file = source.annotation_path(video.vid, key)
        try:
            annotation = source.read_annotation(video.vid, key, size)
        except InputError as error:
            problem(file, error)
            continue
        whole, instances = whole + 1, instances + len(annotation.codes)
        if annotation.note:
            notes.append(f"{file}: {annotation.note}")
    counts["instances", "found"] = instances
    numbers = {"annotated frames": (video.annotated, len(keys), whole)}
    for row in ("videos", source.split(video)):
        numbers[row] = (1, path.exists(), not problems)
    for row, values in numbers.items():
        counts.update({(row, c): int(value) for c, value in zip(_COLUMNS, values)})
    return counts, problems, notes


@dataclasses.dataclass(frozen=True)
class ClipRecord:
    """The contents of a record.

    Attributes:
      video: the VID.
      frame: 1-based number of the key frame.
      split: 'train' or 'test'.
      clip_frames: T source frames, 1-based.
      rgb: T frames uint8 [h, w, 3], at the stored size.
      flow: T times float32 [h, w, 2], (u, v), pixels of the stored frames, from the previous source
        frame.
      annotation: the key frame's ground truth, at the native size.
    """

    video: str
    frame: int
    split: str
    clip_frames: tuple[int, ...]
    rgb: Sequence[np.ndarray]
    flow: Sequence[np.ndarray]
    annotation: Annotation


@dataclasses.dataclass(frozen=True)
class ConversionSettings:
    """Settings that determine the contents of the records.

    Attributes:
      flow_method: one of `flow.METHODS`.
      image_height, image_width: size that frames are resized to fit into, keeping their aspect.
      clip_frames: T, odd.
      clip_stride: source frames from one clip frame to the next; flow always spans one.
      shard_videos: videos per shard.
    """

    flow_method: str = "dis"
    image_height: int = 256
    image_width: int = 256
    clip_frames: int = 5
    clip_stride: int = 1
    shard_videos: int = 32

    def __post_init__(self):
        if self.clip_frames % 2 == 0:
            raise InputError(f"--clip_frames must be odd, with a middle; got {self.clip_frames}")


def clip_sources(
    key: int, count: int, stride: int, length: int
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return the source frames of a clip, and which of them are clamped.

    Args:
      key: 1-based key frame.
      count: T.
      stride: source frames from one clip frame to the next.
      length: frames of the video.

    Returns:
      (T source frames within 1..length; T booleans, true if the nearest frame replaces one beyond
      an end of the video, with zero flow).
    """
    unclamped = [key + (i - count // 2) * stride for i in range(count)]
    sources = tuple(min(max(frame, 1), length) for frame in unclamped)
    return sources, tuple(frame != source for frame, source in zip(unclamped, sources))


def clips_of(
    source: Source, settings: ConversionSettings, video: Video, skip: Skip
) -> Iterator[ClipRecord]:
    """Yield the clips of a video, which is decoded once, in the order of their key frames.

    A clip comes as soon as its last frame is decoded, and only frames that a later clip needs are
    kept, so that memory does not grow with the video.

    Args:
      source, settings, video: which, and how; see `convert.convert`.
      skip: called with the path of a broken item and its error; what lacks it is left out.
    """
    keys = annotated_frames(source, video.vid, skip)
    if not keys:
        return
    length = source.length(video.vid)
    if length < video.frames:  # annotated before it was encoded again, say
        problem = f"{_differs(source, video, length)}; {_RESTORE}"
        return skip(source.frames_path(video.vid), InputError(problem))
    spacing = settings.clip_frames, settings.clip_stride, length
    clips = {key: clip_sources(key, *spacing) for key in keys}
    pairs = (pair for clip in clips.values() for pair in zip(*clip))
    with_flow = {number for number, missing in pairs if number > 1 and not missing}
    needed = {number for sources, _ in clips.values() for number in sources}
    needed |= {video.frames} - {0}  # the last one shows that none is missing
    frames, flows, flow = {}, {}, Flow(settings.flow_method)
    waiting = collections.deque(clips)
    try:
        for number, frame in source.read_frames(video.vid, needed | {n - 1 for n in with_flow}):
            height, width = frame.shape[:2]
            size = fit(height, width, settings.image_height, settings.image_width)
            frames[number] = resize_frame(frame, *size)
            if number in with_flow:
                try:
                    flows[number] = flow(frames[number - 1], frames[number])
                except InputError as error:
                    raise InputError(f"{source.frames_path(video.vid)}: {error}") from error
            while waiting and number >= clips[waiting[0]][0][-1]:
                key = waiting.popleft()
                try:
                    annotation = source.read_annotation(video.vid, key, (height, width))
                except InputError as error:
                    skip(source.annotation_path(video.vid, key), error)
                else:
                    sources, clamped = clips[key]
                    zero = np.zeros((*size, 2), np.float32)
                    yield ClipRecord(
                        video=video.vid,
                        frame=key,
                        split=source.split(video),
                        clip_frames=sources,
                        rgb=[frames[i] for i in sources],
                        flow=[
                            zero if missing else flows.get(i, zero)
                            for i, missing in zip(sources, clamped)
                        ],
                        annotation=annotation,
                    )
                first = clips[waiting[0]][0][0] - 1 if waiting else number
                for older in [n for n in frames if n < first]:
                    del frames[older]
                    flows.pop(older, None)
    except InputError as error:
        skip(source.frames_path(video.vid), error)
