"""Readers: one module for each format, from a file's content to a `document.Document`."""
