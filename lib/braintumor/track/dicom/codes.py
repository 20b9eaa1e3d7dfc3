"""Coded terms of change over time: standard ones where the standard has them, else ours."""

from __future__ import annotations

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from braintumor.domain import Code, LesionState
from braintumor.export.common import PRODUCT
from braintumor.export.sr import SCHEME
from braintumor.track.change import NO_CHANGE
from braintumor.track.timeline import GROWTH, SHRINKAGE, UNCHANGED

CHANGE_CATEGORY = Code("309825002", "SCT", "Spatial and Relational Concept")
"""CID 7150. A place that is tumour at one visit only is no structure: where it shrank there may be healthy tissue now."""

CHANGE_CODES = {
    GROWTH: Code("TUMOUR-GROWTH", SCHEME, "Tumour now, none at the visit before"),
    SHRINKAGE: Code("TUMOUR-SHRINKAGE", SCHEME, "Tumour at the visit before, none now"),
    UNCHANGED: Code("TUMOUR-UNCHANGED", SCHEME, "Tumour at both visits"),
}
"""Segmented Property Type per value of the change map; CID 7159 names kinds of lesion, not their change."""

PERCENT = DicomCode("%", "UCUM", "percent")
CHANGE_ML = DicomCode("VOLUME-CHANGE", SCHEME, "Change of volume since the visit before")
CHANGE_PERCENT = DicomCode("VOLUME-CHANGE-PC", SCHEME, "Change of volume since the visit before, relative")
COURSE = DicomCode("COURSE", SCHEME, "Course since the visit before")

COURSES = {
    LesionState.NEW: DicomCode("NEW", SCHEME, "New"),
    LesionState.RETURNED: DicomCode("RETURNED", SCHEME, "There again after it was gone"),
    LesionState.GROWN: codes.SCT.IncreaseInSize,
    LesionState.SHRUNK: codes.SCT.DecreaseInSize,
    LesionState.STABLE: DicomCode("NO-CHANGE", SCHEME, "No measurable change"),
    LesionState.SPLIT: DicomCode("SPLIT", SCHEME, "Split, or a piece of a lesion that split"),
    LesionState.MERGED: DicomCode("MERGED", SCHEME, "Merged with another lesion"),
    LesionState.RESOLVED: DicomCode("RESOLVED", SCHEME, "Gone"),
}
"""Every state but `LesionState.PRESENT`, which compares with nothing."""

WORDS = {"grown": LesionState.GROWN, "shrunk": LesionState.SHRUNK, NO_CHANGE: LesionState.STABLE}
"""What `braintumor.track.change.Change.words` says, as a state."""

OUR_SCHEME = CodingSchemeIdentificationItem(SCHEME, name=f"{PRODUCT} private codes")
