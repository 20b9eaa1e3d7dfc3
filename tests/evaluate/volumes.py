"""Small case folders, masks and probabilities on disk."""

import nibabel as nib
import numpy as np

from braintumor.domain import LPS_FROM_RAS, Grid

SHAPE = (24, 22, 20)
GRID = Grid(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))


def tumour(shift=0, shape=SHAPE):
    """Oedema around a core with an enhancing part; `shift` moves it along i."""
    mask = np.zeros(shape, np.uint8)
    mask[4:16, 4:16, 4:14] = 2
    mask[6:13, 6:13, 6:12] = 4
    mask[8:11, 8:11, 8:10] = 1
    return np.roll(mask, shift, 0)


def save(path, values, grid=GRID):
    """Write NIfTI, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, LPS_FROM_RAS @ grid.affine), path)
    return path


def case_folder(root, name, mask, images=True):
    """A BraTS-style case folder with a skull-stripped FLAIR and T1ce."""
    save(root / name / f"{name}_seg.nii.gz", mask)
    if images:
        rng = np.random.default_rng(0)
        for token in ("flair", "t1ce"):
            image = np.zeros(mask.shape, np.int16)
            image[2:20, 2:20, 2:18] = rng.integers(100, 900, (18, 18, 16))
            save(root / name / f"{name}_{token}.nii.gz", image)
    return root / name


def class_probabilities(mask, sure=0.9, order=(0, 1, 2, 4)):
    """(4, z, y, x) as nnU-Net writes it; `order` says which label each channel is."""
    values = np.stack([np.where(mask == label, sure, (1 - sure) / 3) for label in order])
    return values.transpose(0, 3, 2, 1).astype(np.float16)
