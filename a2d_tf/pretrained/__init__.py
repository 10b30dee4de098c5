"""Public weights by name: what is published where, fetched once, imported, kept in a cache.

catalogue   the published files: address, size, hash, layout, licence
download    resumable, checked downloads of any file
cache       where the files are kept, and the way from a name to a file of imported weights
"""
