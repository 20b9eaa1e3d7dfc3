"""A case in one picture: the slice with most errors, expert and prediction side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from braintumor.domain import LABELS, MRSequence, Segmentation, bounding_box, canonical
from braintumor.report.canvas import MUTED, PAPER, WHITE, Panel, beside, stacked, with_legend
from braintumor.report.fonts import picture_font
from braintumor.report.views import AXIAL, Box, View, grey, window

PANEL_PX = 380
_SHOWN = (MRSequence.FLAIR, MRSequence.T1CE)
_MARGIN_MM = 6.0
_TEXT_PX = 18

Volumes = Mapping[MRSequence, npt.NDArray[np.generic]]


def picture(predicted: Segmentation, truth: Segmentation, images: Volumes, headline: str) -> Image.Image:
    """Expert and prediction on FLAIR and on T1ce, or on black where there is no image.

    Parameters
    ----------
    predicted, truth
        On one grid.
    images
        On that grid; only `FLAIR` and `T1ce` are used.
    headline
        Above the panels, e.g. name and figures; no patient data beyond the case's name.
    """
    turn = canonical(truth.grid)
    grid, ours, theirs = turn.grid(truth.grid), turn.apply(predicted.mask), turn.apply(truth.mask)
    wrong = np.count_nonzero(ours != theirs, axis=(0, 1))
    either = np.count_nonzero((ours > 0) | (theirs > 0), axis=(0, 1))
    index = int((wrong if wrong.any() else either).argmax())
    shown = {s: turn.apply(np.asarray(images[s])) for s in _SHOWN if s in images}
    box = _frame(shown, (ours > 0) | (theirs > 0), grid.spacing)
    extent = (box[0].stop - box[0].start) * grid.spacing[0]
    view = View(AXIAL, index, box, grid.spacing, PANEL_PX / extent)
    panels = []
    for sequence in shown or (None,):
        for who, mask in (("Expert", theirs), ("Predicted", ours)):
            panel = Panel(view, _background(view, shown, sequence, theirs.shape), unit=_TEXT_PX)
            labels = view.cut(mask)
            panel.fill(labels, 0.14 if sequence else 0.75)
            panel.contours(labels, 1.6)
            panel.title(who, sequence.title if sequence else "")
            panels.append(panel)
    row = beside([panel.image for panel in panels], gap=4)
    return stacked([_strip(row.width, headline, f"slice {index + 1} of {grid.shape[2]}"), row], gap=0)


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Pictures below each other with the legend of the labels."""
    return with_legend(stacked(pictures, gap=4), [(label.rgb, label.name) for label in LABELS])


def _strip(width: int, words: str, note: str) -> Image.Image:
    """A line of text above a row of panels: nothing may lie on the brain."""
    strip = Image.new("RGB", (width, 2 * _TEXT_PX), PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((8, _TEXT_PX), words, font=picture_font(_TEXT_PX, bold=True), fill=WHITE, anchor="lm")
    draw.text((width - 8, _TEXT_PX), note, font=picture_font(_TEXT_PX), fill=MUTED, anchor="rm")
    return strip


def _background(view: View, shown: Volumes, sequence: MRSequence | None, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    if sequence is None:
        return view.cut(np.zeros(shape, np.uint8))
    voxels = shown[sequence]
    return grey(view.cut(voxels), window(voxels, np.asarray(voxels != voxels[0, 0, 0])))


def _frame(shown: Volumes, tumour: npt.NDArray[np.bool_], spacing: tuple[float, float, float]) -> Box:
    """The head if there is an image, else the tumour, with a margin."""
    head = [voxels != voxels[0, 0, 0] for voxels in shown.values()]
    inside = np.logical_or.reduce(head) if head else tumour
    margin = _MARGIN_MM if head else 4 * _MARGIN_MM
    box = bounding_box(np.asarray(inside))
    i, j, k = (
        slice(max(0, part.start - round(margin / mm)), min(n, part.stop + round(margin / mm)))
        for part, mm, n in zip(box, spacing, inside.shape, strict=True)
    )
    return i, j, k
