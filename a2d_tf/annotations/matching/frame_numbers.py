"""The numbers of annotated frames in their videos."""

from __future__ import annotations

from a2d_tf.annotations.documents.conventions import COCO, MASKS
from a2d_tf.annotations.documents.document import AnnotatedFrame, Document
from a2d_tf.annotations.documents.numbering import Counted
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.core.errors import InputError

# The number in the name of a video's first image, unless its folder or the user says
# otherwise.
_USUAL_FIRST = {
    Counted.IMAGE_NAMES: COCO.first_frame,
    Counted.IMAGE_NAMES_FROM_0: MASKS.first_frame,
}


def check_numbering(document: Document, video: str, folder: VideoFolder) -> None:
    """Raise InputError if a document counts images of a task that may lack frames.

    Such numbers are those of the video's frames only if the task has as many images as
    the video has frames.

    Args:
      document: the annotations of one file.
      video: the name of the video that they were matched to.
      folder: the folder of the user's videos, which tells the video's length.
    """
    kinds = {frame.numbering.kind for frame in document.frames}
    if Counted.TASK_IMAGES not in kinds or video not in folder.videos:
        return
    extent = folder.videos[video].extent
    if extent is not None and extent.frame_count != document.frame_count:
        raise InputError(
            f"{document.path}: has {document.frame_count or 'some'} images of a task,"
            f" but '{video}' has {extent.frame_count} frames, so they cannot be"
            " matched; export it as 'CVAT for images 1.1', which keeps the image names"
        )


def number_in_video(
    frame: AnnotatedFrame, video: str, folder: VideoFolder, first_frame: int | None
) -> int:
    """Return the 1-based number of an annotated frame in its video.

    A file may number frames as their images are named, from 0 or from 1. Which of the
    two counts follows from the first image in the video's folder of images, or for a
    video file from `first_frame`.

    Args:
      frame: the annotated frame.
      video: the name of the video that it was matched to.
      folder: the folder of the user's videos.
      first_frame: 0 or 1, the number of the first frame of a video file in names of
        images; None for the format's own.

    Raises:
      InputError: the number is below 1.
    """
    number = frame.number
    usual = _USUAL_FIRST.get(frame.numbering.kind)
    if usual is not None:
        first = first_frame
        if video in folder.videos and folder.videos[video].first_number is not None:
            first = folder.videos[video].first_number
        if first is not None:
            number += usual - first
    if number < 1:
        raise InputError(
            f"{frame.where}: frame {frame.number} is invalid; numbering starts at 1;"
            " pass --first_frame=0 if the images are numbered from 0"
        )
    return number
