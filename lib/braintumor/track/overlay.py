"""The change map on the current image: growth and shrinkage in colour, the slices with most change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from braintumor.domain import REFERENCE_ORDER, Segmentation, canonical
from braintumor.report.canvas import Panel, beside, with_legend
from braintumor.report.views import AXIAL, Scene, grey
from braintumor.track.timeline import GROWTH, SHRINKAGE, UNCHANGED, Timeline

COLOURS = {GROWTH: (222, 73, 60), SHRINKAGE: (66, 133, 205), UNCHANGED: (240, 200, 80)}
NAMES = {GROWTH: "Growth", SHRINKAGE: "Shrinkage", UNCHANGED: "At both visits"}
_HEIGHT_PX = 460
_SLICES = 3
_APART_MM = 8.0


def overlay(timeline: Timeline) -> Pillow.Image:
    """Three axial slices of the current T1ce (or the best other) with the map since the visit before."""
    current = timeline.visits[-1]
    scene = Scene.of(current.case, Segmentation(current.segmentation.mask, current.case.grid, current.segmentation.author))
    turned = canonical(current.case.grid).apply(timeline.change_map)
    sequence = scene.first(*REFERENCE_ORDER)
    panels = []
    for index in _most_changed(turned, scene.grid.spacing[2]):
        view = scene.views({AXIAL: index}, _HEIGHT_PX)[0]
        ground = np.repeat(grey(view.cut(scene.images[sequence]), scene.windows[sequence])[..., None], 3, axis=2)
        values = view.cut(turned)
        for value, colour in COLOURS.items():
            share = 0.25 if value == UNCHANGED else 0.6
            ground[values == value] = (1 - share) * ground[values == value] + share * np.array(colour)
        panel = Panel(view, ground)
        panel.letters()
        panel.title(sequence.title, f"slice {index + 1}")
        panels.append(panel.image)
    day = timeline.visits[-2].date
    note = f"Since {day.isoformat()}" if day else "Since the visit before"
    return with_legend(beside(panels), [(COLOURS[v], NAMES[v]) for v in COLOURS], note)


def _most_changed(turned: npt.NDArray[np.uint8], spacing_mm: float) -> list[int]:
    """The slices with most change, apart from each other; where fewer changed, those beside the most changed one."""
    changed = np.isin(turned, (GROWTH, SHRINKAGE)).sum(axis=(0, 1)) + 0.001 * (turned > 0).sum(axis=(0, 1))
    numbers = np.arange(turned.shape[2])
    most = int(np.argmax(changed)) if changed.any() else turned.shape[2] // 2
    chosen: list[int] = []
    for index in np.lexsort((np.abs(numbers - most), -changed)):
        if all(abs(int(index) - other) * spacing_mm >= _APART_MM for other in chosen):
            chosen.append(int(index))
        if len(chosen) == _SLICES:
            break
    return sorted(chosen)
