"""Records and predictions by Apache Beam, on any of its runners and file systems.

Of this folder only functions import Beam, which is an extra: `pip install .[beam]`.
"""
