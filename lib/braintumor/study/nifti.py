"""NIfTI cases named as BraTS, nnU-Net or BIDS name them -> the four sequences, on their own grids in LPS+."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from braintumor.domain import (
    LPS_FROM_RAS,
    Affine,
    AmbiguousSequenceError,
    CorruptFileError,
    Evidence,
    Flag,
    GeometryError,
    Grid,
    Image,
    InputNotFoundError,
    Instance,
    MRSequence,
    PatientMismatchError,
    Series,
    Severity,
    files_below,
)
from braintumor.study.index import DECODING_ERRORS, Refuse, raise_it
from braintumor.study.pixels import refuse_unusable
from braintumor.study.stack import refuse_small

SUFFIXES = (".nii", ".nii.gz")

_TOKENS = {
    **dict.fromkeys(("t1", "t1n", "t1w", "t1pre"), MRSequence.T1),
    **dict.fromkeys(("t1ce", "t1c", "t1gd", "t1post", "t1wce", "t1km"), MRSequence.T1CE),
    **dict.fromkeys(("t2", "t2w"), MRSequence.T2),
    **dict.fromkeys(("flair", "t2f", "t2flair", "t2wflair"), MRSequence.FLAIR),
}
_NNUNET_ORDER = (MRSequence.T1, MRSequence.T1CE, MRSequence.T2, MRSequence.FLAIR)
_BIDS = re.compile(
    r"^(?P<case>sub-[a-z0-9]+(?:_ses-[a-z0-9]+)?)(?P<entities>(?:_[a-z]+-[a-z0-9]+)*)_(?P<token>t1w|t2w|flair)$", re.I
)
_BRATS = re.compile(
    r"^(?:(?P<case>.+)[_-])?(?P<token>" + "|".join(sorted(_TOKENS, key=len, reverse=True)) + r")$", re.IGNORECASE
)
_NNUNET = re.compile(r"^(?P<case>.+)_000(?P<token>[0-3])$")


@dataclass(eq=False)
class NiftiCase:
    """The files of one case.

    Attributes
    ----------
    name
        The case's name as the files have it; empty if they are named by sequence only.
    files, reasons
        Path, and why it was taken, per sequence.
    unused
        File name -> reason.
    """

    name: str = ""
    files: dict[MRSequence, Path] = field(default_factory=dict)
    reasons: dict[MRSequence, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)


def find_sequences(folder: Path) -> Mapping[MRSequence, Path]:
    """Which file of a folder (searched recursively) is which sequence, by name alone.

    Understands BraTS 2015-2024 (``_t1``, ``_t1ce``, ``_t2``, ``_flair``; ``-t1n``, ``-t1c``, ``-t2w``, ``-t2f``), nnU-Net
    (``_0000`` to ``_0003``, by the channel names of ``dataset.json`` if it is near, else T1, T1ce, T2, FLAIR) and BIDS
    (``_T1w``, ``_ce-*_T1w``, ``_T2w``, ``_FLAIR``).

    Raises
    ------
    AmbiguousSequenceError
        If two files compete for one sequence.
    PatientMismatchError
        If the folder holds several cases.
    """
    return find_case(files_below(folder), {}, raise_it).files


def is_nifti(path: Path) -> bool:
    """By its name."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def find_case(files: Iterable[Path], overrides: Mapping[MRSequence, str], refuse: Refuse) -> NiftiCase:
    """As `find_sequences`, with the user's own choices (path, file name or stem) first, and problems given to `refuse`."""
    case, cases = NiftiCase(), dict[str, str]()
    images = [p for p in files if is_nifti(p)]
    images = _apply(overrides, images, case, refuse)
    rivals: dict[MRSequence, list[Path]] = {}
    for path in images:
        found = _recognise(path, case)
        if found is None:
            case.unused[path.name] = "its name is none that BraTS, nnU-Net or BIDS give to T1, T1ce, T2 or FLAIR"
        elif found[0] in overrides:
            case.unused[path.name] = f"{found[0].title} was named by the user"
        else:
            rivals.setdefault(found[0], []).append(path)
            cases.setdefault(found[1], path.name)
    if len(cases) > 1:
        names = list(cases.values())
        refuse(
            PatientMismatchError(
                f"the input holds {len(cases)} cases, for instance {names[0]} and {names[1]}",
                remedy="give one case: its own folder, or FOLDER/CASE where files share one folder",
            )
        )
        return case
    case.name = next(iter(cases), "")
    _settle(rivals, case, refuse)
    case.files = {s: case.files[s] for s in MRSequence if s in case.files}
    return case


def _settle(rivals: Mapping[MRSequence, list[Path]], case: NiftiCase, refuse: Refuse) -> None:
    """One file per sequence; names carry no more evidence, so two are a tie."""
    for sequence, paths in rivals.items():
        if len(paths) > 1:
            refuse(
                AmbiguousSequenceError(
                    f"{len(paths)} files are candidates for {sequence.title}: {', '.join(p.name for p in paths)}",
                    remedy=f"name the one to use with --{sequence.value} FILE",
                    path=paths[0].parent,
                )
            )
            case.unused |= {p.name: f"competes with another file for {sequence.title}" for p in paths}
        else:
            case.files[sequence], case.reasons[sequence] = paths[0], f"its name, {paths[0].name}"


def _apply(overrides: Mapping[MRSequence, str], images: list[Path], case: NiftiCase, refuse: Refuse) -> list[Path]:
    for sequence, wanted in overrides.items():
        named = [p for p in images if wanted in (str(p), p.name, stem(p)) or Path(wanted).expanduser() == p]
        if len(named) != 1:
            remedy = f"use one of: {', '.join(p.name for p in images) or 'none left'}"
            refuse(InputNotFoundError(f"--{sequence.value} {wanted} does not name one NIfTI file of the input", remedy=remedy))
            continue
        case.files[sequence], case.reasons[sequence] = named[0], "named by the user"
        images = [p for p in images if p not in named]
    return images


def _recognise(path: Path, case: NiftiCase) -> tuple[MRSequence, str] | None:
    """Sequence and case name of a file, or None."""
    name = stem(path)
    if bids := _BIDS.match(name):
        sequence = _TOKENS[bids["token"].lower()]
        enhanced = sequence is MRSequence.T1 and "_ce-" in bids["entities"].lower()
        return (MRSequence.T1CE if enhanced else sequence), bids["case"]
    if nnunet := _NNUNET.match(name):
        return _nnunet_channel(path, int(nnunet["token"]), case), nnunet["case"]
    if brats := _BRATS.match(name):
        return _TOKENS[brats["token"].lower()], brats["case"] or ""
    return None


def _nnunet_channel(path: Path, channel: int, case: NiftiCase) -> MRSequence:
    """By ``dataset.json`` of the data set, else by the order of nnU-Net's own BraTS conversions, with a flag."""
    for description in (path.parent / "dataset.json", path.parent.parent / "dataset.json"):
        try:
            content = json.loads(description.read_text())
            names = content.get("channel_names") or content.get("modality") or {}
            return _TOKENS[re.sub(r"[^a-z0-9]", "", str(names[str(channel)]).lower())]
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
    flag = Flag(
        "channel-order-assumed",
        Severity.WARNING,
        "Files are named by nnU-Net channel number and no dataset.json says what the channels are; "
        "0000 to 0003 were taken as T1, T1ce, T2, FLAIR.",
    )
    if flag not in case.flags:
        case.flags.append(flag)
    return _NNUNET_ORDER[channel]


def load(path: Path, evidence: Evidence) -> tuple[Series, tuple[Flag, ...]]:
    """One NIfTI file as a series, scaled by its slope and intercept, with its affine turned from RAS+ to LPS+.

    Raises
    ------
    CorruptFileError
        If it is truncated or no NIfTI.
    GeometryError
        If it is not three-dimensional, or neither sform nor qform is set: left and right would be a guess.
    UnusableImageError
        If it is too small, empty or not finite.
    """
    data = _read(path)
    instance = Instance(path.name, hashlib.sha256(data).hexdigest(), path)
    try:
        image = _parse(data)
        affine, flags = _affine(image, path)
        shape = _three_dimensional(image, path)
        refuse_small(shape, path.name)
        voxels = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged")).reshape(shape, order="F")
        grid = Grid(shape, LPS_FROM_RAS @ affine)
    except (ImageFileError, HeaderDataError, *DECODING_ERRORS) as error:
        raise CorruptFileError(
            f"{path.name} is truncated or not a NIfTI image", remedy="transfer or convert the file again", path=path
        ) from error
    refuse_unusable(voxels, path.name, path)
    attributes = {"Format": "NIfTI", "DataType": str(image.get_data_dtype()), "frame_of_reference_uid": ""}
    frames = tuple(range(1, shape[2] + 1))
    return Series(stem(path), Image(voxels, grid), (instance,), frames, attributes, evidence), flags


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptFileError(
            f"{path.name} cannot be read: {error.strerror}", remedy="check its permissions", path=path
        ) from error


def _parse(data: bytes) -> Any:
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    size = struct.unpack_from("<i", data)[0]
    nifti2 = 540 in (size, struct.unpack_from(">i", data)[0])
    return (nib.Nifti2Image if nifti2 else nib.Nifti1Image).from_bytes(data)


def _three_dimensional(image: Any, path: Path) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image.shape)
    if len(shape) < 3 or any(n > 1 for n in shape[3:]):
        raise GeometryError(
            f"{path.name} has {len(shape)} dimensions ({'x'.join(map(str, shape))}), not three",
            remedy="give one file per sequence; split a four-dimensional file first",
            path=path,
        )
    return shape[0], shape[1], shape[2]


def _affine(image: Any, path: Path) -> tuple[Affine, tuple[Flag, ...]]:
    """Voxel to RAS+ mm: sform, else qform (as nibabel and the NIfTI-1 standard advise); none is made up."""
    sform, scode = image.get_sform(coded=True)
    qform, qcode = image.get_qform(coded=True)
    if not scode and not qcode:
        raise GeometryError(
            f"{path.name} has neither sform nor qform, so left and right are unknown",
            remedy="convert the original DICOM again with a tool that writes the orientation, such as dcm2niix",
            path=path,
        )
    affine = np.asarray(sform if scode else qform, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise GeometryError(f"{path.name} has a degenerate affine", remedy="convert the original images again", path=path)
    if not (scode and qcode):
        return affine, ()
    corners = np.array(
        [[i, j, k, 1] for i in (0, image.shape[0]) for j in (0, image.shape[1]) for k in (0, image.shape[2])], float
    )
    apart = float(np.linalg.norm((corners @ (np.asarray(qform) - affine).T)[:, :3], axis=1).max())
    if apart <= 1.0:
        return affine, ()
    message = f"sform and qform of {path.name} disagree by up to {apart:.1f} mm; the sform was used."
    return affine, (Flag("nifti-affines-disagree", Severity.WARNING, message),)
