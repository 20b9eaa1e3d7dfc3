"""BIDS: sub-*/[ses-*/]anat, with masks and their label tables in derivatives."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from braintumor.datasets.case import LabelledCase, Volume
from braintumor.datasets.meaning import Meaning, from_names
from braintumor.domain import InputNotFoundError, UnusableImageError, files_below
from braintumor.study.index import raise_it
from braintumor.study.nifti import find_case, is_nifti, stem

_MASK = re.compile(r"^(?P<case>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)(?:_[a-z]+-[A-Za-z0-9]+)*_dseg$")


def has(folder: Path) -> bool:
    """Whether it has subjects."""
    return any(path.is_dir() for path in folder.glob("sub-*"))


def find(folder: Path) -> Iterator[LabelledCase]:
    """Every visit that has one ``*_dseg.nii.gz`` below ``derivatives``; visits without are not labelled and are left out.

    The values are named by the mask's own ``_dseg.tsv``, else by a ``dseg.tsv`` in a folder above it (BIDS 1.10, 'Common
    file-level metadata fields' and inheritance principle).

    Raises
    ------
    InputNotFoundError
        If no visit is labelled, one has several masks, or nothing says what the values are.
    """
    masks: dict[str, list[Path]] = {}
    for path in files_below(folder / "derivatives"):
        found = _MASK.match(stem(path))
        if found and is_nifti(path):
            masks.setdefault(found["case"], []).append(path)
    if not masks:
        raise InputNotFoundError(
            "No mask below derivatives", remedy="Put it there as sub-X[_ses-Y]_dseg.nii.gz with a dseg.tsv", path=folder
        )
    for anat in sorted(path for path in folder.glob("sub-*/**/anat") if path.is_dir()):
        name = "_".join(part for part in anat.relative_to(folder).parts[:-1])
        found_masks = masks.pop(name, [])
        if len(found_masks) > 1:
            raise InputNotFoundError(
                f"Visit {name} has {len(found_masks)} masks, for instance {found_masks[0].name} and {found_masks[1].name}",
                remedy="Keep one mask for each visit",
                path=folder,
            )
        if found_masks:
            images = find_case((p for p in sorted(anat.iterdir()) if is_nifti(p)), {}, raise_it)
            volumes = {sequence: Volume(path) for sequence, path in images.files.items()}
            patient = anat.relative_to(folder).parts[0]
            yield LabelledCase(patient, name, volumes, found_masks[0], _meaning(found_masks[0], folder))
    if masks:
        raise InputNotFoundError(
            f"The mask {next(iter(masks.values()))[0].name} belongs to no images", remedy="Add sub-*/[ses-*/]anat", path=folder
        )


def _meaning(mask: Path, folder: Path) -> Meaning:
    own = mask.with_name(f"{stem(mask)}.tsv")
    above = (parent / "dseg.tsv" for parent in mask.parents if parent == folder or folder in parent.parents)
    table = next((path for path in (own, *above) if path.is_file()), None)
    if table is None:
        raise InputNotFoundError(
            "Nothing says what the values of the mask are",
            remedy="Add dseg.tsv with the columns 'index' and 'name', for instance 1 necrotic core, 2 edema, 4 enhancing tumor",
            path=mask,
        )
    try:
        with table.open(newline="", encoding="utf-8") as opened:
            rows = csv.DictReader(opened, delimiter="\t")
            names = {row["index"]: row["name"] for row in rows} if {"index", "name"} <= set(rows.fieldnames or ()) else {}
    except (OSError, ValueError, csv.Error) as error:
        raise UnusableImageError(
            "The label table cannot be read", remedy="It needs the columns 'index' and 'name'", path=table
        ) from error
    return from_names(names, table)
