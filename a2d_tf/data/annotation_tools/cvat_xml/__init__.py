"""What is in CVAT's XML: the document, its tasks, its shapes."""
