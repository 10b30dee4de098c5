"""Conversion of annotated videos to records: clips, shards, publication."""
