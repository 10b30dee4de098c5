"""The command `a2d`, also `python -m a2d_tf`: it starts the single commands."""

from __future__ import annotations

import difflib
import importlib
import sys

import a2d_tf

COMMANDS = {
    "Your own videos": {
        "start": ("commands.start", "go from annotations to a page of all videos"),
        "predict": ("predict", "segment a video, or a library of videos"),
        "next": ("commands.next", "choose the predicted frames to correct next"),
        "export-annotations": (
            "commands.export_annotations",
            "export to annotation tools",
        ),
        "plot-tracks": (
            "commands.plot_tracks",
            "plot time budgets, transitions, timelines",
        ),
        "score": (
            "commands.score",
            "score label maps, detections or bouts of any method",
        ),
        "browse": ("commands.browse", "show the frames of an evaluation, worst first"),
    },
    "Training and the paper": {
        "records": ("commands.records", "convert A2D or annotated videos to TFRecords"),
        "inspect": ("commands.inspect", "count, list and draw the contents of records"),
        "weights": (
            "commands.weights",
            "download pretrained weights, or import a file",
        ),
        "train": ("train", "train the network"),
        "evaluate": ("evaluate", "score a run on a split of the records"),
        "export": ("export", "export a run as a SavedModel, or pack it"),
        "reproduce": (
            "commands.reproduce",
            "train and score the rows of the paper's tables",
        ),
    },
    "Tools": {
        "suggest-config": ("commands.suggest_config", "suggest training settings"),
        "doctor": ("commands.doctor", "check this machine, estimate the training time"),
        "on-beam": ("commands.beam.on_beam", "build records or predict on Apache Beam"),
        "mini": ("commands.mini", "draw the mini A2D, a stand-in for A2D"),
    },
}
"""{group: {name: (module of this package, what it does)}}, in the order of use."""
MODULES: dict[str, str] = {}
"""{name: module of this package}."""
for _group in COMMANDS.values():
    for _name, (_module, _) in _group.items():
        MODULES[_name] = _module


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
        for name, (_, about) in group.items():
            lines.append(f"  {name:20}{about}")
    return "\n".join(lines)


def run() -> None:
    """Start the command that the first word of the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in FORMER:
        successor = FORMER[name]
        print(f"warning: a2d {name} is now: a2d {' '.join(successor)}", file=sys.stderr)
        sys.argv[1:2] = successor
        name = successor[0]
    if name in MODULES:
        sys.argv[:2] = [f"a2d {name}"]
        importlib.import_module(f"a2d_tf.{MODULES[name]}").run()
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


def _nearest_commands(word):
    """Return the names of commands that a wrong word may mean, the likeliest first."""
    if not word:
        return []
    begun = [name for name in MODULES if name.startswith(word)]
    return begun + difflib.get_close_matches(word, MODULES)


if __name__ == "__main__":
    run()
