"""What predictions say of behaviour: bouts, time budgets, plots; BORIS."""
