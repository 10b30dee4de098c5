"""The commands beside train, evaluate, export and predict; `tools/` starts them in a
clone.

Like those four, they import TensorFlow inside functions, so that a mistyped flag is
reported before the seconds that loading takes.
"""
