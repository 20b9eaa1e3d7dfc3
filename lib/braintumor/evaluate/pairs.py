"""Which predicted mask belongs to which expert mask, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from braintumor.datasets.truth import NAMES, find_truth
from braintumor.domain import InputNotFoundError, files_below
from braintumor.study.nifti import is_nifti, stem

_MASK_ENDING = re.compile(r"([_-](d?seg|mask|pred|label|labels))$", re.IGNORECASE)
_BIDS = re.compile(r"^(sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)_.*dseg$")
_MANY = 12
"""Names listed in a message."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One case.

    Attributes
    ----------
    name
        As the truth names it.
    truth
        The expert mask.
    predicted
        Candidates for the predicted mask: one, or our own BIDS derivatives on several grids, of which the truth's grid decides.
    folder
        The case folder with images beside the truth, or None.
    """

    name: str
    truth: Path
    predicted: tuple[Path, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """What belongs together, and what found no partner."""

    pairs: tuple[Pair, ...]
    without_prediction: tuple[str, ...] = ()
    without_truth: tuple[str, ...] = ()


def key_of(name: str) -> str:
    """What two names must share: letters and digits only, any case, without a leading ``sub-``.

    >>> key_of("sub-BraTS20Training001") == key_of("BraTS20_Training_001")
    True
    """
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^sub-", "", name.casefold()))


def pair(predictions: Path, truth: Path, *, allow_missing: bool = False) -> Pairing:
    """Pair the masks of two folders by name, or two files with each other.

    Parameters
    ----------
    predictions
        ``CASE.nii.gz`` as nnU-Net writes it, ``CASE_seg.nii.gz``, BIDS ``sub-CASE..._dseg.nii.gz`` in any depth, or one folder
        per case that holds one of these.
    truth
        One folder per case with BraTS names, or a folder of masks (nnU-Net's labelsTr).
    allow_missing
        Leave out what has no partner instead of refusing.

    Raises
    ------
    InputNotFoundError
        If a side is empty, two masks claim one case, or a mask has no partner.
    """
    if predictions.is_file() and truth.is_file():
        return Pairing((Pair(_plain(truth), truth, (predictions,)),))
    wanted = {key_of(each.name): each for each in truths(truth)}
    found = _predicted(predictions)
    pairs = tuple(Pair(p.name, p.truth, found[key][1], p.folder) for key, p in wanted.items() if key in found)
    lonely = tuple(p.name for key, p in wanted.items() if key not in found)
    orphans = tuple(name for key, (name, _) in found.items() if key not in wanted)
    if not pairs:
        raise InputNotFoundError(
            f"No predicted mask has the name of a true one: predictions are {_some(orphans)}; truths are {_some(lonely)}",
            remedy="Name each predicted mask like its case",
            path=predictions,
        )
    if (lonely or orphans) and not allow_missing:
        words = [f"{len(lonely)} without a prediction: {_some(lonely)}"] if lonely else []
        words += [f"{len(orphans)} without a truth: {_some(orphans)}"] if orphans else []
        raise InputNotFoundError(
            f"Not every case has both masks; {'; '.join(words)}",
            remedy="Complete them, or leave them out knowingly with --allow-missing",
        )
    return Pairing(pairs, lonely, orphans)


def truths(place: Path) -> tuple[Pair, ...]:
    """Every case with an expert mask, by name; `Pair.predicted` is empty.

    Raises
    ------
    InputNotFoundError
        If there is none, or two have one name.
    """
    _must_exist(place, "truth")
    if place.is_file():
        return (Pair(_plain(place), place),)
    cases = [Pair(folder.name, find_truth(folder), folder=folder) for folder in _folders(place) if _masks(folder)]
    files = _masks(place)
    if files and len(files) == 1 and any(is_nifti(p) and p not in files for p in place.iterdir()):
        cases.append(Pair(_plain(files[0]), files[0], folder=place))  # the folder of a single case
    else:
        loose = files or sorted(p for p in place.iterdir() if is_nifti(p))
        cases += [Pair(_plain(path), path) for path in loose]
    if not cases:
        raise InputNotFoundError(
            "No expert mask was found",
            remedy=f"Give case folders with a mask named {NAMES[0]}, or a folder of masks",
            path=place,
        )
    _unique((case.name for case in cases), place)
    return tuple(cases)


def _predicted(place: Path) -> Mapping[str, tuple[str, tuple[Path, ...]]]:
    """Case key -> name and candidate masks."""
    _must_exist(place, "predictions")
    if place.is_file():
        return {key_of(_plain(place)): (_plain(place), (place,))}
    found = _one_level(sorted(p for p in place.iterdir() if is_nifti(p)))
    for folder in _folders(place):
        found += _in_folder(folder)
    if not found:
        raise InputNotFoundError(
            "No predicted mask was found", remedy="Give a folder of NIfTI masks, or of one folder per case", path=place
        )
    _unique((name for name, _ in found), place)
    return {key_of(name): (name, paths) for name, paths in found}


def _in_folder(folder: Path) -> list[tuple[str, tuple[Path, ...]]]:
    """The case or cases (BIDS sessions) of one folder; none if it holds no mask."""
    images = [path for path in files_below(folder) if is_nifti(path)]
    derivatives = [p for p in images if _BIDS.match(stem(p))]
    if derivatives:
        if not folder.name.startswith("sub-"):
            return [(folder.name, tuple(derivatives))]
        return _one_level(derivatives)
    masks = [p for p in images if _MASK_ENDING.search(stem(p))] or images
    if len(masks) > 1:
        raise InputNotFoundError(
            f"A case's folder must hold one predicted mask, and this one holds {len(masks)}: {_some([p.name for p in masks])}",
            remedy=f"Name the mask like {NAMES[0]}, or keep only it",
            path=folder,
        )
    return [(folder.name, (masks[0],))] if masks else []


def _one_level(paths: list[Path]) -> list[tuple[str, tuple[Path, ...]]]:
    """One case per mask, except that BIDS derivatives of one case on several grids belong together."""
    sessions: dict[str, list[Path]] = {}
    for path in paths:
        if _BIDS.match(stem(path)):
            sessions.setdefault(_plain(path), []).append(path)
    plain = [(_plain(path), (path,)) for path in paths if not _BIDS.match(stem(path))]
    return [*plain, *((name, tuple(same)) for name, same in sessions.items())]


def _plain(path: Path) -> str:
    """A case's name from the name of its mask."""
    if bids := _BIDS.match(stem(path)):
        return bids[1]
    return _MASK_ENDING.sub("", stem(path)) or stem(path)


def _folders(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))


def _masks(folder: Path) -> list[Path]:
    return sorted({path for pattern in NAMES for path in folder.glob(pattern)})


def _must_exist(place: Path, what: str) -> None:
    if not place.exists():
        raise InputNotFoundError(f"The {what} do not exist" if what.endswith("s") else f"The {what} does not exist",
                                 remedy="Check the path", path=place)  # fmt: skip


def _unique(names: Iterable[str], place: Path) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if (key := key_of(name)) in seen:
            raise InputNotFoundError(f"Two masks claim one case: {seen[key]} and {name}", remedy="Keep one of them", path=place)
        seen[key] = name


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_MANY]) + (f" and {len(listed) - _MANY} more" if len(listed) > _MANY else "") or "none"
