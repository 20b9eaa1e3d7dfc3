"""A signer whose key never leaves a smart card or a hardware security module, reached through PKCS#11."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography import x509

from braintumor.domain import NotInstalledError, SigningKeyError
from braintumor.signing.signer import Signer, check_usable, to_asn1


@contextmanager
def open_token(
    module: Path,
    *,
    label: str,
    pin: bytes | None,
    token: str | None = None,
    chain: Sequence[x509.Certificate] = (),
) -> Iterator[Signer]:
    """A signer on a token, for as long as its session is open.

    Parameters
    ----------
    module
        The maker's PKCS#11 library, e.g. ``/usr/lib/softhsm/libsofthsm2.so``.
    label
        Of the certificate and its key on the token.
    pin
        From `braintumor.signing.read_passphrase`; None for a reader with its own keypad.
    token
        Label of the token, needed where the module has more than one.
    chain
        Intermediate certificates.

    Raises
    ------
    NotInstalledError
        If python-pkcs11 is not installed.
    SigningKeyError
        If the module, token, certificate or key is not there, the PIN is wrong, or the certificate is not for signing.
    """
    try:
        import pkcs11
        from pyhanko.config.pkcs11 import PKCS11PinEntryMode, PKCS11SignatureConfig, TokenCriteria
        from pyhanko.sign.general import SigningError as HankoError
        from pyhanko.sign.pkcs11 import PKCS11SigningContext
    except ImportError as error:
        raise NotInstalledError(
            "Signing with a token needs the package python-pkcs11", remedy="Run pip install 'pyHanko[pkcs11]'"
        ) from error
    if not module.is_file():
        raise SigningKeyError(
            f"There is no PKCS#11 module {module.name}", remedy="Install the software of the token's maker", path=module
        )
    config = PKCS11SignatureConfig(
        module_path=str(module),
        cert_label=label,
        key_label=label,
        token_criteria=None if token is None else TokenCriteria(label=token),
        other_certs=[to_asn1(certificate) for certificate in chain],
        prompt_pin=PKCS11PinEntryMode.DEFER,
    )
    context = PKCS11SigningContext(config, None if pin is None else pin.decode())
    with ExitStack() as stack:
        try:
            backend = stack.enter_context(context)
        except (HankoError, pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the file is no such module
            raise SigningKeyError(
                f"The token behind {module.name} cannot be opened ({_words(error)})",
                remedy="Check that it is plugged in, its label, and its PIN (a few wrong PINs lock it)",
                path=module,
            ) from error
        try:
            certificate = x509.load_der_x509_certificate(backend.signing_cert.dump())
        except (HankoError, pkcs11.PKCS11Error, AttributeError) as error:
            raise SigningKeyError(
                f"The token holds no certificate and key with the label {label}",
                remedy="List its objects and choose another label",
            ) from error
        check_usable(certificate)
        yield Signer(certificate, tuple(chain), (), backend)


def _words(error: BaseException) -> str:
    """The innermost reason, e.g. ``PinIncorrect``; its own text is empty for most errors of the module."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
