"""Provenance that every written report repeats: which model, which inputs, which software, when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from braintumor import __version__
from braintumor.nouns import Segmentation, Study


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Where a result comes from; equal facts and equal inputs give equal files, byte for byte.

    Attributes
    ----------
    created
        When the run was made, as the manifest says it; the only date that written files carry.
    software_version
        Of this package.
    model, model_version, weights_checksum, engine
        Author of the mask; checksum (SHA-256 of the weights) and engine are empty for a person.
    input_digest
        SHA-256 over the sorted SHA-256 of all input files used.
    """

    created: datetime
    software_version: str
    model: str
    model_version: str
    weights_checksum: str
    engine: str
    input_digest: str

    @classmethod
    def of(cls, study: Study, segmentation: Segmentation, created: datetime) -> ReportFacts:
        """The facts of one run of the installed software."""
        hashes = sorted(instance.sha256 for series in study.series.values() for instance in series.instances)
        author = segmentation.author
        return cls(
            created=created,
            software_version=__version__,
            model=author.name,
            model_version=author.version,
            weights_checksum=author.checksum,
            engine=author.engine,
            input_digest=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        )
