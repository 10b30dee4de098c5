"""The paper's tables: their rows, published figures, reproduction and report."""
