"""The user's settings for reading an export."""

from __future__ import annotations

import dataclasses

from a2d_tf.annotations.documents.document import ToolLabel
from a2d_tf.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """The user's settings for reading an export of an annotation tool.

    Attributes:
      format_name: the name of the export's format, one of `readers.formats.FORMATS`;
        None to find it out from the content of the files.
      first_frame: 0 or 1, the number of the first frame of a video file, where images'
        names number frames and in tracks of MOT; None for the format's own, mostly 1.
      interpolated: whether a frame counts as annotated if the tool interpolated all its
        shapes.
      empty_frames: whether a frame that the file lists without shapes counts as
        annotated if the tool does not say so itself.
      frame_step: the number of video frames from one sampled frame to the next, in
        exports of Roboflow.
      actor: the actor of instances whose file does not name their class; None if the
        user does not say.
      needs_actor: whether it is an error if neither the file nor the user names the
        actor of an instance; otherwise the instance gets the label ''.
    """

    format_name: str | None = None
    first_frame: int | None = None
    interpolated: bool = False
    empty_frames: bool = False
    frame_step: int = 1
    actor: str | None = None
    needs_actor: bool = True

    def label(self, class_number: str | None = None) -> ToolLabel:
        """Return the label of an instance whose file has no name for its class.

        It is the actor that the user states, or else the number of the class, as text.

        Args:
          class_number: the number of the class in the file, as text; None if the file
            has none.

        Returns:
          the label; its text is '' if there is neither, and none is needed.

        Raises:
          InputError: there is neither, and `needs_actor`. The message does not name the
            file.
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
