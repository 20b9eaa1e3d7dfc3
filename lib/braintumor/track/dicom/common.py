"""What the DICOM objects of one comparison share: their identity, the current study's header, and references to images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from braintumor.domain import MRSequence, Series, Study, VisitAlignment
from braintumor.export.common import ResultContext, read_header, references
from braintumor.track.table import as_dict
from braintumor.track.timeline import Timeline
from braintumor.track.visits import Visit

_SERIES_NUMBERS = {"lesions": 1041, "change": 1042, "report": 1043, "registration": 1044, "prior": 1050}
"""After those of a single study's results; ``prior-2`` has 1052."""


@dataclass(frozen=True, slots=True)
class TrackContext(ResultContext):
    """Identity, equipment and time of everything one comparison writes; kinds are the keys of `_SERIES_NUMBERS`."""

    @classmethod
    def between(cls, timeline: Timeline, created: datetime) -> TrackContext:
        """The context of a comparison: its digest covers every visit's images and mask, and all that was found."""
        parts = [ResultContext.of(visit.study, visit.segmentation, created).digest for visit in timeline.visits]
        digest = hashlib.sha256(json.dumps([*parts, as_dict(timeline)], sort_keys=True).encode())
        digest.update(timeline.change_map.tobytes())
        return cls(digest.hexdigest(), created)

    def series_number(self, kind: str, sequence: MRSequence | None = None) -> int:
        """Series Number for a kind, or for a numbered one such as ``prior-2``."""
        name, _, number = kind.partition("-")
        return _SERIES_NUMBERS[name] + int(number or 0)


@dataclass(frozen=True, eq=False)
class Prior:
    """An earlier visit whose images the current study may refer to and show.

    Attributes
    ----------
    number
        Of the visit, the oldest = 1, as in file names.
    """

    number: int
    visit: Visit
    alignment: VisitAlignment

    @property
    def words(self) -> str:
        """When it was: a date, or that none is known."""
        return self.visit.date.isoformat() if self.visit.date else "an earlier date"


def reference_header(study: Study, context: ResultContext) -> Dataset:
    """Header of the study's reference series with a frame of reference, the same one that the study's own SEG has.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        See `braintumor.export.common.read_header`.
    """
    header = read_header(study, study.reference)
    if not header.get("FrameOfReferenceUID"):  # lost by some anonymisers
        header.FrameOfReferenceUID = context.tracking(study.reference.uid, "frame-of-reference")[1]
    return header


def series_reference(series: Series, items: Iterable[Dataset]) -> Dataset:
    """An item of Referenced Series Sequence (PS3.3 table 10-4)."""
    item = Dataset()
    item.SeriesInstanceUID, item.ReferencedInstanceSequence = series.uid, list(items)
    return item


def other_study(study: Study, series: Series, items: Iterable[Dataset]) -> Dataset:
    """An item of Studies Containing Other Referenced Instances Sequence (PS3.3 C.12.2)."""
    item = Dataset()
    item.StudyInstanceUID, item.ReferencedSeriesSequence = study.uid, [series_reference(series, items)]
    return item


def evidence(study: Study, series: Series, header: Dataset) -> Sequence[Dataset]:
    """Every instance of a series as far as an SR document identifies its evidence (PS3.3 C.17.2)."""
    found = []
    for reference in references(series, header.SOPClassUID):
        instance = Dataset()
        instance.StudyInstanceUID, instance.SeriesInstanceUID = study.uid, series.uid
        instance.SOPClassUID, instance.SOPInstanceUID = reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID
        found.append(instance)
    return found
