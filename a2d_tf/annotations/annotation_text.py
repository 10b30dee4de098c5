"""The annotations of a video as text, from which their changes are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations


def annotation_text(
    annotations: VideoAnnotations, code: Callable[[Instance], int]
) -> str:
    """Return the annotations of a video as JSON, to compare them with earlier ones.

    The text does not depend on the format and layout of the files. If it changes, the
    records of the video are converted again.

    Args:
      annotations: the annotations of the video.
      code: a function that takes an instance and returns its label code, an integer for
        actor and action.
    """
    ranges = [d.frame_range for d in annotations.documents if d.frame_range]
    content: list = [repr(ranges)]
    for number, frame in sorted(annotations.frames.items()):
        instances = []
        for instance in frame.instances:
            fields = sorted(instance.fields.items())
            track: Any = instance.track
            if instance.name:
                track = [instance.track, instance.name]
            instances.append(
                [code(instance), track, instance.box, list(instance.parts), *fields]
            )
        content.append([number, frame.size, frame.scaled, frame.split, instances])
    return json.dumps(content, sort_keys=True)
