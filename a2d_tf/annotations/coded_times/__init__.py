"""Times coded in BORIS and other tables: read, and given to annotated individuals."""
