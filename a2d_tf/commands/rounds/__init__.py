"""Rounds of a2d start: trained/ from annotations, tracks/ from given tracks."""
