"""A report as FHIR R4: made, checked, sent, read back; and the request it answers, read from the same server."""

from braintumor.fhir.bundle import bundle
from braintumor.fhir.check import validate
from braintumor.fhir.client import FhirClient
from braintumor.fhir.codes import code_system
from braintumor.fhir.order import RequestContext
from braintumor.fhir.parts import BASE_SYSTEM
from braintumor.fhir.receipt import Receipt, Taken

__all__ = [
    "BASE_SYSTEM",
    "FhirClient",
    "Receipt",
    "RequestContext",
    "Taken",
    "bundle",
    "code_system",
    "validate",
]
