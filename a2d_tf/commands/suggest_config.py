"""Suggest settings of training for records: a flagfile with a reason for each line.

  a2d suggest-config --records=records --output=own.flags
  a2d train --flagfile=own.flags --records=records --workdir=runs/own

The suggestion depends on sizes, counts and motion of the training split's instances,
and on this machine. Remarks name records too small for small objects, and the number of
annotated frames that is likely to be enough.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import textwrap
import time
from collections.abc import Iterable, Sequence

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.core.files import write_text
from a2d_tf.data.manifest import Manifest

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

TIME = "on this machine"
"""Begins the remark on how long training, scores and prediction take."""
_ANSWER = 0.5  # time of an answer to a frame, of that of a clip in a training step


def main(argv: list[str]) -> None:
    command_line.require(argv, records=_RECORDS.value)
    manifest = Manifest.load(_RECORDS.value)
    manifest.shards("train")
    from a2d_tf.data.inspection import gather
    from a2d_tf.training import suggestion

    host = suggestion.Host.here()
    if _MINUTES.value:  # measured where it will be trained
        devices.prepare()
    else:
        devices.hide_gpus()
    preset = suggestion.preset_for(host)
    few = suggestion.reads_labels(preset, manifest.counts["train"]["videos"])
    if few and not _AFTER.value and _knows_actions(manifest):
        preset = suggestion.STILL
    contents = gather(manifest, suggestion.canvas(manifest.sizes, preset.pixels))
    suggest = functools.partial(
        suggestion.suggest, manifest, contents, host, after=_AFTER.value, preset=preset
    )
    suggestions = list(suggest(_MINUTES.value))
    remarks = suggestion.notes(manifest, contents, preset)
    if _MINUTES.value:
        speed = _speed(suggestions, manifest)
        suggestions = list(suggest(_MINUTES.value, speed))
        remarks.append(_time(suggestions, speed, manifest))
    if preset is suggestion.SMALL and not _AFTER.value:
        remarks.insert(0, preset.why)
    minutes = f" --minutes={_MINUTES.value:g}" if _MINUTES.value else ""
    title = (
        f"Suggested by a2d suggest-config{minutes} for {_RECORDS.value}"
        f" ({contents.summaries['train'].counts()} in training) with source"
        f" {manifest.source[:12]} and {host}."
    )
    text = flagfile(title, suggestions, remarks)
    if not _OUTPUT.value:
        print(text, end="")
        return
    write_text(_OUTPUT.value, text)
    print("\n".join([title, *(f"- {remark}" for remark in remarks)]))
    words = [f"--flagfile={_OUTPUT.value}", f"--records={_RECORDS.value}"]
    print(
        f"{_OUTPUT.value}: written; next: a2d train {shlex.join(words)} --workdir=RUN"
    )


def _knows_actions(manifest):
    """Whether a readout of single frames knows the actions of videos that are left
    out.
    """
    from a2d_tf.model.heads.readout import LEAST_SKILL
    from a2d_tf.model.network import Network
    from a2d_tf.training import run_start, suggestion
    from a2d_tf.training.fit_readout import fit_readout

    height, width = suggestion.canvas(manifest.sizes, suggestion.STILL.pixels)
    size = [f"--image_height={height}", f"--image_width={width}", "--val_fraction=0"]
    still = ["--readout", "--use_flow=false", "--init_flow=", "--temporal_layers=0"]
    preset = f"--flagfile={command_line.find(suggestion.STILL.flagfile)}"
    config = run_start.resolve_config(Config.parse([preset, *size, *still]), ())
    network = Network(config.model, manifest.label_space, config.compute)
    run_start.initialise(network, config)
    return fit_readout(network, manifest, config)[1] >= LEAST_SKILL


def _speed(suggestions, manifest):
    """Measure a training with suggested settings, from random weights."""
    start = time.monotonic()
    from a2d_tf.model.network import Network
    from a2d_tf.training import fit, suggestion

    # which no step computes
    config = Config.parse([*_all(suggestions), "--readout=false"])
    network = Network(config.model, manifest.label_space, config.compute)
    built = time.monotonic() - start
    first, step = fit.time_steps(network, manifest, config)
    return suggestion.Speed(built + first, step)


def _time(suggestions, speed, manifest):
    """Say how long all takes, by what an answer costs of a training step, as
    measured on a CPU.
    """
    training = Config.parse(_all(suggestions)).training
    answer = _ANSWER * speed.step / training.batch_size
    tests = manifest.counts.get("test", {}).get("records", 0)
    train, score = (
        speed.start + speed.step * training.steps,
        speed.start + answer * tests,
    )
    return (
        f"{TIME}: about {train / 60:.1f} minutes of training, {score / 60:.1f} of"
        f" scores, and {1000 * answer / 60:.1f} to predict each 1000 frames, or half of"
        " that with --every=5, which knows the times of bouts to five frames"
    )


def _all(suggestions):
    return [word for flags, _ in suggestions for word in _words(flags)]


def _words(flags):
    return [
        f"--{name}={command_line.flag_text(value)}" for name, value in flags.items()
    ]


def flagfile(title: str, suggestions: Iterable, remarks: Sequence[str]) -> str:
    """Return the text of a flagfile: the title and remarks, then each reason above
    its flags.
    """
    blocks = [[*_comment(title), "#"]]
    for remark in remarks:
        blocks[0] += _comment(f"- {remark}", "  ")
    for flags, reason in suggestions:
        blocks.append([*_comment(reason), *_words(flags)])
    return "\n\n".join(map("\n".join, blocks)) + "\n"


def _comment(text, indent=""):
    return textwrap.wrap(
        text,
        100,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_on_hyphens=False,
    )


def remarks_of(text: str) -> list[str]:
    """Return the remarks in the text of a `flagfile`."""
    head = re.sub(r"\n#   ", " ", text.partition("\n\n")[0])
    return [line[4:] for line in head.splitlines() if line.startswith("# - ")]


def individuals_of(text: str) -> list[str]:
    """Return the flag of a2d predict for the number of individuals that the remarks
    name.
    """
    return re.findall(r"--max_tracks=\d+", " ".join(remarks_of(text)))


def is_for(text: str, manifest: Manifest, minutes: float, after: str | None) -> bool:
    """Return whether a flagfile is for these records and minutes, and goes on from
    that run.
    """
    starts = [line for line in text.splitlines() if line.startswith("--init_run=")]
    same = starts == ([f"--init_run={os.path.abspath(after)}"] if after else [])
    return same and {f"--minutes={minutes:g}", manifest.source[:12]} <= {*text.split()}


run = command_line.command(main, FLAGS)
