"""How good masks and probabilities are: metrics with a policy for empty regions, calibration, intervals, report."""
