"""Suggest settings of training for records: a flagfile with a reason for each line.

  a2d suggest-config --records=records --output=own.flags
  a2d train --flagfile=own.flags --records=records --workdir=runs/own

The suggestion depends on sizes, counts and motion of the training split's instances,
and on this machine. Remarks name records too small for small objects, and the number of
annotated frames that is likely to be enough. Beside the flagfile, own.suggestion.json
has the same for other programs.
"""

from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config, ModelConfig
from a2d_tf.core.files import write_text
from a2d_tf.data.manifest import Manifest
from a2d_tf.ops.motion_maps import BLOCK
from a2d_tf.training.host import Host, Speed
from a2d_tf.training.suggestion import Settings, Suggestion, json_path, words_of

if TYPE_CHECKING:
    from a2d_tf.data.motion_stream import BlockFunction

FLAGS = command_line.Register()
_RECORDS = FLAGS.define_string("records", None, "Folder written by a2d records.")
_OUTPUT = FLAGS.define_string(
    "output", None, "Flagfile to write; by default it is printed."
)
_AFTER = FLAGS.define_string(
    "after", None, "Run folder to go on from, with its settings and weights."
)
_MINUTES = FLAGS.define_float(
    "minutes",
    None,
    "Maximum training time in minutes; by default about 180 on a CPU.",
    0.1,
    1e6,
)

_ANSWER = 0.5  # time of an answer to a frame, as a share of a clip's in a training step


def main(argv: list[str]) -> None:
    command_line.require(argv, records=_RECORDS.value)
    manifest = Manifest.load(_RECORDS.value)
    manifest.shards("train")
    host = Host.here()
    startup = 0.0
    if _MINUTES.value:  # the speed is measured where the network will be trained
        begin = time.monotonic()
        devices.prepare()
        startup = time.monotonic() - begin
    else:
        devices.hide_gpus()
    suggestion = suggest(
        manifest,
        host,
        _RECORDS.value,
        minutes=_MINUTES.value,
        after=_AFTER.value,
        startup=startup,
    )
    if not _OUTPUT.value:
        print(suggestion.flagfile(), end="")
        return
    write_text(_OUTPUT.value, suggestion.flagfile())
    suggestion.write(json_path(_OUTPUT.value))
    print(suggestion.title)
    for note in suggestion.notes():
        print(f"- {note}")
    flags = [f"--flagfile={_OUTPUT.value}", f"--records={_RECORDS.value}"]
    print(
        f"{_OUTPUT.value}: written; next: a2d train {shlex.join(flags)} --workdir=RUN"
    )


def suggest(
    manifest: Manifest,
    host: Host,
    records: str,
    *,
    minutes: float | None,
    after: str | None,
    startup: float = 0.0,
) -> Suggestion:
    """Suggest settings for records on this machine.

    Args:
      host: this machine.
      records: the folder of the records, for the title.
      minutes: of training at most; given, the speed of a training is measured.
      after: run folder to go on from.
      startup: seconds that TensorFlow took to start, as it does in a training.

    Raises:
      InputError: unusable records, or `after` is no run for them.
    """
    from a2d_tf.data.inspection import gather
    from a2d_tf.training import (
        presets,
        suggestion_readout,
        suggestion_remarks,
        suggestion_rules,
        suggestion_sizes,
    )

    preset = presets.preset_for(host)
    reads = presets.reads_labels(preset, manifest.counts["train"]["videos"])
    reading = suggestion_readout.Reading(preset)
    if reads and not after:
        reading = suggestion_readout.choose_reading(manifest, preset)
        preset = reading.preset
    canvas = suggestion_sizes.canvas(manifest.sizes, preset.most_pixels)
    contents = gather(manifest, canvas)

    suggest_settings = functools.partial(
        suggestion_rules.suggest,
        manifest,
        contents,
        host,
        minutes=minutes,
        after=after,
        preset=preset,
        motion=reading.motion,
    )
    settings = suggest_settings()
    duration = None
    if minutes:
        speed = _measure_speed(settings, manifest, startup)
        settings = suggest_settings(speed=speed)
        duration = _describe_duration(settings, speed, manifest)

    remarks = suggestion_remarks.remarks(manifest, contents, preset)
    if not after:
        about_choice = [text for text in (preset.remark, reading.remark) if text]
        remarks = about_choice + remarks
    command = "a2d suggest-config"
    if minutes:
        command += f" --minutes={minutes:g}"
    title = (
        f"Suggested by {command} for {records}"
        f" ({contents.summaries['train'].counts()} in training) with source"
        f" {manifest.source[:12]} and {host}."
    )
    return Suggestion(
        title=title,
        settings=settings,
        remarks=remarks,
        individuals=suggestion_remarks.most_individuals(contents),
        source=manifest.source,
        minutes=minutes,
        after=os.path.abspath(after) if after else None,
        duration=duration,
    )


def _measure_speed(
    settings: Sequence[Settings], manifest: Manifest, startup: float
) -> Speed:
    """Measure a training with suggested settings, from random weights.

    Its start includes the start of TensorFlow and the making of the network.
    """
    start = time.monotonic()
    from a2d_tf.model.network import Network
    from a2d_tf.training import fit

    # A readout is not trained: no step computes it.
    without = ["--readout=false", "--action_backbone=", "--flow_histograms=false"]
    config = Config.parse([*words_of(settings), *without])
    network = Network(config.model, manifest.label_space, config.compute)
    built = time.monotonic() - start
    speed = fit.time_steps(network, manifest, config)
    return speed._replace(start=startup + built + speed.start)


def _measure_motion(model: ModelConfig, manifest: Manifest) -> float:
    """Measure the seconds that the motion maps of a frame of a video take.

    Random weights take as long as any.
    """
    from a2d_tf.data.motion_stream import MotionStream
    from a2d_tf.training import suggestion_sizes

    block_function = None
    if model.action_backbone:
        block_function = _random_block_function(model.action_backbone)
    stream = MotionStream(block_function, model.flow_histograms)
    height, width = suggestion_sizes.largest_size(manifest.native_sizes)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    for block in range(2):  # the first compiles
        start = time.monotonic()
        for i in range(BLOCK):
            stream.add(block * BLOCK + i, frames[i % 2])
    return (time.monotonic() - start) / BLOCK


def _random_block_function(action_backbone: str) -> BlockFunction:
    """Return the block function of an action backbone with random weights."""
    import tensorflow as tf

    from a2d_tf.model import backbones

    backbone = backbones.build_action_backbone(action_backbone)
    compute = tf.function(functools.partial(backbone, training=False))

    def block_function(frames: np.ndarray) -> dict[str, np.ndarray]:
        maps = compute(frames[None])
        return {name: values[0].numpy() for name, values in maps.items()}

    return block_function


def _describe_duration(
    settings: Sequence[Settings], speed: Speed, manifest: Manifest
) -> str:
    """Describe how long training, scores and prediction take.

    An answer takes a share of a training step, as measured on a CPU. Motion maps are
    made of every frame, also for an answer to every fifth.
    """
    config = Config.parse(words_of(settings))
    answer = _ANSWER * speed.step / config.training.batch_size
    test_frames = manifest.counts.get("test", {}).get("records", 0)
    train_seconds = speed.start + speed.step * config.training.steps
    score_seconds = speed.start + answer * test_frames
    motion = 0.0
    fewer_answers = "half of that"
    if config.model.action_backbone or config.model.flow_histograms:
        motion = _measure_motion(config.model, manifest)
        fewer_answers = f"{1000 * (answer / 2 + motion) / 60:.1f}"
    return (
        f"on this machine: about {train_seconds / 60:.1f} minutes of training,"
        f" {score_seconds / 60:.1f} of scores, and {1000 * (answer + motion) / 60:.1f}"
        f" to predict each 1000 frames, or {fewer_answers} with --every=5, which knows"
        " the times of bouts to five frames"
    )


run = command_line.command(main, FLAGS)
