"""Labels of tracks that are given: rows of kept features, fits, videos left out."""
