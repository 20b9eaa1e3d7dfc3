"""Requests that schemathesis makes up from the OpenAPI document: whatever comes, the answer is not a 5xx."""

import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.server.served import serve


@pytest.fixture(scope="module")
def app(dicom_study, tmp_path_factory):
    base = tmp_path_factory.mktemp("schema")
    shutil.copytree(dicom_study, base / "studies")
    made = serve(base / "studies", base / "state")
    yield made
    made.state.workspace.close()


def test_no_request_ends_in_a_server_error(app):
    """schemathesis' own pytest plug-in does not know pytest 9, so its operations are gone through here."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    failures = {}
    for operation in operations:
        _ask(operation, failures)
    assert failures == {}
    assert len(operations) > 30


def _ask(operation, failures):
    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=operation.as_strategy())
    def ask(case):
        try:
            response = case.call()
        except Exception as error:  # noqa: BLE001  the test client raises what a server would answer with 500
            failures[operation.label] = f"{type(error).__name__}: {error} for {case.formatted_path}"
            return
        if response.status_code >= 500:
            failures[operation.label] = f"{response.status_code} {response.text[:200]} for {case.formatted_path}"

    ask()
