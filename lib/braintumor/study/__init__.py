"""Anything in -> `Study`: DICOM folder, zip or DICOMweb study, or NIfTI case; what is unsafe or unclear is refused by name."""

from braintumor.study.inspection import Inspection, inspect
from braintumor.study.nifti import find_sequences
from braintumor.study.reader import MINIMUM, read_study

__all__ = ["MINIMUM", "Inspection", "find_sequences", "inspect", "read_study"]
