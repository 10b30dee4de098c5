"""The commands beside train, evaluate, export and predict; `tools/` starts them in a clone.

Like those four, they import TensorFlow inside functions: it takes seconds, for which a mistyped
flag should not wait.
"""
