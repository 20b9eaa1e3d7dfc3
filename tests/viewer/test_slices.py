"""A mask lands on the anatomy it was drawn on: seen through Cornerstone's own geometry, not through our code."""

import numpy as np
import pydicom
import pytest
import requests

pytestmark = pytest.mark.campaign

SEEN = """async points => {
    const { services, cornerstone } = await import('/ohif/braintumor/ohif.js');
    const { SEGMENTATION } = await import('/ohif/braintumor/masks.js');
    const { representationData } = services().segmentationService.getSegmentation(SEGMENTATION);
    const volume = cornerstone().cache.getVolume(representationData.Labelmap.volumeId);
    return points.map(point => volume.voxelManager.getAtIJK(...volume.imageData.worldToIndex(point).map(Math.round)));
}"""


def slices_of(folder, series):
    """Headers of a series along the normal row x column, lowest first."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.rglob("*.dcm")]
    headers = [header for header in headers if header.SeriesInstanceUID == series]
    row, column = np.reshape(headers[0].ImageOrientationPatient, (2, 3)).astype(float)
    return sorted(headers, key=lambda header: np.dot(np.cross(row, column), np.asarray(header.ImagePositionPatient, float)))


def in_millimetres(header, i, j):
    row, column = np.reshape(header.ImageOrientationPatient, (2, 3)).astype(float)
    down, right = (float(spacing) for spacing in header.PixelSpacing)
    return (np.asarray(header.ImagePositionPatient, float) + i * right * row + j * down * column).tolist()


def test_a_mask_lies_where_its_voxels_are(viewer, base_url, patients):
    folder = patients / "patient-9"
    study = str(pydicom.dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
    sequences = requests.get(f"{base_url}/api/studies/{study}", timeout=60).json()["sequences"]
    series = next(uid for uid, found in sequences.items() if found["sequence"] == "t1ce")
    slices = slices_of(folder, series)
    mask = np.zeros((slices[0].Columns, slices[0].Rows, len(slices)), np.uint8)
    mask[3:13, 5:9, 2:6] = 4  # low in all three, and as long as broad nowhere: any swap or flip moves it
    mask[30, 40, -2] = 1
    query = {"series": series, "annotator": "Dr Corner"}
    stored = requests.put(f"{base_url}/api/studies/{study}/label", params=query, data=mask.tobytes(order="F"), timeout=60)
    assert stored.status_code == 201, stored.text

    viewer.open(study)
    viewer.until("(await import('/ohif/braintumor/store.js')).store.state.mask")
    np.testing.assert_array_equal(viewer.mask(), mask.ravel(order="F"))
    inside = [(3, 5, 2), (12, 8, 5), (12, 5, 2), (3, 8, 5)]
    outside = [(2, 5, 2), (13, 8, 5), (3, 4, 2), (3, 9, 5), (3, 5, 1), (3, 5, 6), (3, 5, len(slices) - 3)]
    points = [in_millimetres(slices[k], i, j) for i, j, k in [*inside, *outside, (30, 40, len(slices) - 2)]]
    assert viewer.page.evaluate(SEEN, points) == [3] * len(inside) + [0] * len(outside) + [1]
    viewer.shot("slices")
