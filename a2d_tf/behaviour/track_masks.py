"""Read the masks of a prediction's tracks.

They are in `detections.json`; `tracks.json` has the labels of the tracks.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Container
from typing import Any

from a2d_tf.behaviour.prediction_folder import REMEDY, RESULT_FILES, read_detections
from a2d_tf.core.checked_json import whole
from a2d_tf.core.errors import InputError
from a2d_tf.data.segmentations import runs_of

_DETECTION = {"image_id": whole(), "track_id": whole(), "segmentation": {"counts": str}}


@dataclasses.dataclass(frozen=True)
class TrackMasks:
    """The masks of a prediction's tracks; make it with `read`.

    Attributes:
      path: the path of `detections.json`, for messages.
      masks: {(number of a frame, number of a track): COCO RLE of its mask}.
    """

    path: str
    masks: dict[tuple[int, int], dict[str, Any]]

    @classmethod
    def read(
        cls,
        folder: str | os.PathLike,
        size: tuple[int, int],
        frames: Container[int] | None = None,
    ) -> TrackMasks:
        """Read the masks of a prediction from its `detections.json`.

        Args:
          folder: the folder of the prediction.
          size: (height, width) of its frames in pixels.
          frames: the numbers of the frames whose masks are kept; None for all.

        Raises:
          InputError: the file is missing or damaged; the message names the field.
        """
        height, width = size
        path = os.path.join(folder, RESULT_FILES["detections"])
        masks = {}
        for i, detection in enumerate(read_detections(folder, _DETECTION)):
            frame = detection["image_id"]
            if frames is not None and frame not in frames:
                continue
            counts = detection["segmentation"]["counts"]
            try:
                runs_of(counts, height * width)
            except InputError as error:
                raise InputError(f"{path}: [{i}]: {error}; {REMEDY}") from error
            mask = {"size": [height, width], "counts": counts}
            masks[frame, detection["track_id"]] = mask
        return cls(path, masks)

    def of(self, frame: int, track_id: int) -> dict[str, Any]:
        """Return the mask of a track in a frame.

        Args:
          frame: the number of the frame.
          track_id: the number of the track.

        Returns:
          a COCO RLE, {"size": [height, width], "counts": str}.

        Raises:
          InputError: the track has no detection in this frame.
        """
        if (frame, track_id) not in self.masks:
            raise InputError(
                f"{self.path}: track {track_id} has no detection in frame {frame};"
                f" {REMEDY}"
            )
        return self.masks[frame, track_id]
