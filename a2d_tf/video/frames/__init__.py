"""A video's frames, one after the other: read, made into clips, answered, followed."""
