"""The user's settings for reading an export."""

from __future__ import annotations

import dataclasses

from a2d_tf.annotations.documents.document import ToolLabel
from a2d_tf.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """The user's settings for reading an export.

    Attributes:
      format_name: one of `readers.formats.FORMATS`; None if the content tells it.
      first_frame: 0 or 1, the number of the first frame of a video file if the names of
        images number frames; None for the format's own, mostly 1.
      interpolated: whether a frame counts as annotated if all its shapes were
        interpolated.
      empty_frames: whether a listed frame without shapes counts as annotated if the
        tool does not say so itself.
      frame_step: the number of video frames from one sampled frame to the next.
      actor: the actor of instances whose file does not name their class; None if the
        user does not say.
      needs_actor: whether an instance needs an actor or a class number; otherwise its
        label may be "".
    """

    format_name: str | None = None
    first_frame: int | None = None
    interpolated: bool = False
    empty_frames: bool = False
    frame_step: int = 1
    actor: str | None = None
    needs_actor: bool = True

    def label(self, class_number: str | None = None) -> ToolLabel:
        """Return the label of an instance whose class has no name.

        It is the actor that the user states, or else the number of the class.

        Args:
          class_number: the number of the class, as text; None if there is none.

        Raises:
          InputError: there is neither. The message does not name the file.
        """
        if self.actor:
            return ToolLabel(self.actor, action="")  # a hyphen belongs to the actor
        if class_number is None and not self.needs_actor:
            return ToolLabel("", action="")
        if class_number is None:
            raise InputError(
                "names no actor; say whose tracks these are, as in --actor=mouse, or"
                " pass --labels of one actor; with a2d start after --: -- --actor=mouse"
            )
        return ToolLabel(class_number)


DEFAULTS = ReadOptions()
