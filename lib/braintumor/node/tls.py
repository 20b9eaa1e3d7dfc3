"""TLS of DICOM connections in both directions (PS3.15 B.9, BCP 195): version 1.2 or newer."""

from __future__ import annotations

import ssl

from braintumor.domain import SettingsError
from braintumor.node.settings import Tls


def server_context(tls: Tls) -> ssl.SSLContext:
    """For connections from others; with `tls.ca`, they must show a certificate of it.

    Raises
    ------
    SettingsError
        If a file is missing, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise _unusable() from error
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """For connections to others, whose certificate is checked against `tls.ca`, or the system's authorities without one.

    Raises
    ------
    SettingsError
        See `server_context`.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise _unusable() from error
    return context


def _unusable() -> SettingsError:
    problem = "The certificate, key or CA of a tls setting cannot be used"
    return SettingsError(problem, remedy="Give PEM files that belong together")
