"""A tumour over several visits: aligned, lesions followed, change in mL with its error, RANO 2.0 as a measurement aid."""

from braintumor.track.facts import comparison
from braintumor.track.rano import Assessment, Category, Clinical, Criteria, Measure, assess
from braintumor.track.register import Scan, align_visits
from braintumor.track.stage import TIMELINE, TrackOptions, VisitNotes, drawn, refuse_early, write_timeline
from braintumor.track.table import as_dict, known_uids
from braintumor.track.timeline import Event, Timeline, build, compare
from braintumor.track.visits import Visit, check_different, check_patients

__all__ = [
    "TIMELINE",
    "Assessment",
    "Category",
    "Clinical",
    "Criteria",
    "Event",
    "Measure",
    "Scan",
    "Timeline",
    "TrackOptions",
    "Visit",
    "VisitNotes",
    "align_visits",
    "as_dict",
    "assess",
    "build",
    "check_different",
    "check_patients",
    "compare",
    "comparison",
    "drawn",
    "known_uids",
    "refuse_early",
    "write_timeline",
]
