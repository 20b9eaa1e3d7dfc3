"""The study store: one interface over a folder of DICOM files or a DICOMweb PACS."""

from braintumor.store.entries import LabelVersion, SeriesEntry, StudyEntry, is_uid, newest_human
from braintumor.store.folder import FolderClient
from braintumor.store.remote import Limits, Pacs
from braintumor.store.studystore import StudyStore, open_store

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
