"""Writers of tracks as annotation tools import them, a file for each format."""
