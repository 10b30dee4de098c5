"""Run a2d_tf.commands.leave_one_out in a clone that is not installed."""

import clone

if __name__ == "__main__":
    clone.run("a2d_tf.commands.leave_one_out")
