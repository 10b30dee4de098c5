"""Score predictions by the protocol of the paper: evaluator, metrics, reports."""
