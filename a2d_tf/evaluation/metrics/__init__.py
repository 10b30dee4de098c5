"""The metrics: a file for each, their base class, registry and tables.

A metric says what it needs, sees the frames of a split one by one, and then gives its
part of `metrics.json`. The evaluator, `a2d score`, printed tables and TensorBoard loop
over `registry.METRICS`.
"""
