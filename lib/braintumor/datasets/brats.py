"""BraTS as downloaded, 2015 to 2024: a folder per case, HGG and LGG above them or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from braintumor.datasets.case import LabelledCase, Volume, patient_of
from braintumor.datasets.description import describe
from braintumor.datasets.meaning import BRATS_2023, BRATS_CLASSIC, SAY_WHAT, Meaning
from braintumor.domain import InputNotFoundError, UnusableImageError, files_below
from braintumor.study.index import raise_it
from braintumor.study.nifti import find_case, is_nifti, stem

_FILE = re.compile(r"^(?P<case>.+)[_-](?P<token>[A-Za-z0-9]+)$")
_MASK = "seg"
_COHORT = re.compile(r"^BraTS-(?P<cohort>[A-Za-z]+(-[A-Za-z]+)*)-\d+-\d+$", re.IGNORECASE)
_ADULT_COHORTS = ("GLI", "SSA", "MEN", "MET")
"""Cohorts with the values of `BRATS_2023`; paediatric and radiotherapy masks number theirs otherwise."""


def has(folder: Path) -> bool:
    """Whether any file is named like a BraTS mask."""
    return any(_token(path) == _MASK for path in _images(folder))


def find(folder: Path) -> Iterator[LabelledCase]:
    """Cases in the order of their folders.

    Raises
    ------
    InputNotFoundError
        If a case has no mask.
    AmbiguousSequenceError, MissingSequenceError
        If the sequences of a case are not clear.
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in _images(folder):
        found = _FILE.match(stem(path))
        if found:
            groups.setdefault((path.parent, found["case"]), []).append(path)
    described = describe(folder)
    named = described.meaning() if described and described.labels else None
    for (place, name), files in groups.items():
        masks = [path for path in files if _token(path) == _MASK]
        images = find_case((path for path in files if path not in masks), {}, raise_it)
        if not images.files and not masks:
            continue  # another kind of file
        if len(masks) != 1:
            raise InputNotFoundError(
                f"The case {name} has {len(masks)} masks",
                remedy=f"Name its mask {name}_seg.nii.gz (BraTS 2020 calls the one of case 355 W39_1998.09.19_Segm.nii), "
                "or move a case without mask elsewhere",
                path=place,
            )
        volumes = {sequence: Volume(path) for sequence, path in images.files.items()}
        yield LabelledCase(patient_of(name), name, volumes, masks[0], named or _meaning(name, masks[0]))


def _images(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if is_nifti(path)]


def _token(path: Path) -> str:
    found = _FILE.match(stem(path))
    return found["token"].lower() if found else ""


def _meaning(name: str, mask: Path) -> Meaning:
    """The published values of the edition that the name belongs to."""
    found = _COHORT.match(name)
    if found is None:
        return BRATS_CLASSIC
    if found["cohort"].upper() not in _ADULT_COHORTS:
        problem = f"The mask values of the cohort {found['cohort']} differ between years"
        raise UnusableImageError(problem, remedy=SAY_WHAT, path=mask)
    return BRATS_2023
