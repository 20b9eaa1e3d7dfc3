"""The stage that writes: DICOM SEG, SR, SC and PDF, NIfTI, surfaces and the manifest."""

from braintumor.export.seg import SegKind, read_seg
from braintumor.export.writing import WriteOptions, write_results

__all__ = ["SegKind", "WriteOptions", "read_seg", "write_results"]
