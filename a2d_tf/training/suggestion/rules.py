"""The rules by which settings are suggested, one after the other.

The network follows from the machine (`preset_choice`), the scale of its inputs from the
records (`starting_point`), canvas and anchors from the sizes of frames and boxes
(`canvas_size`, `anchor_sizes`), batch and steps from memory and time (`length`).
docs/training.md, docs/experiments.md and docs/performance.md have the measurements
behind some of the numbers; the others are rules of thumb.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import Config
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.inspection import Summary
from a2d_tf.runs import run_folder
from a2d_tf.training.suggestion import starting_point
from a2d_tf.training.suggestion.basis import Basis
from a2d_tf.training.suggestion.length import batch_and_steps
from a2d_tf.training.suggestion.preset_choice import PresetChoice
from a2d_tf.training.suggestion.presets import uses_readout
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags

_FEW_VIDEOS = 20  # training videos below which none is held out
# The same with a readout, which learns much from each video (docs/real_video.md).
_FEW_VIDEOS_OF_READOUT = 50
# On p(actor), of a network that has learned little (docs/training.md, the threshold).
_THRESHOLD = 0.3
_SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}


def suggest(basis: Basis, choice: PresetChoice) -> list[ReasonedFlags]:
    """Suggest the settings of a new training.

    Args:
      basis: the records, the machine and the time.
      choice: the preset to start from, and its motion maps.

    Returns:
      the flagfile of the preset, then the flags that change it, with their reasons.
    """
    start = starting_point.of_preset(choice, basis)
    least_videos = _FEW_VIDEOS
    if uses_readout(start.preset, len(basis.videos)):
        least_videos = _FEW_VIDEOS_OF_READOUT
    settings = list(start.settings)
    settings += batch_and_steps(basis, start.preset, start.config.training)
    settings += _room_for_instances(basis.contents.summaries["train"], start.config)
    settings.append(_held_out_videos(basis.videos, least_videos))
    settings += _mirroring(_names_of_labels(basis.manifest.label_space))
    return settings


def suggest_after(basis: Basis, run: str) -> list[ReasonedFlags]:
    """Suggest the settings of a training that starts from the weights of a run.

    The share of videos held out for validation stays the run's. Mirroring, which the
    names of labels may forbid, is turned off only for new labels.

    Args:
      basis: the records, the machine and the time.
      run: path of the run folder.

    Returns:
      the flagfile of the run, then the flags that change it, with their reasons.

    Raises:
      InputError: `run` is no run, or has no masks although the records have, or reads
        motion maps that the records lack.
    """
    start = starting_point.of_run(run, basis)
    labels_of_run = _names_of_labels(run_folder.read_labels(run))
    new_labels = []
    for name in _names_of_labels(basis.manifest.label_space):
        if name not in labels_of_run:
            new_labels.append(name)
    settings = list(start.settings)
    settings += batch_and_steps(basis, start.preset, start.config.training)
    settings += _room_for_instances(basis.contents.summaries["train"], start.config)
    settings += _mirroring(new_labels)
    return settings


def _names_of_labels(labels: LabelSpace) -> list[str]:
    return [*labels.actors, *labels.actions]


def _room_for_instances(train: Summary, config: Config) -> list[ReasonedFlags]:
    """Suggest room for as many instances as a frame has, if there is not enough."""
    most = max(train.per_clip)
    max_instances = config.training.max_instances
    max_detections = config.inference.max_detections
    if most <= max_instances and 2 * most <= max_detections:
        return []
    flags = {
        "max_instances": max(most, max_instances),
        "max_detections": max(2 * most, max_detections),
    }
    return [ReasonedFlags(flags, f"a frame has up to {most} instances")]


def _held_out_videos(videos: Collection[str], least_videos: int) -> ReasonedFlags:
    """Suggest the share of the training videos that is held out, or a threshold.

    Args:
      videos: names of the training videos.
      least_videos: number of them from which on some are held out, to choose the
        threshold.
    """
    if len(videos) >= least_videos:
        names = tf.constant([*videos])
        for fraction in (0.1, 0.2, 0.3):
            held_out = np.count_nonzero(pipeline.is_validation(names, fraction))
            if held_out >= 2:
                return ReasonedFlags(
                    {"val_fraction": fraction},
                    f"{held_out} of {len(videos)} training videos are held out to"
                    " choose the threshold",
                )
    return ReasonedFlags(
        {"val_fraction": 0.0, "score_threshold": _THRESHOLD},
        f"too few training videos ({len(videos)}) to hold some out for choosing the"
        " threshold",
    )


def _mirroring(names: Iterable[str]) -> list[ReasonedFlags]:
    """Suggest that clips are not mirrored, if the name of a label has a side."""
    sided_names = []
    for name in names:
        if _SIDES & set(re.split(r"[\s_./-]+", name.lower())):
            sided_names.append(name)
    if not sided_names:
        return []
    reason = f"mirroring would change the meaning of {', '.join(sided_names)}"
    return [ReasonedFlags({"flip": False}, reason)]
