"""Sources of annotated videos: their protocol, the release of A2D, and checks."""
