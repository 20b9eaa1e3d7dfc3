"""A pair of masks on the expert's grid, its images, and class probabilities beside a mask."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from braintumor.datasets.truth import read_truth
from braintumor.domain import (
    LABELS,
    LPS_FROM_RAS,
    BrainTumorError,
    CorruptFileError,
    GeometryError,
    Grid,
    Image,
    MRSequence,
    Region,
    Segmentation,
    UnusableImageError,
    canonical,
    channels_of,
    region_mask,
    to_channels,
)
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.pairs import Pair
from braintumor.preprocess import on_grid
from braintumor.preprocess.brain import is_stripped, stripped_brain, support
from braintumor.study import find_sequences

AGREEMENT = 0.5
"""Share of tumour voxels on which probabilities must agree with the mask beside them. Post-processing may relabel a whole
class, so this only tells the case's probabilities from anything else; the order of the channels is the one that agrees best."""

Channels = list[npt.NDArray[np.floating[Any]]]
"""One array (i, j, k) per class or region."""

Order = dict[Region, tuple[int, ...]]
"""Channels whose probabilities add up to each region's."""

_KEY = "probabilities"


@dataclass(frozen=True, eq=False)
class Loaded:
    """Both masks of a case on one grid.

    Attributes
    ----------
    predicted, truth
        On the same grid.
    path, stored
        Of the predicted mask: its file, and the grid in the voxel order of the file.
    notes
        What the reader should know.
    """

    predicted: Segmentation
    truth: Segmentation
    path: Path
    stored: Grid
    notes: tuple[str, ...] = ()


def load(pair: Pair) -> Loaded:
    """Read both masks; the expert's grid is kept and nothing is interpolated.

    A predicted mask may have its axes in another order or direction: it is turned exactly. One with the expert's shape, axes
    and spacing but another origin is compared voxel for voxel, with a note, because some editions lost their origin.

    Raises
    ------
    GeometryError
        If the predicted mask lies on any other grid: resampling would be scored as the prediction's fault.
    CorruptFileError, UnusableImageError
        As `braintumor.datasets.truth.read_truth`.
    """
    truth = read_truth(pair.truth, _drawn_on(pair))
    path, grid = _candidate(pair, truth.grid)
    predicted = read_truth(path, grid)
    notes: tuple[str, ...] = ()
    if not _same_points(grid, truth.grid):
        apart = _shifted(grid, truth.grid)
        if apart is None:
            raise GeometryError(
                f"The predicted mask of {pair.name} lies on another grid than the expert's: {_words(grid)}, not "
                f"{_words(truth.grid)}",
                remedy="Bring it back to the grid of the expert's mask with its own tool, then evaluate",
                path=path,
            )
        notes = (f"{pair.name}: the headers place the two masks {apart:.0f} mm apart; they were compared voxel for voxel",)
        predicted = Segmentation(predicted.mask, truth.grid, predicted.author)
    return Loaded(on_grid(predicted, truth.grid), truth, path, grid, notes)


def grid_of(path: Path) -> Grid:
    """The grid that a NIfTI header says.

    Raises
    ------
    CorruptFileError, GeometryError
        If it cannot be read, or is not three-dimensional.
    """
    try:
        header = nib.Nifti1Image.from_filename(path)
        shape = tuple(int(n) for n in header.shape)
        if len(shape) == 3:
            return Grid((shape[0], shape[1], shape[2]), LPS_FROM_RAS @ header.affine)
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise CorruptFileError(
            "The mask cannot be read as NIfTI", remedy="Copy the file again from its source", path=path
        ) from error
    raise GeometryError(f"The mask has {len(shape)} dimensions, not three", remedy="Give one label per voxel", path=path)


def images_of(pair: Pair) -> dict[MRSequence, Path]:
    """The case's image files, where its folder has any that can be told apart."""
    if pair.folder is None:
        return {}
    try:
        return dict(find_sequences(pair.folder))
    except BrainTumorError:
        return {}  # pictures and the brain are extras; what matters here are the masks


def read_image(path: Path, grid: Grid) -> npt.NDArray[Any] | None:
    """Voxels of an image, or None if they are not on that grid (by shape) or cannot be read."""
    try:
        stored = nib.Nifti1Image.from_filename(path)
        return np.asarray(stored.dataobj) if stored.shape == grid.shape else None
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
        return None


def brain_of(pair: Pair, grid: Grid) -> npt.NDArray[np.bool_] | None:
    """The brain where skull-stripped images beside the truth show it, else None."""
    images = images_of(pair)
    wanted = next((s for s in (MRSequence.T1CE, MRSequence.FLAIR, MRSequence.T1, MRSequence.T2) if s in images), None)
    voxels = None if wanted is None else read_image(images[wanted], grid)
    if wanted is None or voxels is None or support(voxels) is None or not is_stripped(Image(voxels, grid)):
        return None
    return stripped_brain({wanted: voxels})


def probabilities_beside(mask: Path) -> Path | None:
    """``CASE.npz`` beside ``CASE.nii.gz``, as nnU-Net names it."""
    path = mask.with_name(mask.name.removesuffix(".gz").removesuffix(".nii") + ".npz")
    return path if path.is_file() else None


def read_probabilities(path: Path, stored: Grid, grid: Grid) -> Channels:
    """nnU-Net's ``probabilities`` (C, z, y, x), as views (i, j, k) per channel, in the file's own precision.

    Parameters
    ----------
    stored
        Grid of the mask beside the file, whose voxel order it has.
    grid
        Grid wanted: the same points, perhaps in another axis order.

    Raises
    ------
    CorruptFileError, UnusableImageError
        If it cannot be read, or has another shape or type.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = archive[_KEY]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptFileError(
            f"The probabilities cannot be read as an archive with an array '{_KEY}'",
            remedy="Write them again, or move the file away",
            path=path,
        ) from error
    wanted = stored.shape[::-1]
    if values.ndim != 4 or values.shape[0] not in (len(LABELS) + 1, len(Region)) or values.shape[1:] != wanted:
        raise UnusableImageError(
            f"The probabilities have the shape {values.shape}, not (3 or 4, {', '.join(map(str, wanted))})",
            remedy="Give class probabilities (C, z, y, x) on the grid of the mask beside them",
            path=path,
        )
    if values.dtype.kind != "f":
        raise UnusableImageError(
            f"The probabilities are {values.dtype} numbers", remedy="Write them as float16 or float32", path=path
        )
    source, target = canonical(stored), canonical(grid)
    return [target.undo(source.apply(channel.T)) for channel in values]


def channel_order(values: Channels, mask: npt.NDArray[np.uint8], path: Path | None = None) -> Order:
    """Which channels add up to each region's probability.

    The mask that was made of the probabilities tells: data sets number their classes differently. The usual order (background
    and `LABELS`, or WT, TC, ET) is taken where several fit.

    Parameters
    ----------
    values
        4 classes that sum to 1, background first, or the 3 regions, each for itself.

    Raises
    ------
    UnusableImageError
        If no order agrees with the mask.
    """
    candidates = _by_class(values, mask) if len(values) > len(Region) else _by_region(values, mask)
    best, order = max(candidates, key=lambda found: found[0])  # the first of equal ones, which is the usual order
    if best < AGREEMENT and mask.any():
        raise UnusableImageError(
            f"The probabilities agree with the mask beside them on only {best:.0%} of its tumour",
            remedy="Give the probabilities that the mask was made from, one channel per class or region",
            path=path,
        )
    return order


def reliability(
    values: Channels, order: Order, truth: npt.NDArray[np.uint8], brain: npt.NDArray[np.bool_] | None, path: Path | None = None
) -> dict[Region, Reliability]:
    """Histogram per region of the region's probability against the expert's mask.

    Slice by slice, so that float16 probabilities of a whole volume are never copied.

    Parameters
    ----------
    brain
        Where voxels count; None for everywhere.

    Raises
    ------
    UnusableImageError
        If a value is not a probability.
    """
    histograms = {region: Reliability() for region in Region}
    for k in range(truth.shape[2]):
        where = np.ones(truth.shape[:2], bool) if brain is None else brain[:, :, k]
        for region, histogram in histograms.items():
            share = np.zeros(np.count_nonzero(where), np.float32)
            for channel in order[region]:
                share += values[channel][:, :, k][where]
            try:
                histogram.add(share, region_mask(truth[:, :, k][where], region))
            except ValueError as error:
                raise UnusableImageError(
                    f"The probabilities are unusable: {error}", remedy="Write softmax or sigmoid output, not logits", path=path
                ) from error
    return histograms


def _by_class(values: Channels, mask: npt.NDArray[np.uint8]) -> Iterator[tuple[float, Order]]:
    """(agreement, order) of every order of the three tumour classes, the usual one first."""
    size = len(LABELS) + 1
    counts = np.zeros((size, size), np.int64)  # channel that is largest, network channel of the mask's label
    for k in range(mask.shape[2]):
        top = np.argmax([channel[:, :, k] for channel in values], axis=0)
        counts += np.bincount((top * size + to_channels(mask[:, :, k])).ravel(), minlength=size**2).reshape(size, size)
    tumour = int(counts.sum() - counts[0, 0])
    for turned in permutations(range(1, size)):
        stored = (0, *turned)  # where our network channel n lies in the file
        same = sum(int(counts[stored[n], n]) for n in range(1, size))
        yield _ratio(same, tumour), {region: tuple(stored[c] for c in channels_of(region)) for region in Region}


def _by_region(values: Channels, mask: npt.NDArray[np.uint8]) -> Iterator[tuple[float, Order]]:
    """(agreement, order) of every order of the three regions, WT, TC, ET first."""
    both, either = np.zeros((len(Region),) * 2, np.int64), np.zeros((len(Region),) * 2, np.int64)
    for k in range(mask.shape[2]):
        for n, region in enumerate(Region):
            inside = region_mask(mask[:, :, k], region)
            for c, channel in enumerate(values):
                over = channel[:, :, k] > 0.5
                both[c, n] += np.count_nonzero(over & inside)
                either[c, n] += np.count_nonzero(over | inside)
    for turned in permutations(range(len(Region))):
        same, whole = (sum(int(table[c, n]) for n, c in enumerate(turned)) for table in (both, either))
        yield _ratio(same, whole), {region: (c,) for region, c in zip(Region, turned, strict=True)}


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _drawn_on(pair: Pair) -> Grid:
    """Grid of the expert's image, which knows better than the mask's own header where it lies."""
    own = grid_of(pair.truth)
    for path in images_of(pair).values():
        try:
            grid = grid_of(path)
        except BrainTumorError:
            continue
        if grid.shape == own.shape:
            return grid
    return own


def _candidate(pair: Pair, grid: Grid) -> tuple[Path, Grid]:
    """The predicted mask on the expert's grid if several grids are offered."""
    offered = [(path, grid_of(path)) for path in pair.predicted]
    return next((each for each in offered if _same_points(each[1], grid)), offered[0])


def _same_points(one: Grid, other: Grid) -> bool:
    return canonical(one).grid(one).same_as(canonical(other).grid(other))


def _shifted(one: Grid, other: Grid) -> float | None:
    """Distance of the origins where nothing else differs, in mm."""
    if one.shape != other.shape or not np.allclose(one.affine[:3, :3], other.affine[:3, :3], atol=1e-3):
        return None
    return float(np.linalg.norm(one.origin - other.origin))


def _words(grid: Grid) -> str:
    return f"{'x'.join(map(str, grid.shape))} voxels of {' x '.join(f'{mm:.2f}' for mm in grid.spacing)} mm ({grid.axcodes})"
