"""What an export did: counts, reasons and proofs, and never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from braintumor import __version__
from braintumor.deidentify import profile
from braintumor.deidentify.header import HeaderChanges
from braintumor.deidentify.profile import DeidentifyOptions

REPORT = "deidentification.json"


@dataclass
class Proof:
    """What happened to the pixels of one series.

    Attributes
    ----------
    uid, pseudonym
        New Series Instance UID, and whose it is.
    face
        ``removed``, ``no face`` (nothing but background was there, as in skull-stripped images) or ``not asked``.
    brain_ml
        Volume of the brain's outline; None where the face was not looked for.
    before, after
        SHA-256 of the stored values within the margin around the brain: of the original, and of the file as written.
    head_voxels, removed_voxels
        Voxels that are not background below the plane and away from the brain, and those of them that are background now.
    text_slices, text_pixels
        Slices with text beside the head, and pixels that were blanked for it.
    """

    uid: str
    pseudonym: str
    face: str = "not asked"
    brain_ml: float | None = None
    before: str = ""
    after: str = ""
    slices: int = 0
    head_voxels: int = 0
    removed_voxels: int = 0
    text_slices: int = 0
    text_pixels: int = 0

    @property
    def untouched(self) -> bool | None:
        """Whether the brain is bit for bit as it was; None where that was not measured."""
        return self.before == self.after if self.before and self.after else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "series_uid": self.uid,
            "pseudonym": self.pseudonym,
            "slices": self.slices,
            "face": self.face,
            "brain_ml": None if self.brain_ml is None else round(self.brain_ml, 1),
            "brain_sha256_before": self.before or None,
            "brain_sha256_after": self.after or None,
            "brain_untouched": self.untouched,
            "face_voxels": self.head_voxels,
            "face_voxels_removed": self.removed_voxels,
            "text_slices": self.text_slices,
            "text_pixels_blanked": self.text_pixels,
        }


@dataclass(frozen=True, slots=True)
class Excluded:
    """An object that was not exported, under its new UID, and why."""

    uid: str
    kind: str
    reason: str


@dataclass
class DeidentificationReport:
    """All of it.

    Attributes
    ----------
    studies
        Pseudonym -> new Study Instance UIDs.
    written
        Number of objects by kind.
    not_dicom, copies
        Files that are no DICOM objects, or exact copies of others; left out.
    folder
        Where everything is; None after a dry run.
    """

    options: DeidentifyOptions
    studies: dict[str, list[str]] = field(default_factory=dict)
    written: Counter[str] = field(default_factory=Counter)
    proofs: dict[str, Proof] = field(default_factory=dict)
    excluded: list[Excluded] = field(default_factory=list)
    ledger: HeaderChanges = field(default_factory=HeaderChanges)
    not_dicom: int = 0
    copies: int = 0
    folder: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready content of `REPORT`."""
        return {
            "software": f"braintumor {__version__}",
            "profile": profile.source(),
            "methods": [{"code": c, "scheme": "DCM", "meaning": m} for c, m in methods(self.options)],
            "margin_mm": self.options.margin_mm,
            "studies": self.studies,
            "written": dict(self.written),
            "excluded": [{"uid": e.uid, "kind": e.kind, "reason": e.reason} for e in self.excluded],
            "files_not_dicom": self.not_dicom,
            "files_copies": self.copies,
            "pixels": [proof.as_dict() for proof in self.proofs.values()],
            "attributes": {k: dict(v) for k, v in sorted(self.ledger.attributes.items())},
            "private_attributes_removed": dict(self.ledger.private),
        }


def methods(options: DeidentifyOptions) -> list[tuple[str, str]]:
    """Codes and meanings of profile and options in force (PS3.16 CID 7050)."""
    off: Mapping[str, bool] = {
        "characteristics": options.characteristics,
        "device": options.device,
        "face": options.deface,
    }
    return [entry for name, entry in profile.CODES.items() if off.get(name, True)]
