"""A chosen candidate -> a Series: stack checked, pixels read, header facts kept."""

from __future__ import annotations

from collections.abc import Callable

from braintumor.domain import BrainTumorError, Flag, Image, Series, Severity
from braintumor.study.choose import SeriesCandidate
from braintumor.study.facts import attributes_of, number
from braintumor.study.pixels import read_planes
from braintumor.study.stack import planes_of, stacked


def build_series(candidate: SeriesCandidate, done: Callable[[], None] = lambda: None) -> Series:
    """Read one volume.

    Parameters
    ----------
    done
        Called after each file.

    Raises
    ------
    GeometryError, UnusableImageError, CorruptFileError
        See `braintumor.study.stack.stacked` and `braintumor.study.pixels.read_planes`.
    """
    planes, grid = stacked(planes_of(candidate.headers))
    image = Image(read_planes(planes, grid.shape, done), grid)
    instances = tuple(dict.fromkeys(plane.header.instance for plane in planes))
    return Series(
        candidate.uid,
        image,
        instances,
        tuple(plane.frame for plane in planes),
        attributes_of(planes[0].header.dataset),
        candidate.evidence,
    )


def geometry_of(candidate: SeriesCandidate) -> tuple[dict[str, object] | None, BrainTumorError | None]:
    """The grid's summary, or the error that `build_series` would raise for it; reads no pixels."""
    try:
        _, grid = stacked(planes_of(candidate.headers))
    except BrainTumorError as error:
        return None, error
    return grid.summary(), None


def header_flags(candidate: SeriesCandidate) -> list[Flag]:
    """What a header says against the quality of its own images."""
    dataset, flags = candidate.headers[0].dataset, []
    if number(dataset, "LossyImageCompression"):
        message = f"{candidate.title} was compressed with loss before it was stored."
        flags.append(Flag("lossy-compression", Severity.WARNING, message))
    return flags
