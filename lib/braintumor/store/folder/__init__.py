"""A folder of DICOM files behind the interface of a DICOMweb client."""

from braintumor.store.folder.client import FolderClient

__all__ = ["FolderClient"]
