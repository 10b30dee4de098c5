"""Run a2d_tf.commands.next_frames in a clone that is not installed."""

import clone

if __name__ == "__main__":
    clone.run("a2d_tf.commands.next_frames")
