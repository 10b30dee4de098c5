"""What is in a folder of records, and how anchors and input scales fit it."""
