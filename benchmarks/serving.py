"""The server under load: ``python -m benchmarks.serving [--viewers 20]``.

Twenty viewers open studies (worklist, series, metadata, frames) while one inference and one training run. Printed: how long a
viewer's requests take meanwhile, how long *Segment* takes warm, how long until a study's first image, and the server's memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks import browser, machine, table
from benchmarks.stock_label import infer, stock_server
from braintumor import phantom

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="braintumor-serving-") as scratch:
        folder = Path(scratch) / "studies"
        _make_studies(options.case, folder, options.studies)
        with _server(folder, Path(scratch) / "state") as (address, process):
            client = httpx.Client(base_url=address, timeout=120)
            studies = client.get("/api/studies").json()
            worklist = [study["uid"] for study in studies]
            print(table.machine(machine.facts()))
            print(f"\nstudies {len(worklist)}, viewers {options.viewers}\n")
            _viewer(address, studies)
            print(f"requests for the first image      {_first_image(client, worklist[3]):8.2f} s")
            print(f"the same again                    {_first_image(client, worklist[3]):8.2f} s")
            print(f"Segment, first of this server     {_segment(client, worklist[0]):8.2f} s")
            _open(client, worklist[1])
            print(f"Segment, study open (warm)        {_segment(client, worklist[1]):8.2f} s")
            print(f"Segment, known already            {_segment(client, worklist[1]):8.2f} s")
            _label(client, worklist[:3])
            idle = _watch(address, worklist, 1, options.seconds / 4)
            print("\nrequests of one viewer, nothing else running")
            _print(idle)
            client.post("/api/train", json={"steps": 2000}).raise_for_status()
            inference = threading.Thread(target=_infer_on, args=(address, worklist, options.seconds), daemon=True)
            inference.start()
            busy = _watch(address, worklist, options.viewers, options.seconds)
            print(f"\nrequests of {options.viewers} viewers while one inference and one training run")
            _print(busy)
            memory = process.memory_info().rss / 1e9
            print(f"\nserver memory {memory:.2f} GB, training {client.get('/api/train').json()['job']['state']}")
            client.delete("/api/train")
        if options.case is not None:
            with stock_server(next(options.case.glob("*t1ce*")), Path(scratch) / "stock") as client:
                infer(client)
                print(f"\nstock MONAI Label 0.8.5, one series, warm {infer(client):8.2f} s (Segment above has four)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    data = Path(os.environ.get("BRAINTUMOR_DATA") or ROOT.parent / "shared" / "data") / "brats" / "BraTS2021_01657"
    parser.add_argument("--case", type=Path, default=data if data.is_dir() else None, help="NIfTI case; else a phantom")
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=40.0, help="how long the load lasts")
    return parser.parse_args()


def _make_studies(case: Path | None, folder: Path, count: int) -> None:
    """The same images as studies of different patients."""
    for number in range(count):
        source = folder.parent / f"case-{number}" / f"{case.name if case else 'PHANTOM'}_{number}"
        if case is None:
            visit = phantom.make(phantom.PhantomOptions(seed=number, skull=False))[0]
            phantom.write_nifti(visit, source)
        else:
            source.mkdir(parents=True)
            for path in case.iterdir():
                shutil.copy(path, source / path.name.replace(case.name, source.name))
        phantom.case_to_dicom(source, folder / str(number))


@contextmanager
def _server(studies: Path, state: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "braintumor", "serve", str(studies), "--port", str(port), "--state", str(state)]
    with (state.parent / "server.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _until_up(address)
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()


def _until_up(address: str) -> None:
    for _ in range(600):
        try:
            httpx.get(f"{address}/healthz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


def _viewer(address: str, studies: list[dict[str, Any]]) -> None:
    if browser.missing():
        print(f"first image in Chromium           not measured: {browser.missing()}")
        return
    fresh, *more = browser.by_address(address, [study["uid"] for study in studies[:3]])
    print(f"first image, browser just started {fresh:8.2f} s")
    print(f"first image, page loaded anew     {statistics.median(more):8.2f} s")
    listed = browser.from_worklist(address, [study["patient"]["id"] for study in studies[:3]])
    print(f"first image, from the worklist    {statistics.median(listed):8.2f} s")


def _segment(client: httpx.Client, study: str) -> float:
    started = time.perf_counter()
    job = client.post(f"/api/studies/{study}/segment").json()
    while job["state"] in ("pending", "running"):
        time.sleep(0.02)
        job = client.get(f"/api/jobs/{job['id']}").json()
    if job["state"] != "completed":
        raise SystemExit(f"segmentation failed: {job['problem']}")
    client.get(f"/api/studies/{study}/mask", params={"series": _reference(client, study)}).raise_for_status()
    return time.perf_counter() - started


def _reference(client: httpx.Client, study: str) -> str:
    sequences = client.get(f"/api/studies/{study}").json()["sequences"]
    return next(uid for uid, one in sequences.items() if one["sequence"] == "t1ce")


def _open(client: httpx.Client, study: str) -> None:
    """As the panel does; then the study is read in the background."""
    client.get(f"/api/studies/{study}").raise_for_status()
    while any(job["state"] in ("pending", "running") for job in client.get("/api/jobs").json()):
        time.sleep(0.1)


def _first_image(client: httpx.Client, study: str) -> float:
    """What OHIF asks before it can show a slice: the study's series, metadata of all four, one frame of each."""
    started = time.perf_counter()
    for series in client.get(f"/dicom-web/studies/{study}/series").json():
        uid = series["0020000E"]["Value"][0]
        instances = client.get(f"/dicom-web/studies/{study}/series/{uid}/metadata").json()
        sop = instances[len(instances) // 2]["00080018"]["Value"][0]
        client.get(f"/dicom-web/studies/{study}/series/{uid}/instances/{sop}/frames/1").raise_for_status()
    return time.perf_counter() - started


def _label(client: httpx.Client, studies: list[str]) -> None:
    """Something to train on: the model's own masks as if people had submitted them."""
    for study in studies:
        _segment(client, study)
        series = _reference(client, study)
        mask = client.get(f"/api/studies/{study}/mask", params={"series": series}).content
        params = {"series": series, "annotator": "Benchmark"}
        client.put(f"/api/studies/{study}/label", params=params, content=mask).raise_for_status()


def _infer_on(address: str, studies: list[str], seconds: float) -> None:
    """Inference without a pause: TTA scores are computed anew whichever study is asked for."""
    with httpx.Client(base_url=address, timeout=300) as client:
        until = time.monotonic() + seconds
        for strategy in ("tta", "dropout", "diverse") * 100:
            client.post("/api/next", json={"strategy": strategy})
            time.sleep(1)
            if time.monotonic() > until:
                return


def _watch(address: str, studies: list[str], viewers: int, seconds: float) -> dict[str, list[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=_view, args=(address, studies, until, n, times)) for n in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _view(address: str, studies: list[str], until: float, number: int, times: dict[str, list[float]]) -> None:
    """One person: opens a study, looks through slices, looks at the worklist; a moment of thought between requests."""
    random = np.random.default_rng(number)
    with httpx.Client(base_url=address, timeout=60) as client:

        def ask(name: str, url: str) -> httpx.Response:
            started = time.perf_counter()
            answer = client.get(url)
            times[name].append(time.perf_counter() - started)
            answer.raise_for_status()
            time.sleep(random.uniform(0.02, 0.2))
            return answer

        while time.monotonic() < until:
            ask("GET /info/", "/info/")
            study = str(random.choice(studies))
            series = [s["0020000E"]["Value"][0] for s in ask("QIDO series", f"/dicom-web/studies/{study}/series").json()]
            uid = str(random.choice(series))
            instances = ask("WADO metadata", f"/dicom-web/studies/{study}/series/{uid}/metadata").json()
            for instance in random.choice(instances, 8):
                sop = instance["00080018"]["Value"][0]
                ask("WADO frame", f"/dicom-web/studies/{study}/series/{uid}/instances/{sop}/frames/1")


def _print(times: dict[str, list[float]]) -> None:
    print(f"{'':<16}{'count':>8}{'median ms':>12}{'p95 ms':>10}{'max ms':>10}")
    for name, values in times.items():
        p95 = statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        row = (statistics.median(values), p95, max(values))
        print(f"{name:<16}{len(values):>8}" + "".join(f"{1000 * v:>{w}.0f}" for v, w in zip(row, (12, 10, 10), strict=True)))


if __name__ == "__main__":
    main()
