"""What people read of an evaluation: tables, charts, pages, and the rows of the paper's tables."""
