"""Statistics of a folder of records: contents, recall of anchors, scale of the inputs."""
