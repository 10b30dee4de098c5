"""Predict the frames of a video one after the other.

Memory does not grow with the video. Each frame passes the backbones once; its features
are kept until no later answer needs them. They equal the features in the clip that the
records would hold.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from a2d_tf.core import devices
from a2d_tf.core.workers import in_threads
from a2d_tf.data.stored_frames import FramePreparer
from a2d_tf.ops import tracking
from a2d_tf.video import video_reader
from a2d_tf.video.instances import Finder, FrameFeatures, Instances

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class VideoFrame:
    """A frame of a video, its instances, and what their tracks say of them.

    Attributes:
      number: 1 for the first frame of the video.
      seconds: time at which the frame begins, as a player shows it.
      image: RGB uint8 [H, W, 3].
      instances: the network's own answer; N instances.
      tracks: int64 [N], the track of each instance; an actor keeps its number. 0 is no
        track.
      codes: int64 [N], the label of the track in this frame; steadier than
        `instances.codes`.
      scores: float64 [N], of `codes`.
      until: time at which the next answered frame begins, or the span or the video
        ends.
      lost, extra: as of `tracking.Tracker`.
    """

    number: int
    seconds: float
    image: np.ndarray
    instances: Instances
    tracks: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    until: float
    lost: Mapping[int, bool]
    extra: int = 0

    @property
    def label_map(self) -> np.ndarray:
        """The network's label map: codes [H, W]; 0 is background."""
        return self.instances.label_map


@dataclasses.dataclass(frozen=True)
class Span:
    """The frames of a video that are answered.

    Attributes:
      first: 0-based index of the first one.
      last: index after the last one; None: to the end.
      every: 1 for each frame, N for each Nth from the first.
    """

    first: int = 0
    last: int | None = None
    every: int = 1

    @classmethod
    def of_seconds(
        cls,
        reader: video_reader.Reader,
        start: float,
        end: float | None,
        every: int = 1,
    ) -> Span:
        """Return the span of the frames that begin in [start, end), seconds."""
        # the later first: one search serves both
        last = None if end is None else reader.index(end)
        return cls(reader.index(start), last, every)

    def __contains__(self, index: int) -> bool:
        if index < self.first:
            return False
        if self.last is not None and index >= self.last:
            return False
        return (index - self.first) % self.every == 0

    def any(self, low: int, high: int) -> bool:
        """Return whether a frame from low to high is answered."""
        steps = max(0, -(-(low - self.first) // self.every))
        index = self.first + steps * self.every
        return index <= high and index in self

    def count(self, frames: int | None) -> int | None:
        """Count the answered frames of so many; None if neither end is known."""
        ends = [end for end in (frames, self.last) if end is not None]
        if not ends:
            return None
        return len(range(self.first, min(ends), self.every))


EVERY_FRAME = Span()


def reach(facts: dict[str, Any]) -> int:
    """Return how many frames before, and after, a key frame its answer depends on."""
    return facts["frames"] // 2 * facts["clip_stride"]


def moving(
    frames: Iterable[Any], facts: dict[str, Any], span: Span = EVERY_FRAME
) -> Generator[tuple[Any, Any, Any], None, None]:
    """Yield (native frame, frame at the stored size, its flow), as records have them.

    The frame at the stored size is None if no answer depends on it, the flow if no
    answer needs its features.
    """
    preparer = FramePreparer(
        facts["image_height"],
        facts["image_width"],
        facts["flow_method"] if facts["use_flow"] else None,
    )
    far = reach(facts)
    steps = range(-far, far + 1, facts["clip_stride"])
    previous = None
    for index, native in enumerate(frames):
        if not span.any(index - far, index + far + 1):
            previous = None
            yield native, None, None
            continue
        stored = preparer.prepare(native)
        is_in_a_clip = any(index + step in span for step in steps)
        # The first frame also stands in for those before it.
        stands_in = index == 0 and span.any(0, far)
        flow = None
        if is_in_a_clip or stands_in:
            flow = preparer.flow(previous, stored)
        yield native, stored.rgb, flow
        previous = stored


def _ahead(
    items: Generator[_Item, None, None],
    depth: int = 2,
    start: Callable[[], None] | None = None,
) -> Iterator[_Item]:
    """Yield the items of a generator, computed by a thread up to `depth` ahead."""
    made = in_threads(lambda _: next(items, None), itertools.count(), depth, 1, start)
    with contextlib.closing(items), contextlib.closing(made):
        yield from itertools.takewhile(lambda item: item is not None, made)


class _Clip(NamedTuple):
    """A key frame, RGB uint8 [H, W, 3], with the features of the frames around it."""

    image: np.ndarray
    features: list[FrameFeatures]


def answers(
    predictor: Finder, frames: Iterable[np.ndarray | None], span: Span = EVERY_FRAME
) -> Generator[tuple[np.ndarray, Instances], None, None]:
    """Predict the instances in the frames of a video.

    Each frame passes the backbones at most once.

    Args:
      frames: all native frames, RGB uint8 [H, W, 3]; a frame may be None if no answered
        frame is within its `reach` plus one.

    Yields:
      (native frame, its instances) of the frames of `span`.
    """
    facts = predictor.facts
    far, stride = reach(facts), facts["clip_stride"]

    def clips() -> Generator[_Clip, None, None]:
        """Yield the clip of each frame that is answered.

        A missing neighbour is the nearest frame with zero flow, as in the records. The
        first frame has no flow, so that it pads the start unchanged; its zero-flow
        features also pad the end.
        """
        kept: dict[int, FrameFeatures] = {}  # of the last 2 L stride + 1 frames
        # those that wait for their answer
        natives: collections.deque = collections.deque()
        index = -1
        last = None
        still = None  # the flow's features of the first frame, which has no flow
        features: FrameFeatures | None = None

        def clip(key: int) -> _Clip:
            offsets = range(-far, far + 1, stride)
            features = [kept[max(0, key + offset)] for offset in offsets]
            return _Clip(natives.popleft(), features)

        # One ahead: frames of a camera stay fresh.
        made = _ahead(
            moving(frames, facts, span), depth=1, start=devices.lower_priority
        )
        for index, (native, last, flow) in enumerate(made):
            features = None if flow is None else predictor.frame(last, flow)
            if features is not None:
                kept[index] = features
                if index == 0:
                    still = {
                        name: x
                        for name, x in features.items()
                        if name.startswith("flow_")
                    }
            kept.pop(index - 2 * far - 1, None)
            if index in span:
                natives.append(native)
            if index - far in span:
                yield clip(index - far)
            if span.last is not None and index - far >= span.last - 1:
                return
        left = [key for key in range(max(0, index + 1 - far), index + 1) if key in span]
        if not left:
            return
        if features is not None and still is not None:
            padding = {**features, **still}
        else:
            padding = predictor.frame(last, np.zeros((*last.shape[:2], 2), np.float32))
        kept.update(dict.fromkeys(range(index + 1, index + far + 1), padding))
        yield from map(clip, left)

    # A small network leaves cores idle, where the features of the next frame are
    # computed.
    for clip in _ahead(clips(), depth=1):
        height, width = clip.image.shape[:2]
        yield clip.image, predictor.key_frame(clip.features, (height, width))


def watch(
    predictor: Finder,
    reader: video_reader.Reader,
    span: Span = EVERY_FRAME,
    linking: tracking.Linking = tracking.LINKING,
    *,
    stops: Sequence[Any] = (),
) -> Iterator[VideoFrame]:
    """Predict the frames of a video and link their instances over time.

    Decoding and flow, the features, the answers, and the tracks have a thread each; the
    threads work a few frames ahead of the caller.

    Args:
      reader, span: the video, and the frames to answer.
      stops: the video ends as soon as this is not empty.

    Raises:
      InputError: a frame that cannot be read, or as of `tracking.Linking.limits`.
    """
    facts, labels = predictor.facts, predictor.labels
    far = reach(facts)

    def frames() -> Iterator[np.ndarray | None]:
        near = reader.frames(
            lambda index: span.any(index - far, index + far + 1),
            max(0, span.first - far - 1),
        )
        for index, frame in enumerate(near):
            if stops and index < span.first - far:
                return
            yield frame

    def chosen() -> Iterator[tuple[np.ndarray, Instances]]:
        for image, instances in _ahead(answers(predictor, frames(), span)):
            yield image, instances
            if stops:
                return

    def followed() -> Generator[VideoFrame, None, None]:
        tracked = tracking.follow(chosen(), labels, linking, joint=facts["joint"])
        index = span.first
        answer = next(tracked, None)
        while answer is not None:
            # It is held until it is known whether another one follows.
            following = next(tracked, None)
            end = index + span.every
            yield VideoFrame(
                number=index + 1,
                seconds=reader.seconds(index),
                image=answer.frame,
                instances=answer.instances,
                tracks=answer.ids,
                codes=answer.codes,
                scores=answer.scores,
                until=reader.seconds(min(end, span.last or end)),
                lost=answer.lost,
                extra=answer.extra,
            )
            index = end
            answer = following

    yield from _ahead(followed())


def shortfall(reader: video_reader.Reader, span: Span) -> str:
    """Describe what a video lacks; "" if nothing.

    That is damaged frames of the span, or frames before its claimed end and that of
    the span. If a file claims no number of frames, its duration counts.
    """
    damaged = sum(index in span for index in reader.damaged)
    note = ""
    if damaged:
        note = f"has {damaged} damaged frames, and others that refer to them"
    length = reader.length
    if length is None or (span.last is not None and span.last <= length):
        return note
    if reader.count is None:
        unit = "seconds"
        decoded = reader.seconds(length)
        claimed = reader.duration or 0.0
        slack = max(1.0, 0.02 * claimed)  # sound may go on where pictures end
    else:
        unit = "frames"
        decoded = float(length)
        claimed = float(reader.count)
        slack = 0.0
    if decoded >= claimed - slack:
        return note
    short = f"claims {claimed:.0f} {unit}, of which {decoded:.0f} could be decoded"
    if note:
        return f"{short}; {note}"
    return short
