"""The commands other than train, evaluate, export and predict: a file for each.

Folders hold what a command is made of: `rounds/` the stages of `a2d start`, `scoring/`
the methods of `a2d score`, `beam/` the work of `a2d on-beam`, and `flags/` flags that
several commands share. Commands import TensorFlow inside functions, so that a mistyped
flag is reported before the seconds that loading takes.
"""
