"""Reports of an evaluation: tables, charts, pages, and the experiments of the paper's tables."""
