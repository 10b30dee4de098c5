"""Reports of an evaluation: tables, charts, pages."""
