"""Records and predictions by Apache Beam, on any of its runners and file systems.

Only functions import Beam, since it is an extra: `pip install .[beam]`.
"""
