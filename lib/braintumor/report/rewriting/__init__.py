"""Optional rewording and translation of a report by a language model on site; what no check accepted never gets in."""

from braintumor.report.rewriting.candidates import NEVER, SECTIONS, kept_because
from braintumor.report.rewriting.endpoint import EndpointModel
from braintumor.report.rewriting.local import TransformersModel
from braintumor.report.rewriting.model import LanguageModel, Message
from braintumor.report.rewriting.prompts import VARIANTS, Task, Variant
from braintumor.report.rewriting.stage import rewrite

__all__ = [
    "NEVER",
    "SECTIONS",
    "VARIANTS",
    "EndpointModel",
    "LanguageModel",
    "Message",
    "Task",
    "TransformersModel",
    "Variant",
    "kept_because",
    "rewrite",
]
