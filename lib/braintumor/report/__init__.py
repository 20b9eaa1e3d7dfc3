"""Facts, what is said of them in each language, pictures, and one PDF that is read in a minute."""

from braintumor.report.document import dump, findings_sha256, load, read
from braintumor.report.draft import LANGUAGES, accession_of, draft, provenance_of
from braintumor.report.figures import Picture, key_images, overview
from braintumor.report.findings import find
from braintumor.report.language import write
from braintumor.report.pdf import render
from braintumor.report.statements import state

__all__ = [
    "LANGUAGES",
    "Picture",
    "accession_of",
    "draft",
    "dump",
    "find",
    "findings_sha256",
    "key_images",
    "load",
    "overview",
    "provenance_of",
    "read",
    "render",
    "state",
    "write",
]
