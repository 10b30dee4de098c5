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

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.core.files import write_text
from a2d_tf.data.manifest import Manifest
from a2d_tf.training.host import Host, Speed
from a2d_tf.training.suggestion import Settings, Suggestion, json_path, words_of

if TYPE_CHECKING:
    from a2d_tf.training.presets import Preset

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
    if _MINUTES.value:  # the speed is measured where the network will be trained
        devices.prepare()
    else:
        devices.hide_gpus()
    suggestion = suggest(
        manifest, host, _RECORDS.value, minutes=_MINUTES.value, after=_AFTER.value
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
) -> Suggestion:
    """Suggest settings for records on this machine.

    Args:
      host: this machine.
      records: the folder of the records, for the title.
      minutes: of training at most; given, the speed of a training is measured.
      after: run folder to go on from.

    Raises:
      InputError: unusable records, or `after` is no run for them.
    """
    from a2d_tf.data.inspection import gather
    from a2d_tf.training import (
        presets,
        suggestion_remarks,
        suggestion_rules,
        suggestion_sizes,
    )

    preset = presets.preset_for(host)
    reads = presets.reads_labels(preset, manifest.counts["train"]["videos"])
    if reads and not after:
        preset = preset_that_reads(manifest, preset)
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
    )
    settings = suggest_settings()
    duration = None
    if minutes:
        speed = _measure_speed(settings, manifest)
        settings = suggest_settings(speed=speed)
        duration = _describe_duration(settings, speed, manifest)

    remarks = suggestion_remarks.remarks(manifest, contents, preset)
    if preset.remark and not after:
        remarks.insert(0, preset.remark)
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


def preset_that_reads(manifest: Manifest, preset: Preset) -> Preset:
    """Return the preset of single frames if these show the actions, else a given one.

    Single frames are also best if nothing tells: of seven videos 571 steps fit the time
    of 62 with flow and temporal context.
    """
    from a2d_tf.model.heads.readout import LEAST_SKILL
    from a2d_tf.training import presets

    skill = skill_of_single_frames(manifest)
    if skill is None:
        return presets.STILL_UNTESTED
    return presets.STILL if skill >= LEAST_SKILL else preset


def skill_of_single_frames(manifest: Manifest) -> float | None:
    """Return how well a readout of single frames knows the actions of other videos.

    It is fitted without each video in turn, whose actions it has to tell; see
    `ridge.skill`. None if the videos are too few to tell.
    """
    from a2d_tf.model.network import Network
    from a2d_tf.training import presets, run_start, suggestion_sizes
    from a2d_tf.training.fit_readout import fit_readout

    still = presets.STILL
    height, width = suggestion_sizes.canvas(manifest.sizes, still.most_pixels)
    config = Config.parse(
        [
            f"--flagfile={command_line.find(still.flagfile)}",
            f"--image_height={height}",
            f"--image_width={width}",
            "--val_fraction=0",
            "--readout",
            "--use_flow=false",
            "--init_flow=",
            "--temporal_layers=0",
        ]
    )
    config = run_start.resolve_config(config, ())
    network = Network(config.model, manifest.label_space, config.compute)
    run_start.initialise(network, config)
    return fit_readout(network, manifest, config).action


def _measure_speed(settings: Sequence[Settings], manifest: Manifest) -> Speed:
    """Measure a training with suggested settings, from random weights.

    Its start includes the import of TensorFlow and the making of the network.
    """
    start = time.monotonic()
    from a2d_tf.model.network import Network
    from a2d_tf.training import fit

    # A readout is not trained: no step computes it.
    config = Config.parse([*words_of(settings), "--readout=false"])
    network = Network(config.model, manifest.label_space, config.compute)
    built = time.monotonic() - start
    speed = fit.time_steps(network, manifest, config)
    return speed._replace(start=built + speed.start)


def _describe_duration(
    settings: Sequence[Settings], speed: Speed, manifest: Manifest
) -> str:
    """Describe how long training, scores and prediction take.

    An answer takes a share of a training step, as measured on a CPU.
    """
    training = Config.parse(words_of(settings)).training
    answer = _ANSWER * speed.step / training.batch_size
    test_frames = manifest.counts.get("test", {}).get("records", 0)
    train_seconds = speed.start + speed.step * training.steps
    score_seconds = speed.start + answer * test_frames
    return (
        f"on this machine: about {train_seconds / 60:.1f} minutes of training,"
        f" {score_seconds / 60:.1f} of scores, and {1000 * answer / 60:.1f} to predict"
        " each 1000 frames, or half of that with --every=5, which knows the times of"
        " bouts to five frames"
    )


run = command_line.command(main, FLAGS)
