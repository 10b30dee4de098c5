"""From proposed RoIs to labelled instances: suppression, labels, pairs."""
