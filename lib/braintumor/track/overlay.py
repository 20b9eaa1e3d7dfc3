"""The change map on the current image: growth and shrinkage in colour, the slices with most change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from braintumor.geometry import canonical
from braintumor.nouns import REFERENCE_ORDER, Segmentation
from braintumor.report.canvas import Panel, beside, with_legend
from braintumor.report.views import AXIAL, Scene, grey
from braintumor.track.timeline import GROWTH, SHRINKAGE, UNCHANGED, Timeline

COLOURS = {GROWTH: (222, 73, 60), SHRINKAGE: (66, 133, 205), UNCHANGED: (240, 200, 80)}
NAMES = {GROWTH: "Growth", SHRINKAGE: "Shrinkage", UNCHANGED: "Tumour at both visits"}
_HEIGHT_PX = 460
_SLICES = 3
_APART = 4


def overlay(timeline: Timeline) -> Pillow.Image:
    """Up to three axial slices of the current T1ce (or the best other) with the map since the visit before."""
    current = timeline.visits[-1]
    scene = Scene.of(current.case, Segmentation(current.segmentation.mask, current.case.grid, current.segmentation.author))
    turned = canonical(current.case.grid).apply(timeline.change_map)
    sequence = scene.first(*REFERENCE_ORDER)
    panels = []
    for index in _most_changed(turned):
        view = scene.views({AXIAL: index}, _HEIGHT_PX)[0]
        ground = np.repeat(grey(view.cut(scene.images[sequence]), scene.windows[sequence])[..., None], 3, axis=2)
        values = view.cut(turned)
        for value, colour in COLOURS.items():
            share = 0.25 if value == UNCHANGED else 0.6
            ground[values == value] = (1 - share) * ground[values == value] + share * np.array(colour)
        panel = Panel(view, ground)
        panel.letters()
        panel.title(f"Change on {sequence.title}", f"slice {index + 1}")
        panels.append(panel.image)
    return with_legend(beside(panels), [(COLOURS[v], NAMES[v]) for v in COLOURS], "Since the visit before")


def _most_changed(turned: npt.NDArray[np.uint8]) -> list[int]:
    changed = np.isin(turned, (GROWTH, SHRINKAGE)).sum(axis=(0, 1)) + 0.001 * (turned > 0).sum(axis=(0, 1))
    if not changed.any():
        return [turned.shape[2] // 2]
    chosen: list[int] = []
    for index in np.argsort(-changed, kind="stable"):
        if changed[index] > 0 and all(abs(int(index) - other) >= _APART for other in chosen):
            chosen.append(int(index))
        if len(chosen) == _SLICES:
            break
    return sorted(chosen)
