"""Whether reworded sentences still say exactly what the findings say: a closed vocabulary per language, one algorithm."""

from braintumor.report.verify.problems import Kind, Problem
from braintumor.report.verify.sentence import check
from braintumor.report.verify.whole import agrees_back, check_report, check_section

__all__ = ["Kind", "Problem", "agrees_back", "check", "check_report", "check_section"]
