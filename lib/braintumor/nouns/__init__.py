"""The vocabulary: Study, Series, Case, Segmentation, Measurements, Findings, Results; each immutable, defined here only.

A study goes in, results come out, and every stage is a function from one of these nouns to the next. What a stage was
unsure of travels along as `Flag`, so nothing clinical is decided silently.
"""

from braintumor.nouns.case import Alignment, Author, Case, Segmentation
from braintumor.nouns.result import Diameters, Finding, Findings, Lesion, Measurements, RegionMeasurement, Results
from braintumor.nouns.study import (
    REFERENCE_ORDER,
    Evidence,
    Flag,
    Image,
    Instance,
    Patient,
    Sequence,
    Series,
    Severity,
    Study,
    Voxels,
    read_only,
)
from braintumor.nouns.track import Appearance, Estimate, LesionState, Track, VisitAlignment

__all__ = [
    "REFERENCE_ORDER",
    "Alignment",
    "Appearance",
    "Author",
    "Case",
    "Diameters",
    "Estimate",
    "Evidence",
    "Finding",
    "Findings",
    "Flag",
    "Image",
    "Instance",
    "Lesion",
    "LesionState",
    "Measurements",
    "Patient",
    "RegionMeasurement",
    "Results",
    "Segmentation",
    "Sequence",
    "Series",
    "Severity",
    "Study",
    "Track",
    "VisitAlignment",
    "Voxels",
    "read_only",
]
