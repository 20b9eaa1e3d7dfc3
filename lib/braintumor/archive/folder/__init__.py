"""A folder of DICOM files behind the interface of a DICOMweb client."""

from braintumor.archive.folder.client import FolderClient

__all__ = ["FolderClient"]
