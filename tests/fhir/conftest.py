"""A real FHIR server for tests, or a skip with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from deploy.dev.fhir_server import FhirServer, missing


@pytest.fixture(scope="session")
def started() -> Iterator[FhirServer]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with FhirServer() as server:
        yield server


@pytest.fixture
def server(started: FhirServer) -> FhirServer:
    """An empty server."""
    httpx.post(f"{started.url}/$clear", json={}).raise_for_status()
    return started
