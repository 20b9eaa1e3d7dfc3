"""The study store: one interface over a folder of DICOM files or a DICOMweb PACS."""

from braintumor.archive.entries import LabelVersion, SeriesEntry, StudyEntry, is_uid, newest_human
from braintumor.archive.folder import FolderClient
from braintumor.archive.remote import Limits, Pacs
from braintumor.archive.studystore import StudyStore, open_store

__all__ = [
    "FolderClient",
    "LabelVersion",
    "Limits",
    "Pacs",
    "SeriesEntry",
    "StudyEntry",
    "StudyStore",
    "is_uid",
    "newest_human",
    "open_store",
]
