"""Public weights: fetched by name, read in the layouts of their sources, put into a
network.
"""
