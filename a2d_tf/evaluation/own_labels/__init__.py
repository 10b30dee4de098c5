"""Scores of a user's own labels: objects and coded seconds; folds and rounds.

Coded seconds are those for which somebody coded what an individual does, as in BORIS. A
fold is a part of the videos that is left out in turn. A round is what one `a2d start`
makes from its annotations; a later one starts with the weights of an earlier one.
"""
