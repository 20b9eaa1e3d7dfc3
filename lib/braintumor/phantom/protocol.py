"""How three vendors label and run the four brain sequences: the acquisition attributes a scanner of theirs would write.

The figures are typical clinical values at 1.5 T and 3 T, in the notation each vendor uses in DICOM MR headers (PS3.3 C.8.3.1).
They are invented for synthetic series, never measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from braintumor.domain import MRSequence


class Vendor(StrEnum):
    """Whose header habits a written series follows."""

    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"


@dataclass(frozen=True, slots=True)
class Scanner:
    """The equipment of one vendor (PS3.3 C.7.5.1)."""

    manufacturer: str
    model: str
    software: str
    station: str
    field_tesla: float
    frequency_mhz: float
    coil: str


@dataclass(frozen=True, slots=True)
class Protocol:
    """One pulse sequence as a vendor's header shows it (PS3.3 C.8.3.1).

    Attributes
    ----------
    description
        Series Description and Protocol Name.
    dimension
        MR Acquisition Type, ``2D`` or ``3D``.
    scanning, variant, options
        Scanning Sequence, Sequence Variant and Scan Options, several values separated by a backslash.
    repetition_ms, echo_ms, inversion_ms
        TR, TE and TI; `inversion_ms` None where the vendor writes none.
    image_type
        Image Type from its third value on.
    sequence_name
        Sequence Name; empty where the vendor writes none.
    agent
        Contrast/Bolus Agent; empty without contrast.
    """

    description: str
    dimension: str
    scanning: str
    variant: str
    options: str
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None
    flip_deg: float
    train: int
    image_type: str
    sequence_name: str = ""
    agent: str = ""


SCANNERS: dict[Vendor, Scanner] = {
    Vendor.SIEMENS: Scanner("SIEMENS", "Skyra", "syngo MR E11", "MRC40562", 3.0, 123.25, "Head_20"),
    Vendor.GE: Scanner("GE MEDICAL SYSTEMS", "SIGNA HDxt", "15\\LX\\MR Software release:15.0", "MRS1", 1.5, 63.86, "8HRBRAIN"),
    Vendor.PHILIPS: Scanner("Philips Medical Systems", "Achieva", "5.1.7\\5.1.7.2", "ACHIEVA1", 3.0, 127.78, "SENSE-Head-8"),
}

# fmt: off
PROTOCOLS: dict[tuple[Vendor, MRSequence], Protocol] = {
    (Vendor.SIEMENS, MRSequence.T1): Protocol(
        "t1_se_tra", "2D", "SE", "SP", "", 550, 8.7, None, 90, 1, "M\\ND\\NORM", "*se2d1"),
    (Vendor.SIEMENS, MRSequence.T1CE): Protocol(
        "t1_mprage_iso_KM", "3D", "GR\\IR", "SP\\MP", "IR\\PFP", 2200, 2.67, 900, 8, 1,
        "M\\ND\\NORM", "*tfl3d1_16ns", "Gadovist"),
    (Vendor.SIEMENS, MRSequence.T2): Protocol(
        "t2_tse_tra", "2D", "SE", "SK\\SP\\OSP", "PFP", 5000, 99, None, 150, 15, "M\\ND\\NORM", "*tse2d1_15"),
    (Vendor.SIEMENS, MRSequence.FLAIR): Protocol(
        "t2_tirm_tra_dark-fluid", "2D", "SE\\IR", "SK\\SP\\MP\\OSP", "IR\\PFP", 9000, 94, 2500, 150, 17,
        "M\\ND\\NORM", "*tir2d1_17"),
    (Vendor.GE, MRSequence.T1): Protocol(
        "Ax T1", "2D", "SE", "NONE", "NPW", 600, 14, None, 90, 1, "OTHER"),
    (Vendor.GE, MRSequence.T1CE): Protocol(
        "Ax BRAVO +C", "3D", "GR", "SS\\SP\\SK", "FAST_GEMS\\EDR_GEMS", 8.2, 3.2, None, 12, 1, "OTHER", "", "MULTIHANCE"),
    (Vendor.GE, MRSequence.T2): Protocol(
        "Ax T2 FRFSE", "2D", "SE", "SK", "FAST_GEMS\\NPW\\TRF_GEMS", 4500, 102, None, 90, 18, "OTHER"),
    (Vendor.GE, MRSequence.FLAIR): Protocol(
        "Ax T2 FLAIR", "2D", "SE\\IR", "SK", "FAST_GEMS\\NPW\\IR_GEMS", 9502, 125, 2250, 90, 1, "OTHER"),
    (Vendor.PHILIPS, MRSequence.T1): Protocol(
        "T1W_SE", "2D", "SE", "SP", "OTHER", 560, 13, None, 70, 1, "M_SE\\M\\SE", "SE"),
    (Vendor.PHILIPS, MRSequence.T1CE): Protocol(
        "T1W_3D_TFE GD", "3D", "GR", "MP", "OTHER", 8.1, 3.7, None, 8, 204, "M_FFE\\M\\FFE", "T1TFE", "DOTAREM"),
    (Vendor.PHILIPS, MRSequence.T2): Protocol(
        "T2W_TSE", "2D", "SE", "SK", "OTHER", 3000, 80, None, 90, 15, "M_SE\\M\\SE", "TSE"),
    (Vendor.PHILIPS, MRSequence.FLAIR): Protocol(
        "FLAIR_longTR", "2D", "IR", "SK", "OTHER", 11000, 125, 2800, 90, 27, "M_IR\\M\\IR", "TIR"),
}
# fmt: on
