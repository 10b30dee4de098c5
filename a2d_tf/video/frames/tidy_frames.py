"""Fill short gaps between bouts and leave out short bouts, frame after frame.

The result has the same bouts as `bout_lengths.tidy` of all bouts of the video.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Generator, Iterable

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_lengths import (
    LEAST_SECONDS,
    BoutLengths,
    LabelledSpan,
    fill_gaps,
    seconds_between,
)
from a2d_tf.video.frames.video_frame import VideoFrame


def tidy_frames(
    frames: Iterable[VideoFrame], lengths: BoutLengths, labels: LabelSpace
) -> Generator[VideoFrame, None, None]:
    """Fill short gaps between bouts in frames of a video, and leave out short bouts.

    A frame in a filled gap gets the label before the gap. In a frame of a short bout,
    the instance has no track (number 0) and the network's own label. If only the actor
    of a track changes, its bout goes on.

    Args:
      frames: the answered frames of the video with their tracks, in order.
      lengths: the least length of bouts and of the gaps between them, in seconds.
      labels: the label space of the codes.

    Yields:
      the frames in order. A frame is held until no later frame can change the bouts in
      it, which takes little more than `min_bout` and `merge_gap` seconds of the video.
    """
    if lengths.are_unlimited:
        yield from frames
        return
    tracks = _Tracks(lengths, labels)
    held_frames: collections.deque[VideoFrame] = collections.deque()
    for frame in frames:
        tracks.follow(frame)
        held_frames.append(frame)
        while held_frames and tracks.are_known(held_frames[0]):
            yield tracks.tidied(held_frames.popleft())
    while held_frames:
        yield tracks.tidied(held_frames.popleft())


@dataclasses.dataclass
class _TrackBouts:
    """The newest bouts of a track, with their gaps filled.

    Attributes:
      spans: the bouts in order, labelled by the indices of actions; the first one is
        the bout of the oldest held frame.
      newest_code: label in the newest frame.
      tidied_code: label in the newest tidied frame.
      goes_on: whether the next instance continues the last bout if it has its label.
    """

    spans: list[LabelledSpan] = dataclasses.field(default_factory=list)
    newest_code: int = 0
    tidied_code: int = 0
    goes_on: bool = False

    def add(self, span: LabelledSpan, code: int, merge_gap: float) -> None:
        """Append the action of the track in a frame."""
        if self.goes_on and self._is_continued(span, code):
            self.spans[-1] = self.spans[-1]._replace(end=span.end)
        else:
            self.spans = fill_gaps([*self.spans, span], merge_gap)
        self.newest_code = code
        self.goes_on = True

    def _is_continued(self, span: LabelledSpan, code: int) -> bool:
        """Return whether a span continues the newest bout.

        After a gap, the actor must be the same, too.
        """
        last = self.spans[-1]
        touches = seconds_between(last.end, span.start) < LEAST_SECONDS
        return last.label == span.label and (touches or code == self.newest_code)

    def index(self, seconds: float) -> int:
        """Return the index of the newest bout that has begun; -1 if none has."""
        index = len(self.spans) - 1
        while index >= 0 and self.spans[index].start > seconds:
            index -= 1
        return index


class _Tracks:
    """The bouts of all tracks that have not ended.

    Times are rounded to milliseconds, as in the files.
    """

    def __init__(self, lengths: BoutLengths, labels: LabelSpace) -> None:
        self._lengths = lengths
        self._labels = labels
        self._bouts: dict[int, _TrackBouts] = {}  # by id
        self._shown: set[int] = set()  # ids of tracks in tidied frames
        self._until = 0.0  # when the newest frame ends

    def follow(self, frame: VideoFrame) -> None:
        """Follow the bouts into the next frame."""
        for track_id in (*frame.resting, *frame.ended):
            if track_id in self._bouts:
                self._bouts[track_id].goes_on = False
        start = round(frame.seconds, 3)
        self._until = round(frame.until, 3)
        for track_id, code in zip(frame.tracks.tolist(), frame.codes.tolist()):
            if track_id > 0:
                bouts = self._bouts.setdefault(track_id, _TrackBouts())
                _, action = self._labels.indices(code)
                span = LabelledSpan(action, start, self._until)
                bouts.add(span, code, self._lengths.merge_gap)

    def are_known(self, frame: VideoFrame) -> bool:
        """Return whether later frames change nothing in the bouts of a frame."""
        seconds = round(frame.seconds, 3)
        track_ids = {*frame.tracks.tolist(), *frame.resting} - {0}
        return all(self._is_known(track_id, seconds) for track_id in track_ids)

    def tidied(self, frame: VideoFrame) -> VideoFrame:
        """Return the oldest frame with the labels of its bouts, and forget older ones.

        Where a bout begins, an earlier one of the same track ends.
        """
        seconds = round(frame.seconds, 3)
        tracks = frame.tracks.copy()
        codes = frame.codes.copy()
        scores = frame.scores.copy()
        resting = []
        for track_id in frame.resting:
            bouts = self._bouts[track_id]
            span = bouts.spans[bouts.index(seconds)]
            if track_id in self._shown and span.end <= seconds:
                resting.append(track_id)
        for i, track_id in enumerate(tracks.tolist()):
            if track_id == 0:
                continue
            bouts = self._bouts[track_id]
            bouts.spans = bouts.spans[bouts.index(seconds) :]
            span = bouts.spans[0]
            if span.is_shorter(self._lengths.min_bout):
                tracks[i] = 0
                codes[i] = frame.instances.codes[i]
                scores[i] = frame.instances.scores[i]
                continue
            _, action = self._labels.indices(int(codes[i]))
            if action != span.label:
                codes[i] = bouts.tidied_code
                pair = self._labels.indices(bouts.tidied_code)
                scores[i] = frame.scores_of_pairs(i)[pair]
            bouts.tidied_code = int(codes[i])
            if span.start == seconds and track_id in self._shown:
                resting.append(track_id)
            self._shown.add(track_id)
        ended = [track_id for track_id in frame.ended if track_id in self._shown]
        for track_id in frame.ended:
            self._shown.discard(track_id)
            del self._bouts[track_id]
        return dataclasses.replace(
            frame,
            tracks=tracks,
            codes=codes,
            scores=scores,
            resting=resting,
            ended=ended,
        )

    def _is_known(self, track_id: int, seconds: float) -> bool:
        """Return whether later frames change nothing in a track's bout at a time."""
        bouts = self._bouts[track_id]
        index = bouts.index(seconds)
        for span in bouts.spans[:index]:
            if self._may_be_filled_behind(span):
                return False
        span = bouts.spans[index]
        is_within = seconds < span.end
        if is_within and not span.is_shorter(self._lengths.min_bout):
            return True
        is_last = span is bouts.spans[-1]
        if is_last and bouts.goes_on:
            return False
        return not self._may_be_filled_behind(span)

    def _may_be_filled_behind(self, span: LabelledSpan) -> bool:
        """Return whether the gap behind a bout may yet be filled."""
        return seconds_between(span.end, self._until) < self._lengths.merge_gap
