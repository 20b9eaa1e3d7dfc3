"""The study store: one interface over a folder of DICOM files or a DICOMweb PACS."""

from braintumor.archive.entries import LabelVersion, SeriesEntry, StudyEntry, is_uid, newest_human
from braintumor.archive.folder import FolderClient
from braintumor.archive.remote import Pacs, PacsTimeouts
from braintumor.archive.studystore import StudyStore, open_store

__all__ = [
    "FolderClient",
    "LabelVersion",
    "Pacs",
    "PacsTimeouts",
    "SeriesEntry",
    "StudyEntry",
    "StudyStore",
    "is_uid",
    "newest_human",
    "open_store",
]
