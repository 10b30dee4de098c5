"""The paper's tables: rows, published figures, metrics, report, and their
reproduction.
"""
