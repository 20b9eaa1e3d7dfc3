"""A brain MR study in; segmentation, measurements and report out."""

from ._version import __version__
from .batch import BatchEntry, run_many
from .domain import (
    BrainTumorError,
    Case,
    Findings,
    Flag,
    Grid,
    Measurements,
    MRSequence,
    Region,
    Results,
    Segmentation,
    Study,
)
from .evaluate import evaluate_masks
from .measure import measure_case
from .pipeline import RunOptions, run, track_visits
from .preprocess import prepare_case
from .segment import load_engine, segment_case
from .study import read_study
from .track import TrackOptions

__all__ = [
    "BatchEntry",
    "BrainTumorError",
    "Case",
    "Findings",
    "Flag",
    "Grid",
    "MRSequence",
    "Measurements",
    "Region",
    "Results",
    "RunOptions",
    "Segmentation",
    "Study",
    "TrackOptions",
    "__version__",
    "evaluate_masks",
    "load_engine",
    "measure_case",
    "prepare_case",
    "read_study",
    "run",
    "run_many",
    "segment_case",
    "track_visits",
]
