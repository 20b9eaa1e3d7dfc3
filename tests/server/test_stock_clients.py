"""MONAI Label's own client, and the requests of the shipped OHIF plug-in, against our server."""

import json
import socket
import threading
import time

import nibabel as nib
import nrrd
import numpy as np
import pytest
import uvicorn
from monailabel.client import MONAILabelClient

from braintumor.server.tasks import MODEL


@pytest.fixture(scope="module")
def address(server):
    """The app behind a real socket: MONAI Label's client speaks http.client."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runner = uvicorn.Server(uvicorn.Config(server.client.app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    runner.should_exit = True
    thread.join(5)


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    return MONAILabelClient(address, tmpdir=str(tmp_path_factory.mktemp("client")), client_id="Grace Hopper")


def test_info(client):
    info = client.info()
    labels = info["models"][MODEL]["labels"]
    assert sorted(labels.values()) == [1, 2, 4]
    assert {"entropy", "random"} <= set(info["strategies"])


def test_the_shipped_plug_in_gets_a_bare_nrrd_in_the_order_of_the_series(server, address):
    """ANCHORS 3.3: it copies voxels blindly, so size, type and values must be those of the series on screen."""
    options = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, "restore_label_idx": False}
    for uid in (server.series["t2"], server.series["flair"]):
        response = server.client.post(
            f"/infer/{MODEL}", params={"image": uid, "output": "image"}, data={"params": json.dumps(options)}
        )
        assert response.status_code == 200, response.text
        header = nrrd.read_header(iter(response.content.split(b"\n\n")[0].decode().splitlines(keepends=True)))
        voxels = response.content.split(b"\n\n", 1)[1]
        ours, _ = server.mask(uid)
        assert header["type"] in ("uint8", "unsigned char")
        assert header["encoding"] == "raw"
        assert voxels == ours.tobytes(order="F")


def test_infer_by_study_or_series_gives_a_mask_file_and_facts(server, client):
    for image in (server.study, server.series["flair"]):
        file, params = client.infer(MODEL, image, {})
        mask = nib.load(file)
        assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1, 2, 4}
        assert params["measurements"]["regions"]["WT"]["volume_ml"] > 0


def test_a_label_saved_by_a_stock_client_is_the_label(server, client, tmp_path):
    file, _ = client.infer(MODEL, server.series["t1ce"], {})
    image = nib.load(file)
    voxels = np.asarray(image.dataobj).copy()
    voxels[voxels == 2] = 0
    # as 3D Slicer may send it: the axes turned round, which is the same voxels
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned[0, 3] = voxels.shape[0] - 1
    flipped = nib.Nifti1Image(voxels[::-1].copy(), image.affine @ turned)
    nib.save(flipped, tmp_path / "label.nii.gz")
    client.save_label(server.series["t1ce"], str(tmp_path / "label.nii.gz"), tag="final", params={})
    newest = server.client.get(f"/api/studies/{server.study}").json()["versions"][0]
    assert newest["author"] == "Grace Hopper"
    stored, _ = server.mask(server.series["t1ce"], newest["uid"])
    assert np.array_equal(stored, voxels)
    stats = server.client.get("/datastore/").json()
    assert stats["completed"] == 1
    named = [(s.uid, s.kind) for s in server.client.app.state.workspace.store.labels(server.study)]
    assert (newest["uid"], "human") in named


def test_a_label_that_is_elsewhere_is_refused(server, client, tmp_path):
    file, _ = client.infer(MODEL, server.series["t1ce"], {})
    image = nib.load(file)
    moved = image.affine.copy()
    moved[0, 3] += 40
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), tmp_path / "label.nii.gz")
    before = server.client.get(f"/api/studies/{server.study}").json()["versions"]
    with (tmp_path / "label.nii.gz").open("rb") as label:
        response = server.client.put(
            "/datastore/label", params={"image": server.series["t1ce"]}, files={"label": ("label.nii.gz", label)}
        )
    assert response.status_code == 422
    assert server.client.get(f"/api/studies/{server.study}").json()["versions"] == before


def test_raw_bytes_as_the_old_plug_in_sends_them(server):
    server.segment()
    mask, _ = server.mask(server.series["t2"])
    response = server.client.put(
        "/datastore/label", params={"image": server.series["t2"]}, files={"label": ("label.bin", mask.tobytes(order="F"))}
    )
    assert response.status_code == 200, response.text
    assert np.array_equal(server.mask(server.series["t2"], response.json()["label"])[0], mask)


def test_next_sample_and_training_status(server, client):
    """The only study is labelled by now, so there is no next one; no job runs, which MONAI Label says with 404."""
    assert client.next_sample("random", {}) == {}
    assert server.client.get("/train/", params={"check_if_running": True}).status_code == 404
    assert server.client.get("/batch/infer", params={"check_if_running": True}).status_code == 404


def test_the_image_itself_for_viewers_that_download_it(server):
    response = server.client.get("/datastore/image", params={"image": server.series["t1"]})
    assert response.status_code == 200
    assert response.content[:2] == b"\x1f\x8b"
    info = server.client.get("/datastore/image/info", params={"image": server.series["t1"]}).json()
    assert info["StudyInstanceUID"] == server.study
    assert info["sequences"] == server.series


def test_nothing_is_uploaded_or_deleted_through_monai_label(server):
    assert server.client.delete("/datastore/image", params={"id": server.study}).status_code == 422
    assert server.client.delete("/datastore/label", params={"id": server.study, "tag": "final"}).status_code == 422
    assert server.client.put(f"/model/{MODEL}").status_code == 404
