"""The error of this package."""

from __future__ import annotations

from braintumor.errors import BrainTumorError


class DeidentificationError(BrainTumorError):
    """A study cannot be de-identified safely, or a key or vault is missing, open to others, locked or of another key."""

    exit_code, code, meaning = 80, "deidentification", "a study cannot be de-identified safely, or a key or vault is unusable"
