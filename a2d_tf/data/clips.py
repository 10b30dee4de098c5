"""The clips of a video: its annotated frames with their neighbours, and the flow into each."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.a2d_annotations import Annotation
from a2d_tf.data.flow import Flow, fit, resize_frame
from a2d_tf.data.release import Skip, Video, annotated_frames


class Source(Protocol):
    """Videos with annotations: a `release.Release`, which documents each of these, or a user's own
    videos, `annotations.annotated_videos.AnnotatedVideos`.
    """

    root: pathlib.Path
    label_space: LabelSpace
    videos: tuple[Video, ...]
    listing: str
    skipped: Any

    def split(self, video: Video) -> str: ...
    def length(self, vid: str) -> int: ...
    def annotated_frames(self, vid: str, skip: Skip = ...) -> tuple[int, ...]: ...
    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation: ...
    def read_frames(
        self, vid: str, numbers: Iterable[int] | None
    ) -> Iterator[tuple[int, np.ndarray]]: ...
    def frames_path(self, vid: str) -> pathlib.Path: ...
    def annotation_path(self, vid: str, frame: int) -> pathlib.Path: ...
    def files(self, vid: str) -> tuple[pathlib.Path, ...]: ...
    def facts(self, vid: str) -> str: ...
    def missing(self) -> list[tuple[str, pathlib.Path]]: ...


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
      previous: uint8 [h, w, 3], the source frame before the key frame, to measure the flow by; not
        stored. None if there is none.
    """

    video: str
    frame: int
    split: str
    clip_frames: tuple[int, ...]
    rgb: Sequence[np.ndarray]
    flow: Sequence[np.ndarray]
    annotation: Annotation
    previous: np.ndarray | None = None


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
    if keys:
        try:
            yield from _clips(source, settings, video, keys, skip)
        except InputError as error:
            skip(source.frames_path(video.vid), error)


def _clips(source, settings, video, keys, skip):
    length = source.length(video.vid)
    clips = {
        key: clip_sources(key, settings.clip_frames, settings.clip_stride, length)
        for key in sorted(keys)
    }
    with_flow = {
        number
        for sources, clamped in clips.values()
        for number, missing in zip(sources, clamped)
        if number > 1 and not missing
    }
    needed = {number for sources, _ in clips.values() for number in sources}
    frames, flows, flow = {}, {}, Flow(settings.flow_method)
    waiting = collections.deque(clips)
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
                    previous=frames[key - 1] if key in flows else None,
                )
            first = clips[waiting[0]][0][0] - 1 if waiting else number
            for older in [n for n in frames if n < first]:
                del frames[older]
                flows.pop(older, None)
