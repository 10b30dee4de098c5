"""overlay.mp4: the video with masks, boxes and tracks drawn into it."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import visualize
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs.video_writer import Writer
from a2d_tf.video.reading.reader import Reader


class OverlayWriter:
    """Writer of `overlay.mp4`: the video with masks, boxes and labels of the tracks.

    Small videos are enlarged, so that the labels can be read. Only instances with a
    track are drawn.

    Args:
      path: path of the file, which is created.
      reader: the reader of the video, for its size and its rate.
      every: N if only each Nth frame is predicted; the overlay then has fewer frames a
        second.
    """

    def __init__(self, path: str, reader: Reader, every: int) -> None:
        zoom = visualize.zoom(reader.size)
        size = (zoom * reader.size[0], zoom * reader.size[1])
        self._writer = Writer.open(path, reader.fps / every, size)

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Draw the tracks of a frame, and append the picture to the video.

        Args:
          frame: the next answered frame; it is shown at its own time.
          labels: the label space of the codes.
        """
        self._writer.write(_draw(frame, labels), frame.seconds)

    def close(self) -> None:
        """Finish the file, which can be played then."""
        self._writer.close()


def _drawn_mask(instances: Instances, index: int) -> np.ndarray | None:
    """Return the mask of an instance, uint8 [H, W]; None where it only fills a box."""
    if instances.has_mask is not None and not instances.has_mask[index]:
        return None
    return rle_tools.decode(instances.masks[index])


def _draw(frame: VideoFrame, labels: LabelSpace) -> np.ndarray:
    """Return the picture of a frame for the overlay, with its tracks."""
    # The best one is drawn last, on top.
    order = np.argsort(frame.scores, kind="stable")
    order = order[frame.tracks[order] > 0]
    # One after the other: all masks of a large frame would fill the memory.
    masks = (_drawn_mask(frame.instances, i) for i in order)
    tracked = visualize.DrawnInstances(
        boxes=frame.instances.boxes[order],
        codes=frame.codes[order],
        masks=masks,
        scores=frame.scores[order],
        ids=frame.tracks[order],
    )
    return visualize.draw_instances(
        frame.image,
        tracked,
        labels,
        stamp=f"{frame.seconds:.2f} s",
        times=visualize.zoom(frame.image.shape[:2]),
    )
