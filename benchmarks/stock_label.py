"""Stock MONAI Label 0.8.5 segmenting one series: its own task class, MONAI's AttentionUnet, float32, random weights.

The release does not start with pydicom 3, so the one import that fails is mended for it (`braintumor.server.upstream`). It gets
NIfTI, which spares it the conversion from DICOM, and one sequence instead of four.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

APP = """
import torch
from monai.inferers import SliceInferer
from monai.networks.nets import AttentionUnet
from monai.transforms import (Activationsd, AsDiscreted, EnsureChannelFirstd, EnsureTyped, LoadImaged, NormalizeIntensityd,
                              SqueezeDimd, ToNumpyd)
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask


class Task(BasicInferTask):
    def __init__(self, path, network):
        super().__init__(path, network, InferType.SEGMENTATION, {"a": 1, "b": 2, "c": 3}, 3, "one series", preload=True)

    def pre_transforms(self, data=None):
        normal = NormalizeIntensityd("image", nonzero=True)
        return [LoadImaged("image"), EnsureChannelFirstd("image"), normal, EnsureTyped("image")]

    def inferer(self, data=None):
        return SliceInferer(roi_size=(240, 240), sw_batch_size=16, spatial_dim=2)

    def post_transforms(self, data=None):
        labels = [Activationsd("pred", softmax=True), AsDiscreted("pred", argmax=True), SqueezeDimd("pred", dim=0)]
        return [*labels, ToNumpyd("pred")]  # no resampling, so nothing to restore


class Stock(MONAILabelApp):
    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf, name="stock")

    def init_infers(self):
        network = AttentionUnet(2, 1, 4, (32, 64, 128, 256, 512), (2, 2, 2, 2))
        path = self.app_dir + "/model/pretrained_stock.pt"
        torch.save(network.state_dict(), path)
        return {"stock": Task([path], network)}
"""

START = """
import braintumor.server.upstream
from monailabel.app import app
"""


@contextmanager
def stock_server(image: Path, folder: Path) -> Iterator[httpx.Client]:
    """A running stock server whose one image is called ``case``."""
    for name in ("app/model", "studies"):
        (folder / name).mkdir(parents=True)
    (folder / "app" / "main.py").write_text(textwrap.dedent(APP))
    (folder / "stock_start.py").write_text(textwrap.dedent(START))
    (folder / "studies" / "case.nii.gz").write_bytes(image.read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(folder / "app")]
    command += ["--studies", str(folder / "studies"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--uvicorn_app", "stock_start:app"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
                _until_up(client, process, folder / "log")
                yield client
        finally:
            process.terminate()


def infer(client: httpx.Client) -> float:
    """Seconds of one request."""
    started = time.perf_counter()
    params = {"params": '{"device": "cpu", "result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": false}'}
    client.post("/infer/stock", params={"image": "case", "output": "image"}, data=params).raise_for_status()
    return time.perf_counter() - started


def _until_up(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            client.get("/info/").raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None:
                raise SystemExit(f"stock MONAI Label did not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.2)
        else:
            return
