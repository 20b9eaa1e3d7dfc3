"""Measurements in words, pictures and one PDF that is read in a minute."""

from braintumor.report.facts import ReportFacts
from braintumor.report.figures import Picture, key_images, overview
from braintumor.report.findings import DISCLAIMER, find
from braintumor.report.pdf import render

__all__ = ["DISCLAIMER", "Picture", "ReportFacts", "find", "key_images", "overview", "render"]
