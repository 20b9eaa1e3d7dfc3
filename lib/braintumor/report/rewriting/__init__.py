"""Optional rewording of a report by a language model on site; it neither sees nor writes a fact, these are locked."""

from braintumor.report.rewriting.candidates import NEVER, SECTIONS, kept_because
from braintumor.report.rewriting.endpoint import EndpointModel
from braintumor.report.rewriting.local import TransformersModel
from braintumor.report.rewriting.model import LanguageModel, Message
from braintumor.report.rewriting.prompts import VARIANTS
from braintumor.report.rewriting.stage import rewrite

__all__ = [
    "NEVER",
    "SECTIONS",
    "VARIANTS",
    "EndpointModel",
    "LanguageModel",
    "Message",
    "TransformersModel",
    "kept_because",
    "rewrite",
]
