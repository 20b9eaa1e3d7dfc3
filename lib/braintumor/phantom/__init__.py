"""Test and demo studies with known truth: synthetic gliomas in real anatomy, and any volume as a proper DICOM MR series."""

from braintumor.phantom.dicom import StudyHeader, series_uid, study_header, uid_from, write_series
from braintumor.phantom.layout import Layout, clinical_layouts, rigid_motion, scan_grid
from braintumor.phantom.planes import Awkward
from braintumor.phantom.protocol import Vendor
from braintumor.phantom.to_dicom import case_to_dicom
from braintumor.phantom.visit import (
    PhantomOptions,
    PhantomVisit,
    make,
    render,
    truth_on,
    write_dicom,
    write_nifti,
)

__all__ = [
    "Awkward",
    "Layout",
    "PhantomOptions",
    "PhantomVisit",
    "StudyHeader",
    "Vendor",
    "case_to_dicom",
    "clinical_layouts",
    "make",
    "render",
    "rigid_motion",
    "scan_grid",
    "series_uid",
    "study_header",
    "truth_on",
    "uid_from",
    "write_dicom",
    "write_nifti",
    "write_series",
]
