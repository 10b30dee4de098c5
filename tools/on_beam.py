"""Run a2d_tf.commands.on_beam in a clone that is not installed."""

import clone

if __name__ == "__main__":
    clone.run(__file__)
