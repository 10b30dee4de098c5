"""Views of predictions: pages, tables and plots."""
