"""A real PACS for tests: Orthanc on the loopback interface, or a skip with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from deploy.dev.orthanc import Orthanc, missing


@contextmanager
def running(user: tuple[str, str] | None = None) -> Iterator[Orthanc]:
    """An empty Orthanc for the length of a block; skips the test where it is not installed."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with Orthanc(user=user) as server:
        yield server


def add(server: Orthanc, files: list[Path]) -> None:
    """Files arrive by another way than ours."""
    for path in files:
        requests.post(_rest(server, "instances"), data=path.read_bytes(), timeout=10).raise_for_status()


def empty(server: Orthanc) -> None:
    """Remove everything."""
    for study in requests.get(_rest(server, "studies"), timeout=10).json():
        requests.delete(_rest(server, f"studies/{study}"), timeout=10).raise_for_status()


def _rest(server: Orthanc, path: str) -> str:
    return f"{server.url.removesuffix('/dicom-web')}/{path}"
