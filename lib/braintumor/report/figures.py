"""Key images: four sequences, three planes, diameters, montage, registration check and uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from braintumor.domain import (
    LABELS,
    REGION_NAMES,
    AlignmentMethod,
    Case,
    Diameters,
    Measurements,
    MRSequence,
    Region,
    Segmentation,
    read_only,
    region_colour,
)
from braintumor.report.canvas import Colour, Panel, placeholder, stacked, tiled, with_legend
from braintumor.report.names import listed
from braintumor.report.views import AXIAL, CORONAL, SAGITTAL, Plane, Scene, View, grey

PANEL_PX = 520
DIAMETER_PX = 412
LINE = 1.8
FILL = 0.11
EDGE: Colour = (90, 220, 255)
_HEAT = np.array([(20, 11, 54), (101, 21, 110), (187, 55, 84), (243, 120, 25), (252, 255, 164)], np.float32)
"""Five stops of the 'inferno' colour map (CC0, S. van der Walt and N. Smith)."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image for people.

    Attributes
    ----------
    name
        Stable: ``sequences``, ``planes``, ``diameters``, ``montage``, ``registration``, ``uncertainty`` or ``overview``.
    caption
        One or two sentences saying what is seen; no patient data.
    rgb
        uint8 (height, width, 3), read-only.
    """

    name: str
    caption: str
    rgb: npt.NDArray[np.uint8]


def key_images(case: Case, segmentation: Segmentation, measurements: Measurements) -> tuple[Picture, ...]:
    """Draw the pictures of a report.

    Parameters
    ----------
    case, segmentation
        `segmentation` on the grid of `case`.
    measurements
        Of that segmentation; its diameters are drawn in the slices they were measured in.

    Returns
    -------
    tuple of Picture
        ``sequences``, ``planes`` and ``montage`` always; ``diameters`` if something was measured, ``registration`` if a
        sequence was moved, ``uncertainty`` if the segmentation has a map. Radiological convention throughout: the patient's
        right is on the image's left. Voxels are drawn in their true proportions.

    Raises
    ------
    ValueError
        If the grids differ.
    """
    scene = Scene.of(case, segmentation)
    pictures = (
        _sequences(scene, case, measurements),
        _planes(scene, measurements),
        _diameters(scene, measurements),
        _montage(scene),
        _registration(scene, case),
        _uncertainty(scene),
    )
    return tuple(picture for picture in pictures if picture is not None)


def overview(case: Case, segmentation: Segmentation, measurements: Measurements) -> Picture:
    """One picture of everything for a quick look: the four sequences, three planes through the lesion, the volumes.

    Parameters and errors as in `key_images`.
    """
    scene = Scene.of(case, segmentation)
    panels = _four_panels(scene, case, measurements, PANEL_PX * 3 // 4)
    row = tiled(panels, 4)
    widths_mm = 2 * scene.extent_mm(0) + scene.extent_mm(1)
    height = (row.width - 12) / widths_mm * max(scene.extent_mm(1), scene.extent_mm(2))
    image = stacked([row, tiled(_plane_panels(scene, measurements, height), 3)])
    volumes = [(region_colour(r), f"{REGION_NAMES[r]} {_volume(measurements, r)}") for r in Region]
    image = with_legend(image, volumes, "Research use only")
    return _picture("overview", "Overview: four sequences and three planes through the largest lesion.", image)


def _sequences(scene: Scene, case: Case, measurements: Measurements) -> Picture:
    index, total = scene.widest_slice, scene.grid.shape[2]
    image = with_legend(tiled(_four_panels(scene, case, measurements, PANEL_PX), 2), _legend())
    if scene.mask.any():
        caption = f"Axial slice {index + 1} of {total}, the one with the largest tumour area, in all sequences."
    else:
        caption = f"Axial slice {index + 1} of {total}, the one with the largest brain area; no tumour was segmented."
    return _picture("sequences", caption, image)


def _four_panels(scene: Scene, case: Case, measurements: Measurements, width: int) -> list[Image.Image]:
    view = scene.view(AXIAL, scene.widest_slice, width / scene.extent_mm(0))
    panels = []
    for sequence in MRSequence:
        if sequence not in scene.images:
            panels.append(placeholder(view.size, sequence.title, "not available"))
            continue
        panel = _panel(scene, view, sequence, f"slice {view.index + 1}")
        if sequence is MRSequence.T1CE:
            _draw_diameters(panel, scene, _quoted(measurements)[0])
        panels.append(_finished(panel))
    return panels


def _planes(scene: Scene, measurements: Measurements) -> Picture:
    image = with_legend(tiled(_plane_panels(scene, measurements, PANEL_PX), 3), _legend())
    where = "the centre of the largest lesion" if measurements.lesions else "the centre of the brain; no tumour was segmented"
    title = scene.first(MRSequence.T1CE, MRSequence.FLAIR).title
    return _picture("planes", f"{title} in three planes through {where}.", image)


def _plane_panels(scene: Scene, measurements: Measurements, height: float) -> list[Image.Image]:
    centre = _centre(scene, measurements)
    panels = []
    for view in scene.views({plane: int(centre[plane.normal]) for plane in (AXIAL, CORONAL, SAGITTAL)}, height):
        panel = _panel(scene, view, scene.first(MRSequence.T1CE, MRSequence.FLAIR), "", title=view.plane.name)
        panel.cross(centre)
        panels.append(_finished(panel))
    return panels


def _diameters(scene: Scene, measurements: Measurements) -> Picture | None:
    """Enhancing (or core) diameters on T1ce, whole-tumour diameters on FLAIR, each in the slice it was measured in."""
    panels, said = [], []
    wanted = zip(_quoted(measurements), (MRSequence.T1CE, MRSequence.FLAIR), strict=True)
    for (region, diameters), preferred in wanted:
        if diameters is None:
            continue
        ends = _ends(scene, diameters)
        box = scene.square(ends.reshape(-1, 3), 18.0)
        view = scene.view(AXIAL, _slice_of(ends), DIAMETER_PX / ((box[0].stop - box[0].start) * scene.grid.spacing[0]), box)
        panel = _panel(scene, view, scene.first(preferred), f"slice {view.index + 1}", fill=0.0, title=REGION_NAMES[region])
        _draw_diameters(panel, scene, (region, diameters))
        panel.scale_bar()
        panels.append(panel.image)
        said.append(f"{REGION_NAMES[region].lower()} on {scene.first(preferred).title}")
    if not panels:
        return None
    caption = f"Longest axial diameter and its perpendicular: {' and '.join(said)}."
    return _picture("diameters", caption, tiled(panels, len(panels)))


def _montage(scene: Scene, columns: int = 6, rows: int = 4) -> Picture:
    levels = np.flatnonzero(scene.brain.any(axis=(0, 1)))
    low, high = (int(levels[0]), int(levels[-1])) if levels.size else (0, scene.grid.shape[2] - 1)
    trim = (high - low) * 0.04  # the very first and last slices hold only rim
    wanted = np.unique(np.linspace(low + trim, high - trim, columns * rows).round().astype(int))
    sequence, panels = scene.first(MRSequence.FLAIR, MRSequence.T2), []
    for index in reversed(wanted):
        view = scene.view(AXIAL, int(index), PANEL_PX * 0.42 / scene.extent_mm(0))
        panel = _panel(scene, view, sequence, "", title="", line=1.2)
        panel.text((5, 3), str(index + 1), anchor="la", size=0.85)
        panels.append(panel.image)
    step = float(np.diff(wanted).mean()) * scene.grid.spacing[2] if wanted.size > 1 else 0.0
    caption = (
        f"{sequence.title}, axial slices from head to base, about {step:.0f} mm apart; the patient's right is on the left."
    )
    return _picture("montage", caption, with_legend(tiled(panels, columns, gap=3), _legend()))


def _registration(scene: Scene, case: Case) -> Picture | None:
    """Each moved sequence in two planes: checkerboard with the reference, and the reference's edges over it."""
    moved = [
        s
        for s in case.present
        if s in case.alignment and case.alignment[s].method is AlignmentMethod.RIGID and s in scene.images
    ]
    reference = next(
        (s for s, a in case.alignment.items() if a.method is AlignmentMethod.REFERENCE and s in scene.images), None
    )
    if not moved or reference is None:
        return None
    middle = [(part.start + part.stop) // 2 for part in scene.box]
    rows = []
    for sequence in moved:
        panels = []
        for view in scene.views({plane: middle[plane.normal] for plane in (AXIAL, SAGITTAL)}, PANEL_PX * 0.85):
            board = Panel(view, _checkerboard(scene, view, reference, sequence))
            board.title(f"{reference.title} | {sequence.title}", view.plane.name.lower())
            over = Panel(view, grey(view.cut(scene.images[sequence]), scene.windows[sequence]))
            over.edges(_edges(view.cut(scene.images[reference]), scene.windows[reference], view), EDGE)
            over.title(sequence.title, f"edges of {reference.title}")
            panels += [board.image, over.image]
        rows.append(tiled(panels, 4))
    caption = (
        f"Registration check of {listed([s.title for s in moved])} against {reference.title}: squares of 20 mm take turns, "
        f"and the edges of {reference.title} lie over the moved image. Brain outline and ventricles must run on across both."
    )
    return _picture("registration", caption, stacked(rows))


def _uncertainty(scene: Scene) -> Picture | None:
    if scene.uncertainty is None:
        return None
    sequence, panels = scene.first(MRSequence.FLAIR, MRSequence.T1CE), []
    for view in scene.views({plane: _busiest(scene, plane) for plane in (AXIAL, CORONAL, SAGITTAL)}, PANEL_PX):
        base = grey(view.cut(scene.images[sequence]), scene.windows[sequence])
        doubt = np.clip(view.cut(scene.uncertainty).astype(np.float32), 0, 1)
        panel = Panel(view, _heated(base, doubt))
        panel.contours(view.cut(scene.mask), 1.0, (255, 255, 255))
        panel.title(view.plane.name, f"slice {view.index + 1}")
        panels.append(_finished(panel))
    stops = [(_rgb(_heat(np.float32(v))), f"{v:.1f}") for v in (0.2, 0.4, 0.6, 0.8, 1.0)]
    image = with_legend(tiled(panels, 3), stops, "0 sure, 1 undecided")
    caption = f"Uncertainty of the mask over {sequence.title}: entropy of the class probabilities, mask outlined in white."
    return _picture("uncertainty", caption, image)


def _panel(
    scene: Scene,
    view: View,
    sequence: MRSequence,
    note: str,
    *,
    fill: float = FILL,
    title: str | None = None,
    line: float = LINE,
) -> Panel:
    """A grey slice with fill and contours of the labels."""
    panel = Panel(view, grey(view.cut(scene.images[sequence]), scene.windows[sequence]))
    mask = view.cut(scene.mask)
    if fill:
        panel.fill(mask, fill)
    panel.contours(mask, line)
    panel.title(sequence.title if title is None else title, note)
    return panel


def _finished(panel: Panel) -> Image.Image:
    panel.letters()
    panel.scale_bar()
    return panel.image


def _quoted(measurements: Measurements) -> tuple[tuple[Region, Diameters | None], tuple[Region, Diameters | None]]:
    """The pairs of diameters worth a picture: enhancing tumour (the core where nothing enhances), and whole tumour."""
    found = {r: measurements.regions[r.value].diameters if r.value in measurements.regions else None for r in Region}
    inner = Region.ET if found[Region.ET] is not None else Region.TC
    return (inner, found[inner]), (Region.WT, found[Region.WT])


def _ends(scene: Scene, diameters: Diameters) -> npt.NDArray[np.float64]:
    """End points as volume indices: (longest or perpendicular, from or to, 3)."""
    return scene.grid.to_index(np.array([diameters.longest_ends, diameters.perpendicular_ends]))


def _slice_of(ends: npt.NDArray[np.float64]) -> int:
    return round(float(ends[..., 2].mean()))


def _draw_diameters(panel: Panel, scene: Scene, quoted: tuple[Region, Diameters | None]) -> None:
    """Draw them if they were measured in the slice shown: elsewhere they would mislead."""
    diameters = quoted[1]
    if diameters is None:
        return
    ends = _ends(scene, diameters)
    if _slice_of(ends) == panel.view.index:
        panel.measure(ends[1], f"{diameters.perpendicular_mm:.0f} mm")
        panel.measure(ends[0], f"{diameters.longest_mm:.0f} mm")


def _centre(scene: Scene, measurements: Measurements) -> npt.NDArray[np.int64]:
    """Voxel that the three planes pass through: centroid of the largest lesion, else the middle of the brain."""
    if measurements.lesions:
        index = scene.grid.to_index(measurements.lesions[0].centroid_lps)
    else:
        index = np.array([(part.start + part.stop) / 2 for part in scene.box])
    low, high = [part.start for part in scene.box], [part.stop - 1 for part in scene.box]
    return np.clip(np.rint(index).astype(np.int64), low, high)


def _checkerboard(scene: Scene, view: View, one: MRSequence, other: MRSequence, mm: float = 20.0) -> npt.NDArray[np.uint8]:
    first, second = (grey(view.cut(scene.images[s]), scene.windows[s]) for s in (one, other))
    spacing = np.array([view.spacing[view.plane.row], view.spacing[view.plane.column]])
    rows, columns = (np.indices(first.shape) * spacing[:, None, None] // mm).astype(int)
    return np.where((rows + columns) % 2 == 0, first, second)


def _edges(values: npt.NDArray[Any], limits: tuple[float, float], view: View) -> npt.NDArray[np.bool_]:
    """Strong edges: gradient magnitude after 1 mm smoothing, its top eighth where there is signal, thinned to ridges."""
    smooth = grey(values, limits).astype(np.float32)
    sigma = [1.0 / view.spacing[axis] for axis in (view.plane.row, view.plane.column)]
    strength = ndimage.gaussian_gradient_magnitude(smooth, sigma)
    if not (strength > 0).any():
        return np.zeros(values.shape, bool)
    ridge = (strength >= ndimage.maximum_filter(strength, (3, 1))) | (strength >= ndimage.maximum_filter(strength, (1, 3)))
    return np.asarray(ridge & (strength > np.percentile(strength[strength > 0], 88)))


def _busiest(scene: Scene, plane: Plane) -> int:
    """Slice with the largest tumour area across a plane, else the middle."""
    area = (scene.mask > 0).sum(axis=tuple(a for a in range(3) if a != plane.normal))
    return int(area.argmax()) if area.any() else scene.grid.shape[plane.normal] // 2


def _heat(value: npt.NDArray[np.float32] | np.float32) -> npt.NDArray[np.float32]:
    """0..1 -> colour, (..., 3)."""
    stops = np.linspace(0, 1, len(_HEAT))
    return np.stack([np.interp(value, stops, _HEAT[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def _rgb(colour: npt.NDArray[np.float32]) -> Colour:
    red, green, blue = (int(channel) for channel in colour)
    return red, green, blue


def _heated(base: npt.NDArray[np.uint8], doubt: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Grey image with colour that grows with doubt; none below 0.1."""
    weight = np.clip((doubt - 0.1) / 0.3, 0, 1)[..., None] * 0.75
    return np.asarray(base[..., None] * (1 - weight) + _heat(doubt) * weight, np.uint8)


def _legend() -> list[tuple[Colour, str]]:
    return [(label.rgb, label.name) for label in LABELS]


def _volume(measurements: Measurements, region: Region) -> str:
    return f"{measurements.regions[region.value].volume_ml:.1f} mL" if region.value in measurements.regions else "not measured"


def _picture(name: str, caption: str, image: Image.Image) -> Picture:
    return Picture(name, caption, read_only(np.asarray(image)))
