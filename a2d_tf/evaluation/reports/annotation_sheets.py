"""Sheets of annotated frames of records, to look at before a training.

They show whether masks lie on their objects. A sheet is a picture of up to 12 frames.
"""

from __future__ import annotations

import collections
import functools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.core.folders import whole_folder
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.evaluation.reports import charts
from a2d_tf.ops import visualize

if TYPE_CHECKING:
    from a2d_tf.data.clip_records import ClipTruth

_LEAST = 12  # frames, so that a sheet is full where videos are few
_MOST = 60  # frames, where videos are many
_ROWS = 3  # of a sheet
_ACROSS = 4
_HEIGHT = 320  # pixels of a frame, so that names on it can be read


class AnnotatedFrame(NamedTuple):
    """An annotated frame that a sheet may show.

    Attributes:
      video: the VID of its video.
      frame: its number in the video, from 1.
      codes: the codes of the actors and actions in it.
    """

    video: str
    frame: int
    codes: frozenset[int]

    @classmethod
    def of(cls, truth: ClipTruth) -> AnnotatedFrame:
        """Return the key frame of a record, by the record's ground truth."""
        return cls(truth.video, truth.frame, frozenset(truth.codes.tolist()))


def write(
    folder: str,
    manifest: Manifest,
    annotated_frames: Sequence[AnnotatedFrame],
) -> None:
    """Choose frames, and write the sheets `1.png`, `2.png` and so on.

    Args:
      folder: the folder of the sheets, replaced as a whole.
      manifest: the manifest of the records, from which the pictures are read.
      annotated_frames: the key frames of all records.

    Raises:
      InputError: records are damaged, or the folder cannot be written.
    """
    chosen = set()
    for annotated in choose(annotated_frames):
        chosen.add((annotated.video, annotated.frame))
    panels = {}
    records = read_records(
        manifest, manifest.splits, decode=True, frames=1, wanted=chosen
    )
    for record in records:
        truth = record.truth
        text = f"{truth.video}, frame {truth.frame}"
        if record.split == "test":
            text += ", held out"
        picture = draw_key_frame(record.fields, manifest.label_space)
        panels[truth.video, truth.frame] = charts.Panel(text, picture)
    in_order = [panels[key] for key in sorted(panels)]
    with whole_folder(folder) as new:
        for number, first in enumerate(range(0, len(in_order), _ROWS * _ACROSS), 1):
            sheet = charts.sheet(in_order[first : first + _ROWS * _ACROSS], _ACROSS)
            pathlib.Path(new, f"{number}.png").write_bytes(sheet)


def choose(annotated_frames: Sequence[AnnotatedFrame]) -> list[AnnotatedFrame]:
    """Choose frames to show: one of each video, 12 at least and 60 at most.

    The next one is of a video with the fewest chosen frames; of these it shows the pair
    that is shown least, and is far from chosen frames of its video.

    Args:
      annotated_frames: the frames to choose from.

    Returns:
      the chosen frames, in the order of their choice.
    """
    videos = {annotated.video for annotated in annotated_frames}
    count = max(_LEAST, min(len(videos), _MOST))
    shown_pairs: collections.Counter[int] = collections.Counter()
    shown_numbers = collections.defaultdict[str, list[int]](list)
    chosen: list[AnnotatedFrame] = []
    remaining = list(annotated_frames)
    order = functools.partial(
        _order, shown_pairs=shown_pairs, shown_numbers=shown_numbers
    )
    while remaining and len(chosen) < count:
        best = min(remaining, key=order)
        remaining.remove(best)
        chosen.append(best)
        shown_pairs.update(best.codes)
        shown_numbers[best.video].append(best.frame)
    return chosen


def _order(
    annotated: AnnotatedFrame,
    *,
    shown_pairs: Mapping[int, int],
    shown_numbers: Mapping[str, Sequence[int]],
) -> tuple[float, float, int]:
    """Return a key that is least for the frame to show next.

    Args:
      annotated: a frame that is not chosen yet.
      shown_pairs: {code of a pair: number of chosen frames with it}.
      shown_numbers: {video: numbers of its chosen frames}.
    """
    numbers = shown_numbers[annotated.video]
    distances = [abs(annotated.frame - number) for number in numbers]
    counts = [shown_pairs[code] for code in annotated.codes]
    return len(numbers), min(counts, default=math.inf), -min(distances, default=0)


def draw_key_frame(
    fields: Mapping[str, np.ndarray], label_space: LabelSpace
) -> np.ndarray:
    """Draw the key frame of a record with its instances, enlarged if it is small.

    Args:
      fields: {name: array}, the decoded record as `clip_records.parse` returns it: the
        frames "rgb", uint8 [T, h, w, 3], and "boxes", "codes" and "masks" of the key
        frame's instances.
      label_space: the label space of the codes, which names and colours them.

    Returns:
      RGB uint8 [H, W, 3].
    """
    rgb = fields["rgb"][len(fields["rgb"]) // 2]
    truths = visualize.DrawnInstances(fields["boxes"], fields["codes"], fields["masks"])
    times = math.ceil(_HEIGHT / len(rgb))
    return visualize.draw_instances(rgb, truths, label_space, times=times)
