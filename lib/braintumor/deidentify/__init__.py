"""De-identification for research export: DICOM studies without names and faces, and a locked way back."""

from braintumor.deidentify.burnt import find_text
from braintumor.deidentify.exporting import check_apart, deidentify
from braintumor.deidentify.face import FaceRegion, find_region
from braintumor.deidentify.keys import Key, create_key, load_key
from braintumor.deidentify.profile import DeidentifyOptions
from braintumor.deidentify.report import REPORT, DeidentificationReport, Proof
from braintumor.deidentify.vault import Originals, Person, Vault
from braintumor.deidentify.words import clean_words
from braintumor.domain import DeidentificationError

__all__ = [
    "REPORT",
    "DeidentificationError",
    "DeidentificationReport",
    "DeidentifyOptions",
    "FaceRegion",
    "Key",
    "Originals",
    "Person",
    "Proof",
    "Vault",
    "check_apart",
    "clean_words",
    "create_key",
    "deidentify",
    "find_region",
    "find_text",
    "load_key",
]
