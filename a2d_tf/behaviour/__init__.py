"""Behaviour in predictions: bouts, time budgets and plots; comparison with BORIS.

A bout is a period in which an individual does one thing. Coding is to note these
periods while watching a video, as with the tool BORIS.
"""
