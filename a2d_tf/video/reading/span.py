"""The frames of a video that are answered."""

from __future__ import annotations

import dataclasses

from a2d_tf.video.reading.reader import Reader


@dataclasses.dataclass(frozen=True)
class Span:
    """The frames of a video that are answered.

    Attributes:
      first: 0-based index of the first one.
      end: index after the last one; None: to the end of the video.
      every: 1 for each frame, N for each Nth from the first.
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
        """Return the span of the frames that begin in [start, end), seconds."""
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
        """Return whether a frame from `low` to `high` is answered, both included."""
        steps = max(0, -(-(low - self.first) // self.every))
        index = self.first + steps * self.every
        return index <= high and index in self

    def needs(self, index: int, reach: int) -> bool:
        """Return whether an answer needs a frame, itself or for the flow after it.

        Args:
          index: 0-based, of the frame.
          reach: number of frames around a key frame that its answer depends on.
        """
        return self.has_any(index - reach, index + reach + 1)

    def count(self, frames: int | None) -> int | None:
        """Count the answered frames of a video; None if neither end is known.

        Args:
          frames: of the video, or None if unknown.
        """
        ends = [end for end in (frames, self.end) if end is not None]
        if not ends:
            return None
        return len(range(self.first, min(ends), self.every))


EVERY_FRAME = Span()
