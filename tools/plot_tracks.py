"""Run a2d_tf.commands.plot_tracks in a clone that is not installed."""

import clone

if __name__ == "__main__":
    clone.run("a2d_tf.commands.plot_tracks")
