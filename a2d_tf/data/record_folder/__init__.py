"""A folder of records: its manifest, its records one by one, their statistics."""
