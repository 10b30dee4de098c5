"""Public weights: fetched by name, read in their layouts, put into a network."""
