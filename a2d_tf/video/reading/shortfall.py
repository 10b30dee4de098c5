"""Whether a video has fewer frames than it claims, or damaged ones."""

from __future__ import annotations

from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span


def shortfall(reader: Reader, span: Span) -> str:
    """Describe how many frames of a video are missing or damaged.

    A video may have damaged frames in the span, or end before the end of the span
    although it claims more frames. If a file claims no number of frames, its claimed
    duration is compared. An AVI that shows each frame for several ticks claims the
    number of its ticks.

    Args:
      reader: the reader of the video, after all its frames were read.
      span: the frames that were answered.

    Returns:
      the end of a sentence about the video, such as "has 2 damaged frames, and others
      that refer to them"; "" if nothing is missing.
    """
    damaged = sum(index in span for index in reader.damaged)
    note = ""
    if damaged:
        note = f"has {damaged} damaged frames, and others that refer to them"
    length = reader.length
    if length is None or (span.end is not None and span.end <= length):
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
    if reader.count is not None and reader.duration is not None:
        if reader.seconds(length) < reader.duration - 1 / reader.fps:
            short += ": the rest of the file has no labels"
        else:
            short += ": these last to its end, so nothing is lost, and times are right"
    if note:
        return f"{short}; {note}"
    return short
