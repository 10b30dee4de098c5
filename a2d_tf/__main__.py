"""The command `a2d`, also `python -m a2d_tf`: it starts one of its commands."""

from __future__ import annotations

import difflib
import importlib
import itertools
import sys
from typing import NamedTuple

import a2d_tf


class Command(NamedTuple):
    """A command of `a2d`.

    Attributes:
      name: its name on the command line.
      module: its module in this package; `run` there takes the words of the command
        line.
      about: what it does, for the list of commands.
    """

    name: str
    module: str
    about: str


COMMANDS = {
    "Your own videos": [
        Command(
            "start", "commands.start", "go from annotations to a page of all videos"
        ),
        Command("predict", "predict", "segment a video, or a library of videos"),
        Command("next", "commands.next", "choose the predicted frames to correct next"),
        Command(
            "export-annotations",
            "commands.export_annotations",
            "export to annotation tools",
        ),
        Command(
            "plot-tracks",
            "commands.plot_tracks",
            "plot time budgets, transitions, timelines",
        ),
        Command(
            "score",
            "commands.score",
            "score label maps, detections or bouts of any method",
        ),
        Command(
            "browse", "commands.browse", "show the frames of an evaluation, worst first"
        ),
    ],
    "Training and the paper": [
        Command(
            "records",
            "commands.records",
            "convert A2D or annotated videos to TFRecords",
        ),
        Command(
            "inspect",
            "commands.inspect",
            "count, list and draw the contents of records",
        ),
        Command(
            "weights",
            "commands.weights",
            "download pretrained weights, or import a file",
        ),
        Command("train", "train", "train the network"),
        Command("evaluate", "evaluate", "score a run on a split of the records"),
        Command("export", "export", "export a run as a SavedModel, or pack it"),
        Command(
            "reproduce",
            "commands.reproduce",
            "train and score the rows of the paper's tables",
        ),
    ],
    "Tools": [
        Command(
            "suggest-config", "commands.suggest_config", "suggest training settings"
        ),
        Command(
            "doctor",
            "commands.doctor",
            "check this machine, estimate the training time",
        ),
        Command(
            "on-beam",
            "commands.on_beam",
            "build records or predict on Apache Beam",
        ),
        Command("mini", "commands.mini", "draw the mini A2D, a stand-in for A2D"),
    ],
}
"""{group: its commands}, in the order of use."""
MODULES = {
    command.name: command.module
    for command in itertools.chain.from_iterable(COMMANDS.values())
}
"""{name of a command: its module}."""
FORMER: dict[str, list[str]] = {
    "import-weights": ["weights"],
    "pack-model": ["export", "--pack"],
}
"""{command of an earlier version: the command and flags that do the same}."""
REMOVED = {
    "replay": (
        "a2d train names the step, the loss term and the clips of a non-finite loss"
    ),
}
"""{command of an earlier version: what replaces it}."""


def overview() -> str:
    """Return the list of all commands."""
    lines = [
        "usage: a2d COMMAND [--flags]; a2d COMMAND --help explains it; a2d --version"
    ]
    for title, group in COMMANDS.items():
        lines += ["", title]
        for command in group:
            lines.append(f"  {command.name:20}{command.about}")
    return "\n".join(lines)


def run() -> None:
    """Start the command that the first word of the command line names."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in FORMER:
        successor = FORMER[name]
        print(f"warning: a2d {name} is now: a2d {' '.join(successor)}", file=sys.stderr)
        name, *words = [*successor, *words]
    if name in MODULES:
        module = importlib.import_module(f"a2d_tf.{MODULES[name]}")
        module.run([f"a2d {name}", *words])
    elif name in ("--help", "-h", "help"):
        print(overview())
    elif name == "--version":
        print(f"a2d_tf {a2d_tf.__version__}")
    elif name in REMOVED:
        print(f"error: a2d {name} was removed; {REMOVED[name]}", file=sys.stderr)
        sys.exit(1)
    else:
        hint = ""
        nearest = _nearest_commands(name)
        if nearest:
            hint = f"; did you mean {nearest[0]}?"
        print(
            f"error: a2d {name}: no such command{hint} (a2d lists all commands)",
            file=sys.stderr,
        )
        sys.exit(1)


def _nearest_commands(word: str) -> list[str]:
    """Return the names of commands that a wrong word may mean, the likeliest first."""
    if not word:
        return []
    begun = [name for name in MODULES if name.startswith(word)]
    return begun + difflib.get_close_matches(word, MODULES)


if __name__ == "__main__":
    run()
