"""Libraries of videos: their predictions, kept tracks and features, tables and page."""
