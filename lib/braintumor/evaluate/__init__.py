"""How good masks and probabilities are: metrics with a policy for empty regions, calibration, intervals, report."""

from braintumor.evaluate.run import EvaluateOptions, Evaluation, evaluate_masks, evaluate_model

__all__ = ["EvaluateOptions", "Evaluation", "evaluate_masks", "evaluate_model"]
