"""Settings of a destination, with its secrets from the environment, become an outlet."""

from __future__ import annotations

import os
from collections.abc import Mapping

from braintumor.archive.remote import Credentials
from braintumor.domain import FhirError, SettingsError
from braintumor.node.deliver.commitment import CommitmentInbox
from braintumor.node.deliver.dicom import DicomOutlet
from braintumor.node.deliver.fhir import FhirOutlet
from braintumor.node.deliver.folder import FolderOutlet
from braintumor.node.deliver.outlet import Destination
from braintumor.node.deliver.web import WebOutlet
from braintumor.node.settings import DestinationSettings


def open_destination(
    settings: DestinationSettings,
    *,
    calling: str = "BRAINTUMOR",
    inbox: CommitmentInbox | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Destination:
    """The outlet of a destination; it is not asked anything yet.

    Parameters
    ----------
    calling
        AE title of this node.
    inbox
        Where the node's DICOM service puts answers of Storage Commitment.
    environment
        Has ``BRAINTUMOR_<NAME>_USER``, ``_PASSWORD`` and ``_TOKEN``, the name in capitals and with ``_`` for ``-``.

    Raises
    ------
    SettingsError
        If an address, a certificate or a way to confirm cannot be used.
    """
    if settings.verify == "commitment" and settings.kind != "dicom":
        raise _wrong(settings, "only destinations of kind dicom confirm by commitment")
    secrets = _credentials(settings, environment)
    try:
        match settings.kind:
            case "dicom":
                return DicomOutlet(settings, calling, inbox or CommitmentInbox())
            case "dicomweb":
                return _web(settings, secrets)
            case "fhir":
                return _fhir(settings, secrets)
            case "folder":
                return _folder(settings)
    except OSError as error:  # also what ssl raises
        raise _wrong(settings, "a certificate or key of its tls cannot be read") from error


def _web(settings: DestinationSettings, secrets: Credentials) -> WebOutlet:
    try:
        return WebOutlet(settings, secrets)
    except ValueError as error:
        raise _wrong(settings, "its url is no address of a DICOMweb service") from error


def _fhir(settings: DestinationSettings, secrets: Credentials) -> FhirOutlet:
    if secrets.user:
        raise _wrong(settings, "a FHIR server is given a token, not a user and password")
    try:
        return FhirOutlet(settings, secrets.token)
    except FhirError as error:
        raise _wrong(settings, error.problem) from error


def _folder(settings: DestinationSettings) -> FolderOutlet:
    if settings.folder is None:
        raise _wrong(settings, "it needs a folder")
    return FolderOutlet(settings.folder)


def _credentials(settings: DestinationSettings, environment: Mapping[str, str]) -> Credentials:
    prefix = f"BRAINTUMOR_{settings.name.upper().replace('-', '_')}_"
    user, password, token = (environment.get(prefix + name, "") for name in ("USER", "PASSWORD", "TOKEN"))
    return Credentials(user, password, token)


def _wrong(settings: DestinationSettings, why: str) -> SettingsError:
    return SettingsError(f"The destination '{settings.name}' cannot be used: {why}", remedy="See docs/node.md")
