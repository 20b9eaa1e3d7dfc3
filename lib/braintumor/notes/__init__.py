"""What a patient's notes say: read, searched by topic, and quoted word for word, in the memory of one request."""

from braintumor.notes.options import ContextOptions, Limits
from braintumor.notes.summary import summarise

__all__ = ["ContextOptions", "Limits", "summarise"]
