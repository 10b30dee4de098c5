"""Suggest settings of training for records: a flagfile with a reason for each line.

  a2d suggest-config --records=records --output=own.flags
  a2d train --flagfile=own.flags --records=records --workdir=runs/own

The suggestion depends on sizes, counts and motion of the training split's instances,
and on this machine. Remarks name records too small for small objects, and the number of
annotated frames that is likely to be enough. Beside the flagfile, own.suggestion.json
has the same for other programs.
"""

from __future__ import annotations

import os
import shlex
import sys
import time

from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_text
from a2d_tf.core.machine import devices
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags
from a2d_tf.training.suggestion.suggestion_file import Suggestion, json_path

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


def main(argv: list[str]) -> None:
    """Suggest settings, and write or print them."""
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
    from a2d_tf.data.record_folder.inspection import gather
    from a2d_tf.training.suggestion import (
        canvas_size,
        durations,
        preset_choice,
        presets,
        record_remarks,
        rules,
    )
    from a2d_tf.training.suggestion.basis import Basis

    preset = presets.preset_of_machine(host)
    choice = preset_choice.PresetChoice(preset)
    videos = manifest.counts["train"]["videos"]
    if presets.uses_readout(preset, videos) and not after:
        _say("fitting labels to features of the training videos")
        choice = preset_choice.choose_preset(manifest, preset)
        preset = choice.preset
    canvas = canvas_size.canvas_of_records(manifest.sizes, preset.most_pixels)
    contents = gather(manifest, canvas)

    def suggest_settings(basis: Basis) -> list[ReasonedFlags]:
        if after:
            return rules.suggest_after(basis, after)
        return rules.suggest(basis, choice)

    basis = Basis(manifest, contents, host, minutes)
    settings = suggest_settings(basis)
    times = None
    duration = None
    if minutes:
        _say("measuring the steps of a training, 10 seconds after its start")
        step_times = durations.measure_steps(settings, manifest, startup)
        settings = suggest_settings(basis._replace(step_times=step_times))
        _say("measuring predictions")
        times = durations.measure(settings, step_times, manifest)
        duration = durations.describe(settings, times, manifest)

    remarks = record_remarks.remarks(manifest, contents, preset)
    if not after:
        about_choice = [text for text in (preset.remark, choice.remark) if text]
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
        individuals=record_remarks.most_individuals(contents),
        source=manifest.source,
        minutes=minutes,
        after=os.path.abspath(after) if after else None,
        duration=duration,
        times=times,
    )


def _say(what: str) -> None:
    """Say what takes a while; results alone are on stdout."""
    print(f"{what} ...", file=sys.stderr, flush=True)


run = command_line.command(main, FLAGS)
