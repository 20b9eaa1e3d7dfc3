import json
import struct

import numpy as np
import pytest
import trimesh

from braintumor.domain import LABELS, Author, Grid, Region, Segmentation
from braintumor.export import mesh as module
from braintumor.export.mesh import surface, write_mesh

RADIUS = 15.0
CENTRE = np.array([12.0, -20.0, 33.0])


def sphere(spacing=(1.0, 1.0, 1.0), signs=(1, 1, 1), tilt=0.0, radius=RADIUS):
    """A sphere around CENTRE in LPS mm, on a grid of any spacing, direction and tilt about z."""
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    shape = tuple(int(2 * (radius + 4) / size) for size in spacing)
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(spacing) * np.array(signs)
    affine[:3, 3] = CENTRE - affine[:3, :3] @ (np.array(shape) - 1) / 2
    grid = Grid(shape, affine)
    points = grid.to_world(np.stack(np.indices(shape), axis=-1))
    return np.linalg.norm(points - CENTRE, axis=-1) <= radius, grid


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 1.5), (1.0, 1.0, 5.0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (-1, -1, -1)])
def test_a_sphere_keeps_its_volume_place_and_is_closed(spacing, signs):
    mask, grid = sphere(spacing, signs, tilt=0.3)
    mesh = surface(mask, grid)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume / 1000 == pytest.approx(mask.sum() * grid.voxel_ml, rel=0.03)  # positive: normals point outwards
    np.testing.assert_allclose(mesh.center_mass, CENTRE, atol=0.2)


def test_a_region_cut_off_by_the_volumes_edge_is_still_closed():
    mask = np.ones((6, 5, 4), bool)
    mesh = surface(mask, Grid(mask.shape, np.eye(4)))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(mask.sum(), rel=0.15)


def test_one_voxel_is_not_smoothed_away():
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4, 4] = True
    assert surface(mask, Grid(mask.shape, np.eye(4))).volume > 0.1


def test_a_thin_shell_keeps_nine_tenths():
    outer, grid = sphere()
    points = grid.to_world(np.stack(np.indices(grid.shape), axis=-1))
    shell = outer & (np.linalg.norm(points - CENTRE, axis=-1) > RADIUS - 2)
    assert surface(shell, grid).volume / 1000 == pytest.approx(shell.sum() * grid.voxel_ml, rel=0.1)


def test_the_number_of_triangles_is_bounded(monkeypatch):
    mask, grid = sphere()
    assert len(surface(mask, grid).faces) > 2000
    monkeypatch.setattr(module, "MAX_TRIANGLES", 2000)
    coarse = surface(mask, grid)
    assert len(coarse.faces) <= 2000
    assert coarse.is_watertight
    assert coarse.volume / 1000 == pytest.approx(mask.sum() * grid.voxel_ml, rel=0.05)


def nested(values=(2, 1, 4)):
    """A segmentation of three shells, the given labels from outside in."""
    _, grid = sphere()
    points = np.linalg.norm(grid.to_world(np.stack(np.indices(grid.shape), axis=-1)) - CENTRE, axis=-1)
    labels = np.zeros(grid.shape, np.uint8)
    for value, radius in zip(values, (15, 11, 6), strict=True):
        labels[points <= radius] = value
    return Segmentation(labels, grid, Author("model", "net"))


def test_files_of_nested_regions(tmp_path):
    written = write_mesh(nested(), tmp_path)
    assert [path.name for path in written] == ["tumour_WT.stl", "tumour_TC.stl", "tumour_ET.stl", "tumour.glb"]
    volumes = [trimesh.load(path).volume for path in written[:3]]
    assert volumes[0] > volumes[1] > volumes[2] > 0


def test_stl_is_in_patient_millimetres_and_says_so(tmp_path):
    path = write_mesh(nested(), tmp_path)[0]
    assert b"SPACE=LPS" in path.read_bytes()[:80]
    np.testing.assert_allclose(trimesh.load(path).center_mass, CENTRE, atol=0.1)


def test_glb_is_in_metres_head_up_with_the_label_colours(tmp_path):
    path = write_mesh(nested(), tmp_path)[-1]
    scene = trimesh.load(path)
    x, y, z = CENTRE / 1000
    for geometry in scene.geometry.values():
        np.testing.assert_allclose(geometry.center_mass, (x, z, -y), atol=1e-4)  # left, head, anterior
        assert geometry.volume > 0  # not turned inside out on the way
    data = path.read_bytes()
    content = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert [node["name"] for node in content["nodes"]] == ["Whole tumour", "Tumour core", "Enhancing tumour"]
    enhancing = next(m for m in content["materials"] if m["name"] == "ET")
    linear = enhancing["pbrMetallicRoughness"]["baseColorFactor"]
    assert [round(255 * c ** (1 / 2.2)) for c in linear[:3]] == pytest.approx(LABELS[2].rgb, abs=8)
    assert {m["name"]: m["alphaMode"] for m in content["materials"]} == {"WT": "BLEND", "TC": "BLEND", "ET": "OPAQUE"}
    assert all("NORMAL" in m["primitives"][0]["attributes"] for m in content["meshes"])


def test_empty_regions_have_no_file(tmp_path):
    written = write_mesh(nested((2, 2, 2)), tmp_path)
    assert [path.name for path in written] == ["tumour_WT.stl", "tumour.glb"]
    empty = Segmentation(np.zeros((4, 4, 4), np.uint8), Grid((4, 4, 4), np.eye(4)), Author("model", "net"))
    (tmp_path / "none").mkdir()
    assert write_mesh(empty, tmp_path / "none") == []
    assert list((tmp_path / "none").iterdir()) == []


def test_writing_twice_gives_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = write_mesh(nested(), tmp_path / "a"), write_mesh(nested(), tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.realdata
def test_real_tumours_are_closed_and_keep_their_volume(brats):
    nib = pytest.importorskip("nibabel")
    image = nib.load(brats / "BraTS20_Training_001" / "BraTS20_Training_001_seg.nii.gz")
    labels = np.asarray(image.dataobj).astype(np.uint8)
    grid = Grid(labels.shape, np.diag([-1, -1, 1, 1]) @ image.affine)
    segmentation = Segmentation(labels, grid, Author("human", "expert"))
    for region in Region:
        mesh = surface(segmentation.region(region), grid)
        assert mesh.is_watertight
        assert mesh.volume / 1000 == pytest.approx(segmentation.region(region).sum() * grid.voxel_ml, rel=0.03)
