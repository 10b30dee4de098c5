"""Suggested settings: their rules, and the machine and records that they follow."""
