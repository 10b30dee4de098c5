"""Make the mini A2D, a drawn data set in the layout of the real release.

a2d mini --output DIR [--videos 400] [--seed 0] [--workers 2]
"""

from __future__ import annotations

from a2d_tf.core.command import command_line
from a2d_tf.data.mini import mini_a2d

FLAGS = command_line.Register()
_OUTPUT = FLAGS.define_string("output", None, "Folder to create Release in.")
_VIDEOS = FLAGS.define_integer("videos", 400, "Number of clips.", lower_bound=2)
_SEED = FLAGS.define_integer("seed", 0, "Random seed.", lower_bound=0)
_WORKERS = FLAGS.define_integer(
    "workers",
    2,
    "Number of processes; the result does not depend on it.",
    lower_bound=1,
)


def main(argv: list[str]) -> None:
    """Draw the mini A2D, and print where it is."""
    command_line.require(argv, output=_OUTPUT.value)
    release = mini_a2d.make_release(
        _OUTPUT.value, _VIDEOS.value, _SEED.value, _WORKERS.value
    )
    print(f"{release} is ready")


run = command_line.command(main, FLAGS)
