"""De-identification for research export: DICOM studies without names and faces, and a locked way back."""

from braintumor.errors import DeidentificationError
from braintumor.privacy.burnt import find_text
from braintumor.privacy.exporting import check_apart, deidentify
from braintumor.privacy.face import Region, find_region
from braintumor.privacy.keys import Key, create_key, load_key
from braintumor.privacy.profile import Options
from braintumor.privacy.report import REPORT, Proof, Report
from braintumor.privacy.vault import Originals, Person, Vault
from braintumor.privacy.words import clean_words

__all__ = [
    "REPORT",
    "DeidentificationError",
    "Key",
    "Options",
    "Originals",
    "Person",
    "Proof",
    "Region",
    "Report",
    "Vault",
    "check_apart",
    "clean_words",
    "create_key",
    "deidentify",
    "find_region",
    "find_text",
    "load_key",
]
