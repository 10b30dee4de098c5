"""The records of a round: checked annotations, built records, sheets to look at.

Split, labels, frame size and motion maps are those of the round before, if there is
one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.record_folder import asked_frames
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.runs import run_folder
from a2d_tf.training.suggestion.reasoned_flags import flag_words
from a2d_tf.training.suggestion.record_flags import MOST_SIDE, motion_flags
from a2d_tf.video.library.library_videos import Job

_MOST_FRAMES = 3000  # for training: about as many as half an hour sees once or twice


class FrameSize(NamedTuple):
    """The size of frames.

    Attributes:
      height: the height in pixels.
      width: the width in pixels.
    """

    height: int
    width: int


def build(request: RoundRequest, stages: StageRunner) -> Manifest:
    """Check the annotations, print the report, and build records.

    Existing records are not checked again. `a2d records` compares them with annotations
    and videos, and leaves them if they are complete.
    """
    folder = request.folder
    before = request.before
    sources = request.source_flags()
    motion = ["--suggested_motion"]
    size = _frame_size(request.jobs, before or folder)
    if before:
        sources += _flags_after(before, folder)
        motion = flag_words(motion_flags(Manifest.load(before.records)))
    if not folder.has_records():
        log = stages.run("check", "records", *sources, "--check")
        print(read_text(log), flush=True)
    stages.run(
        "records",
        "records",
        *sources,
        f"--output={folder.records}",
        *content_flags(size, motion),
    )
    if before:
        # Frames that are not corrected yet train in the round in which they are.
        asked = asked_frames.read(before.records)
        if asked:
            asked_frames.add(folder.records, asked)
    return Manifest.load(folder.records)


def draw_sheets(folder: RoundFolder, stages: StageRunner) -> None:
    """Draw sheets of annotated frames, if there are none, and print their paths."""
    if not folder.sheets.is_dir():
        stages.run(
            "sheets",
            "inspect",
            f"--records={folder.records}",
            f"--sheets={folder.sheets}",
        )
    print("look at the annotations before they are learned:")
    for sheet in run_folder.sheets(folder.run):
        print(f"- {sheet}", flush=True)


def content_flags(size: FrameSize, motion: Sequence[str]) -> list[str]:
    """Return the flags of `a2d records` for the contents of the records.

    Args:
      size: the largest size of stored frames.
      motion: the flags of motion maps.
    """
    return [
        f"--image_height={size.height}",
        f"--image_width={size.width}",
        "--clip_frames=3",
        f"--max_frames={_MOST_FRAMES}",
        *motion,
    ]


def describe_motion(motion: MotionFacts) -> str:
    """Describe the motion maps of records."""
    names = []
    if motion.action_backbone:
        names.append(f"features of {motion.action_backbone.upper()} (Kinetics-400)")
    if motion.flow_histograms:
        names.append("histograms of optical flow")
    return (
        f"the records have {' and '.join(names)}, from which actions are read"
        " (docs/real_video.md)"
    )


def _flags_after(before: RoundFolder, folder: RoundFolder) -> list[str]:
    """Return the flags that keep split and labels of the round before."""
    # Records of this round keep their own split: a2d next may have asked for frames of
    # further videos since.
    split_of = folder if folder.has_records() else before
    return [f"--split_of={split_of.records}", f"--labels_of={before.records}"]


def _frame_size(jobs: Sequence[Job], folder: RoundFolder) -> FrameSize:
    """Return the size of frames to store: of a folder's records, or of the videos.

    Records keep their size, although larger videos may have come since.
    """
    if folder.has_records():
        manifest = Manifest.load(folder.records)
        height = manifest.image_height
        width = manifest.image_width
    else:
        height = 1
        width = 1
        for job in jobs:
            # A video that cannot be read may be one that is not annotated.
            with contextlib.suppress(InputError):
                video_height, video_width = video_frames.size(job.path)
                height = max(height, video_height)
                width = max(width, video_width)
    return FrameSize(min(height, MOST_SIDE), min(width, MOST_SIDE))
