"""The commands other than train, evaluate, export and predict.

Like those four, they import TensorFlow inside functions, so that a mistyped flag is
reported before the seconds that loading takes. `rounds` has the steps of `a2d start`.
"""
