"""Tracking as DICOM: lesions and change as SEG, numbers as TID 1500, priors as Spatial Registration and registered image."""

from braintumor.track.dicom.writing import left_out, make_objects, write_objects

__all__ = ["left_out", "make_objects", "write_objects"]
