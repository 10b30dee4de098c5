"""Predict videos: read them, follow individuals, write pages; choose frames."""
