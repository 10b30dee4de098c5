"""The clips of annotated videos: key frames with their neighbours, and their flow."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.clip_record import ClipRecord
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.data.preparation.stored_frames import FramePreparer, StoredFrame
from a2d_tf.data.sources.annotation import Annotation
from a2d_tf.data.sources.source import Skip, Source, usable_frames
from a2d_tf.data.sources.video_list import Video
from a2d_tf.ops import motion_maps
from a2d_tf.ops.motion_maps import FLOW_HISTOGRAMS


@dataclasses.dataclass(frozen=True)
class ConversionSettings:
    """Settings of a2d records that determine the contents of the records.

    Each is a flag of the same name. Networks need inputs made with the same settings.

    Attributes:
      flow_method: how optical flow is computed, 'dis' or 'tvl1', see `flow.METHODS`.
      image_height: largest height of stored frames in pixels; frames keep their aspect
        ratio.
      image_width: largest width of stored frames in pixels.
      clip_frames: T, the number of frames in a clip, odd, so that one is in the middle.
      clip_stride: distance of a clip's neighbouring frames, in frames of the video.
        Flow is always from the previous frame of the video.
      shard_videos: number of videos in a shard.
    """

    flow_method: str = "dis"
    image_height: int = 256
    image_width: int = 256
    clip_frames: int = 5
    clip_stride: int = 1
    shard_videos: int = 32

    def __post_init__(self) -> None:
        if self.clip_frames % 2 == 0:
            raise InputError(f"--clip_frames must be odd; got {self.clip_frames}")


class ClipFrame(NamedTuple):
    """A frame of a clip.

    A frame before the start or after the end of the video is clamped: the nearest frame
    takes its place, with zero flow.

    Attributes:
      number: number of the frame in the video, from 1.
      is_clamped: whether it takes the place of a frame that the video does not have.
    """

    number: int
    is_clamped: bool


def clip_frames(key: int, count: int, stride: int, length: int) -> list[ClipFrame]:
    """Return the frames of a clip, evenly spaced around its key frame.

    The key frame is at index `count // 2`. A frame before the first or after the last
    one of the video is replaced by that one, and is marked as clamped.

    Args:
      key: number of the key frame in the video, from 1.
      count: number of frames in the clip, odd.
      stride: distance between neighbours in the clip, in frames of the video.
      length: number of frames of the video.
    """
    frames = []
    for i in range(count):
        wanted = key + (i - count // 2) * stride
        number = min(max(wanted, 1), length)
        frames.append(ClipFrame(number, is_clamped=number != wanted))
    return frames


class _ClipPlan(NamedTuple):
    """A clip that is not decoded yet: the number of its key frame, and its frames."""

    key: int
    frames: list[ClipFrame]


class _VideoPlan(NamedTuple):
    """The clips of a video, and the numbers of the frames that they need.

    Attributes:
      clips: the clips in the order of their key frames.
      stored: frames that clips store.
      with_flow: frames whose flow clips store.
      in_motion: frames that motion maps are made from.
      in_pairs: frames that flow histograms are made from.
    """

    clips: list[_ClipPlan]
    stored: set[int]
    with_flow: set[int]
    in_motion: set[int]
    in_pairs: set[int]


class _KeptFrame(NamedTuple):
    """A decoded frame and its flow, which several clips may use."""

    rgb: np.ndarray
    flow: np.ndarray


def clips_of(
    source: Source,
    settings: ConversionSettings,
    video: Video,
    skip: Skip,
    stream: MotionStream | None = None,
) -> Iterator[ClipRecord]:
    """Yield the clips around a video's annotated frames, in the order of these.

    The video is decoded once. Only frames that a later clip needs are held in memory,
    so that memory does not grow with the video's length. Clips that need a broken frame
    or annotation are left out.

    Args:
      source: the annotated videos.
      settings: size, number and distance of the clips' frames, and their flow.
      video: the video, one of `source.videos`.
      skip: function that is called with the path of each broken file and its error.
      stream: a new motion stream, which makes the motion maps; None for clips without
        motion maps.

    Raises:
      InputError: `skip` raises it.
    """
    keys = usable_frames(source, video, skip)
    if not keys:
        return
    stream = stream or MotionStream(None, flow_histograms=False)
    plan = _plan(keys, source.length(video.vid), settings, stream)
    decoded = plan.stored | plan.in_motion
    if video.frames:
        # The last frame is decoded, too, as a proof that the video is complete.
        decoded.add(video.frames)
    maker = _ClipMaker(source, settings, video, plan, stream)
    path = source.frames_path(video.vid)
    try:
        for number, native in video_frames.read(path, decoded, source.remedy):
            maker.add(number, native)
            yield from maker.whole_clips(skip)
        stream.end()
        yield from maker.whole_clips(skip)
    except InputError as error:
        skip(path, error)


def _plan(
    keys: Iterable[int], length: int, settings: ConversionSettings, stream: MotionStream
) -> _VideoPlan:
    """Plan the clips around the key frames of a video of some length."""
    plan = _VideoPlan([], set(), set(), set(), set())
    for key in keys:
        for index in stream.frames_around(key - 1):
            if index < length:
                plan.in_motion.add(index + 1)
        for index in motion_maps.frames_around(FLOW_HISTOGRAMS, key - 1):
            plan.in_pairs.add(index + 1)
        frames = clip_frames(key, settings.clip_frames, settings.clip_stride, length)
        plan.clips.append(_ClipPlan(key, frames))
        for frame in frames:
            plan.stored.add(frame.number)
            if frame.number > 1 and not frame.is_clamped:
                plan.with_flow.add(frame.number)
                plan.stored.add(frame.number - 1)
    return plan


class _ClipMaker:
    """Makes the planned clips of a video from its frames, as they are decoded."""

    def __init__(
        self,
        source: Source,
        settings: ConversionSettings,
        video: Video,
        plan: _VideoPlan,
        stream: MotionStream,
    ) -> None:
        self._source = source
        self._video = video
        self._plan = plan
        self._stream = stream
        self._preparer = FramePreparer(
            settings.image_height, settings.image_width, settings.flow_method
        )
        self._waiting = collections.deque(plan.clips)
        self._kept_frames: dict[int, _KeptFrame] = {}
        self._previous: StoredFrame | None = None
        self._number = 0  # of the last frame that was added
        self._native_size = (0, 0)

    def add(self, number: int, native: np.ndarray) -> None:
        """Take a decoded frame, RGB uint8 [H, W, 3]; numbers ascend."""
        self._number = number
        height, width = native.shape[:2]
        self._native_size = (height, width)
        if number in self._plan.in_motion:
            in_pair = number in self._plan.in_pairs
            self._stream.add(number - 1, native, with_flow=in_pair)
        if number in self._plan.stored:
            frame = self._preparer.prepare(native)
            flow = self._preparer.no_flow(frame)
            if number in self._plan.with_flow:
                flow = self._preparer.flow(self._previous, frame)
            self._kept_frames[number] = _KeptFrame(frame.rgb, flow)
            self._previous = frame

    def whole_clips(self, skip: Skip) -> Iterator[ClipRecord]:
        """Yield clips whose frames have all come; drop frames that none needs."""
        while self._waiting and self._is_whole(self._waiting[0]):
            clip = self._waiting.popleft()
            try:
                annotation = self._source.read_annotation(
                    self._video.vid, clip.key, self._native_size
                )
            except InputError as error:
                skip(self._source.annotation_path(self._video.vid, clip.key), error)
                continue
            yield self._record(clip, annotation)
        first_needed = self._number
        if self._waiting:
            first_needed = self._waiting[0].frames[0].number
            self._stream.forget(self._waiting[0].key - 1)
        for kept_number in list(self._kept_frames):
            if kept_number < first_needed:
                del self._kept_frames[kept_number]

    def _is_whole(self, clip: _ClipPlan) -> bool:
        """Return whether all frames and motion maps of a clip have come."""
        has_frames = clip.frames[-1].number <= self._number
        return has_frames and self._stream.ready(clip.key - 1)

    def _record(self, clip: _ClipPlan, annotation: Annotation) -> ClipRecord:
        """Return the record of a planned clip whose frames have all come."""
        rgb = []
        flow = []
        for frame in clip.frames:
            kept_frame = self._kept_frames[frame.number]
            rgb.append(kept_frame.rgb)
            if frame.is_clamped:
                flow.append(np.zeros_like(kept_frame.flow))
            else:
                flow.append(kept_frame.flow)
        return ClipRecord(
            video=self._video.vid,
            frame=clip.key,
            split=self._video.split,
            clip_frames=tuple(frame.number for frame in clip.frames),
            rgb=rgb,
            flow=flow,
            annotation=annotation,
            motion=self._stream.maps(clip.key - 1),
        )
