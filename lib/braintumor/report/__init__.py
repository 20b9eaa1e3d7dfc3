"""Facts, what is said of them in each language, pictures, and one PDF that is read in a minute."""

from braintumor.report.document import dump_report, findings_sha256, load_report, read_report
from braintumor.report.draft import LANGUAGES, accession_of, draft, provenance_of
from braintumor.report.figures import Picture, key_images, overview
from braintumor.report.findings import gather_findings
from braintumor.report.language import write_text
from braintumor.report.pdf import render
from braintumor.report.statements import state

__all__ = [
    "LANGUAGES",
    "Picture",
    "accession_of",
    "draft",
    "dump_report",
    "findings_sha256",
    "gather_findings",
    "key_images",
    "load_report",
    "overview",
    "provenance_of",
    "read_report",
    "render",
    "state",
    "write_text",
]
