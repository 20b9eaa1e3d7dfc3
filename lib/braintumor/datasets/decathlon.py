"""MSD Task01_BrainTumour and nnU-Net's raw layout: imagesTr, labelsTr and a dataset.json that names channels and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from braintumor.datasets.case import LabelledCase, Volume, patient_of
from braintumor.datasets.description import Description, describe
from braintumor.domain import InputNotFoundError, MRSequence
from braintumor.study.nifti import is_nifti, stem

IMAGES, LABELS = "imagesTr", "labelsTr"
_CHANNEL_FILE = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


def has(folder: Path) -> bool:
    """Whether it has both folders."""
    return (folder / IMAGES).is_dir() and (folder / LABELS).is_dir()


def find(folder: Path) -> Iterator[LabelledCase]:
    """Cases in the order of their masks' names; images without a mask are not labelled cases and are left out.

    Raises
    ------
    InputNotFoundError
        If there is no dataset.json, or images of a mask are missing.
    MissingSequenceError, UnusableImageError
        If it names a channel or a label that is not known.
    """
    description = describe(folder)
    if description is None:
        raise InputNotFoundError(
            "A data set with imagesTr and labelsTr needs a dataset.json",
            remedy="Copy it from the source of the data; it says which channel is which sequence and what the labels are",
            path=folder,
        )
    sequences, meaning = description.sequences(), description.meaning()
    images = _by_case(folder / IMAGES)
    for mask in _files(folder / LABELS):
        name = stem(mask)
        volumes = _volumes(images.get(name, {}), sequences, name, description)
        yield LabelledCase(patient_of(name), name, volumes, mask, meaning)


def _files(folder: Path) -> list[Path]:
    # MSD's archives carry macOS's hidden twins, ._BRATS_001.nii.gz.
    return [path for path in sorted(folder.iterdir()) if is_nifti(path) and not path.name.startswith(".")]


def _by_case(folder: Path) -> dict[str, dict[int | None, Path]]:
    """Case name -> its files by channel number; None for one file that holds all channels (MSD)."""
    found: dict[str, dict[int | None, Path]] = {}
    for path in _files(folder):
        one = _CHANNEL_FILE.match(stem(path))
        name, channel = (one["case"], int(one["channel"])) if one else (stem(path), None)
        found.setdefault(name, {})[channel] = path
    return found


def _volumes(
    files: Mapping[int | None, Path], sequences: Mapping[MRSequence, int], name: str, description: Description
) -> dict[MRSequence, Volume]:
    packed = files.get(None)
    if packed is not None:
        return {sequence: Volume(packed, number) for sequence, number in sequences.items()}
    absent = [f"{name}_{number:04d}" for number in sequences.values() if number not in files]
    if absent:
        raise InputNotFoundError(
            f"The mask {name} has no image {', '.join(absent)} (.nii or .nii.gz)",
            remedy="Add the image, or move the mask elsewhere",
            path=description.path.parent / IMAGES,
        )
    return {sequence: Volume(files[number]) for sequence, number in sequences.items()}
