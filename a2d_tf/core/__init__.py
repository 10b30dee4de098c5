"""Settings, labels, errors, files, command lines and devices, which every other room
uses.
"""
