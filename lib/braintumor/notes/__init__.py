"""What a patient's notes say: read, searched by topic, and quoted word for word, in the memory of one request."""

from braintumor.notes.reading import Limits
from braintumor.notes.summary import ContextOptions, summarise

__all__ = ["ContextOptions", "Limits", "summarise"]
