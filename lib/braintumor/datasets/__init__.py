"""Labelled data as users have it: BraTS 2015-2024, MSD Task01, nnU-Net raw and BIDS, found by their files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from braintumor.datasets import bids, brats, decathlon
from braintumor.datasets.case import LabelledCase, Volume, patient_of, read, read_mask
from braintumor.domain import InputNotFoundError

__all__ = ["LabelledCase", "Volume", "find_cases", "patient_of", "read", "read_mask"]

_LAYOUTS = (decathlon, bids, brats)
"""Most particular first: the others would find BraTS-like names inside them."""


def find_cases(folder: Path) -> tuple[LabelledCase, ...]:
    """Every labelled case of a data set, in a fixed order; no image is read.

    Parameters
    ----------
    folder
        Holds one of: ``imagesTr``, ``labelsTr`` and ``dataset.json`` (MSD, or nnU-Net raw); ``sub-*`` and ``derivatives``
        (BIDS); BraTS case folders of any edition from 2015 to 2024, also one level down (HGG, LGG) or all files in one
        folder.

    Notes
    -----
    What mask values stand for is never guessed from numbers: names decide (``labels`` of dataset.json, dseg.tsv), or the
    published table of the BraTS edition that the case's name belongs to; a ``dataset.json`` with ``labels`` beside BraTS case
    folders overrides that table.

    Raises
    ------
    InputNotFoundError
        If no layout fits, or something a layout needs is missing.
    BrainTumorError
        Of the kind that says what is unclear about a case.
    """
    if not folder.is_dir():
        raise InputNotFoundError("The folder of training cases does not exist", remedy="Check the path", path=folder)
    layout = next((layout for layout in _LAYOUTS if layout.has(folder)), None)
    if layout is None:
        raise InputNotFoundError(
            "The folder holds no labelled cases in a layout that is known",
            remedy="Give BraTS case folders (CASE/CASE_seg.nii.gz beside CASE_t1.nii.gz ...), MSD or nnU-Net raw (imagesTr, "
            "labelsTr, dataset.json), or BIDS (sub-*/anat and derivatives/**/*_dseg.nii.gz)",
            path=folder,
        )
    cases = tuple(layout.find(folder))
    twice = next((name for name, count in Counter(case.name for case in cases).items() if count > 1), None)
    if twice:
        raise InputNotFoundError(
            f"Two cases are called {twice}", remedy="Rename or remove one: results and splits go by name", path=folder
        )
    if not cases:
        raise InputNotFoundError("The data set holds no labelled case", remedy="Add masks", path=folder)
    return cases
