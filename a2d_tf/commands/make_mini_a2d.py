"""Make a mini A2D: a drawn benchmark in the exact layout of the real release.

python tools/make_mini_a2d.py --output DIR [--videos 400] [--seed 0] [--workers 2] [--native]
"""

from __future__ import annotations

from absl import flags

from a2d_tf.core import errors
from a2d_tf.data.mini import synthetic

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder to make Release in.")
flags.DEFINE_integer("videos", 400, "Number of clips.", lower_bound=2)
flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
flags.DEFINE_integer(
    "workers", 2, "Processes that draw; the result does not depend on them.", lower_bound=1
)
flags.DEFINE_bool("native", False, "Widths and the share of test clips as A2D has them.")


def main(argv):
    errors.require(argv, output=FLAGS.output)
    release = synthetic.make_release(
        FLAGS.output, FLAGS.videos, FLAGS.seed, FLAGS.workers, native=FLAGS.native
    )
    print(f"{release} is ready")


def run() -> None:
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
