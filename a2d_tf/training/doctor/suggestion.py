"""A flagfile for records and a machine: settings, a reason for each, and what no setting mends."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from a2d_tf.core import command_line
from a2d_tf.core.command_line import written
from a2d_tf.core.config import Config, parse_anchors
from a2d_tf.data.inspection import learning_curve, motion, rarity
from a2d_tf.data.inspection.anchor_recall import IOUS, Boxes
from a2d_tf.data.inspection.contents import Contents
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import flavours
from a2d_tf.training.doctor import start

_WIDTH = 100
_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """Flags, {name: value}, and the reason for them in a sentence."""

    flags: dict
    reason: str


def sizes_of(counts: dict) -> list[tuple[int, int]]:
    """Return the (height, width) of a manifest's {'<height>x<width>': number}."""
    pairs = [key.split("x") for key in counts]
    return [(int(height), int(width)) for height, width in pairs]


def suggest(
    manifest: Manifest,
    contents: Contents,
    host: start.Host,
    held_out: Callable[[float], int],
) -> list[Suggestion]:
    """Return the settings for records, the flagfile that they are laid over first.

    Args:
      manifest: of the records; contents: theirs, on the canvas of `start.canvas`.
      host: the machine.
      held_out: how many training videos a --val_fraction holds out.
    """
    preset = start.preset(host)
    base = Config.read(command_line.find(preset.flagfile))
    return [
        Suggestion({"flagfile": preset.flagfile}, f"for {host}: {preset.why}"),
        *_of_frames(manifest, contents, base),
        *_of_motion(manifest, contents, preset, base),
        *_of_training(contents, host, preset, base),
        *_of_counts(contents, base),
        *_of_validation(contents, held_out),
        *_of_names(manifest),
    ]


def _of_frames(manifest, contents, base):
    """Canvas and anchors."""
    (height, width), sides = contents.boxes.canvas, contents.boxes.sides()
    reason = f"the stored frames, up to {_shape(manifest.sizes)}, fit this without padding to spare"
    if (height, width) != start.canvas(sizes_of(manifest.sizes)):
        reason = f"the stored frames, up to {_shape(manifest.sizes)}, shrunk to what a CPU can take"
    yield Suggestion({"image_height": height, "image_width": width}, reason)
    default = base.model.anchor_sizes
    best, recalls = best_anchors(contents.boxes, [default, *start.anchor_sizes(sides)])
    low, high = np.quantile(sides, (0.05, 0.95))
    reason = (
        f"nine in ten boxes have sides from {low:.0f} to {high:.0f} pixels there; {recalls[best]} "
        f"% have an anchor of IoU {IOUS[0]:g}"
    )
    reason += "" if best == default else f", with {default} {recalls[default]} %"
    yield Suggestion({"anchor_sizes": best}, reason)


def best_anchors(boxes: Boxes, choices: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Choose the --anchor_sizes that reach most boxes at an IoU of 0.5, then those closest to them.

    Returns:
      The first best of the choices; {choice: percent of the boxes reached}.
    """
    overlaps = {text: boxes.overlaps(parse_anchors(text, "anchor_sizes")) for text in choices}
    recalls = {text: round(100 * float((iou >= IOUS[0]).mean())) for text, iou in overlaps.items()}
    best = max(choices, key=lambda text: (recalls[text], overlaps[text].mean()))
    return best, recalls


def _of_motion(manifest, contents, preset, base):
    """Frames of the network, flow, and the weights, of which flow may have its own."""
    layers = (manifest.clip_frames - 1) // 2
    if layers < base.model.temporal_layers:
        reason = f"the records hold clips of {manifest.clip_frames} frames"
        yield Suggestion({"temporal_layers": layers}, reason)
    flow, rgb = (contents.inputs.deviation(name) for name in ("flow", "rgb"))
    moves = flow > _LEAST_FLOW and rgb > 0
    if moves:
        model = dataclasses.replace(base.model, rgb_flavour=preset.rgb_flavour)
        ratio = contents.inputs.ratio(1.0, flavours.for_stream(model, "rgb").std[0])
        reason = (
            f"flow deviates by {flow:.2g} pixels, RGB by {rgb:.3g} levels; so both streams see "
            "inputs of one size (docs/training.md, flow beside RGB)"
        )
        yield Suggestion({"flow_scale": start.flow_scale(ratio)}, reason)
    else:
        flags: dict[str, Any] = {"use_flow": False}
        if base.learning.init_flow:
            flags["init_flow"] = ""
        yield Suggestion(flags, "nothing moves in the key frames: there is no flow")
    if preset is start.PAPER:
        weights = {"init_rgb": "coco", "init_flow": "imagenet"}
        reason = (
            "from random weights this network would not get there; fetched once "
            "(docs/pretrained_weights.md says how without a network)"
        )
        yield Suggestion({k: v for k, v in weights.items() if moves or k == "init_rgb"}, reason)


def _of_training(contents, host, preset, base):
    """Batch, steps, and what goes by the number of steps."""
    pixels = int(np.prod(contents.boxes.canvas))
    batch = start.batch_size(pixels, host.memory if host.gpu is None else host.gpu, preset)
    if batch != base.learning.batch_size:
        flags = {"batch_size": batch}
        reason = f"what fits the memory at this canvas, of {host}"
        if base.learning.optimizer == "sgd":
            flags["learning_rate"] = base.learning.learning_rate * batch / preset.batch
            reason += "; the rate goes with the batch"
        yield Suggestion(flags, reason)
    most = (
        np.inf if host.gpu is not None else start.allowed_steps(batch, pixels, host.cores, preset)
    )
    steps = start.step_count(contents.clips, batch, preset, most)
    reason = f"{steps * batch / contents.clips:.0f} passes over {contents.clips} clips"
    if host.gpu is None:
        hours = start.cpu_hours(steps, batch, pixels, host.cores, preset)
        reason += f", about {hours:.1f} h on {host}"
    yield Suggestion({"steps": steps}, f"{reason}; tools/doctor.py measures the time")
    every = max(1, min(base.learning.validate_every, steps // 3))
    flags = {
        "validate_every": every,
        "checkpoint_every": min(base.learning.checkpoint_every, every),
        "warmup_steps": min(base.learning.warmup_steps, steps // 10),
    }
    if base.learning.average_decay and steps < 20000:
        flags["average_decay"] = 0.99
    flags = {k: v for k, v in flags.items() if v != getattr(base.learning, k)}
    if flags:
        yield Suggestion(flags, f"to go with {steps} steps")


def _of_counts(contents, base):
    """Room for as many instances as a frame has, and twice as many detections."""
    most = max(contents.summaries["train"].per_clip)
    room = {
        "max_instances": (most, base.learning.max_instances),
        "max_detections": (2 * most, base.inference.max_detections),
    }
    flags = {name: wanted for name, (wanted, given) in room.items() if wanted > given}
    if flags:
        yield Suggestion(flags, f"a frame has up to {most} instances")


def _of_validation(contents, held_out):
    videos = len(contents.summaries["train"].videos)
    fraction = start.val_fraction(videos, held_out)
    number = "1 training video is" if videos == 1 else f"{videos} training videos are"
    reason = f"{number} too few to hold any out; the score threshold is then 0.7 and not chosen"
    if fraction:
        reason = f"{held_out(fraction)} of {videos} training videos choose the score threshold"
    yield Suggestion({"val_fraction": fraction}, reason)


def _of_names(manifest):
    labels = manifest.label_space
    sided = start.one_sided([*labels.actors, *labels.actions])
    if sided:
        yield Suggestion({"flip": False}, f"mirrored, {', '.join(sided)} would be another")


def _shape(sizes):
    return "{}x{}".format(*np.max(sizes_of(sizes), axis=0))


def notes(manifest: Manifest, contents: Contents, host: start.Host) -> list[str]:
    """Return sentences on what no flag of training mends: the records, and what is annotated."""
    lines, sides = [], contents.boxes.sides()
    stride = motion.clip_stride(contents.speeds, manifest.clip_stride)
    if stride != manifest.clip_stride:
        speed = np.median(contents.speeds)
        lines.append(
            f"build again with --clip_stride={stride}: half of the instances move less than "
            f"{speed:.2g} pixels a frame"
        )
    native = np.max(sizes_of(manifest.native_sizes), axis=0)
    stored, most = (manifest.image_height, manifest.image_width), start.preset(host).pixels
    finer = start.finer_records(sides, stored, (int(native[0]), int(native[1])), most)
    if finer:
        share = 100 * np.mean(sides < start.SMALL_SIDE)
        lines.append(
            f"build again with --image_height={finer[0]} --image_width={finer[1]}: {share:.0f} % "
            f"of the boxes have sides below {start.SMALL_SIDE} pixels"
        )
    found = rarity.presences(contents.summaries, manifest.label_space)
    lines += rarity.text(found, "test" in contents.summaries)
    lines.append(learning_curve.text(contents.clips, len(manifest.label_space.codes)))
    return lines


def flagfile(title: str, suggestions: Sequence[Suggestion], remarks: Sequence[str]) -> str:
    """Return the text of a flagfile: the title and remarks, then each reason above its flags."""
    lines = [*_comment(title), "#"]
    for remark in remarks:
        lines += _comment(f"- {remark}", "  ")
    for suggestion in suggestions:
        lines += ["", *_comment(suggestion.reason)]
        lines += [f"--{name}={written(value)}" for name, value in suggestion.flags.items()]
    return "\n".join(lines) + "\n"


def _comment(text, indent=""):
    return textwrap.wrap(
        text, _WIDTH, initial_indent="# ", subsequent_indent=f"# {indent}", break_on_hyphens=False
    )
