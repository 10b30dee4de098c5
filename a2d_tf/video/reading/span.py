"""The part of a video that is predicted: from a frame to a frame, each or each Nth."""

from __future__ import annotations

import dataclasses

from a2d_tf.video.reading.reader import Reader


@dataclasses.dataclass(frozen=True)
class Span:
    """The answered frames of a video: those in which instances are predicted.

    `index in span` tells whether the frame with a 0-based index is answered.

    Attributes:
      first: 0-based index of the first answered frame.
      end: index after the last frame that may be answered; None for the end of the
        video.
      every: 1 to predict each frame, N to predict only each Nth frame from `first`.
    """

    first: int = 0
    end: int | None = None
    every: int = 1

    @classmethod
    def of_seconds(
        cls,
        reader: Reader,
        start: float,
        end: float | None,
        every: int = 1,
    ) -> Span:
        """Return the span of the frames that begin in a period of time.

        Args:
          reader: the reader of the video, which knows the times of its frames.
          start: start of the period, in seconds from the first frame.
          end: end of the period; a frame that begins then is outside. None for the end
            of the video.
          every: N to predict only each Nth frame of the period.
        """
        end_index = None
        if end is not None:
            # Before the start: one search serves both.
            end_index = reader.index(end)
        return cls(reader.index(start), end_index, every)

    def __contains__(self, index: int) -> bool:
        if index < self.first:
            return False
        if self.end is not None and index >= self.end:
            return False
        return (index - self.first) % self.every == 0

    def has_any(self, low: int, high: int) -> bool:
        """Return whether any of the frames from index `low` to `high` is answered.

        Both indices are 0-based and included.
        """
        steps = max(0, -(-(low - self.first) // self.every))
        index = self.first + steps * self.every
        return index <= high and index in self

    def needs(self, index: int, reach: int) -> bool:
        """Return whether the answers of the span depend on a frame.

        They depend on the frames around each answered frame, and on the frame before
        each of these, because the flow goes from it.

        Args:
          index: 0-based index of the frame.
          reach: number of frames before, and after, a key frame that its clip covers.
        """
        return self.has_any(index - reach, index + reach + 1)

    def count(self, frames: int | None) -> int | None:
        """Count the answered frames of a video.

        Args:
          frames: number of frames of the video; None if it is unknown.

        Returns:
          the number of answered frames; None if neither `frames` nor `end` is known.
        """
        ends = [end for end in (frames, self.end) if end is not None]
        if not ends:
            return None
        return len(range(self.first, min(ends), self.every))


EVERY_FRAME = Span()
"""The span of a whole video."""
