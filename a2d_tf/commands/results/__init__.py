"""Results: pages, plots and scores of evaluations and predictions; files for annotation tools."""
