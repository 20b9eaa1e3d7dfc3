"""The way back: an encrypted file of its own that maps pseudonyms, UIDs and date shifts to the originals."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from braintumor.domain import DeidentificationError, write_bytes

_MAGIC = b"braintumor-vault "
_VERSION = 1
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""OWASP's recommendation for scrypt: 128 MB and some tenths of a second for each guess."""
_LARGEST_COST = 2**20
SHORTEST_PASSPHRASE = 10


@dataclass(frozen=True, slots=True)
class Person:
    """A patient as the hospital knows them."""

    patient_id: str = field(repr=False)
    name: str = field(repr=False)
    birth_date: str = field(repr=False)
    shift_days: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Originals:
    """What an export replaced.

    Attributes
    ----------
    people
        Pseudonym -> patient.
    uids
        New UID -> original.
    """

    people: Mapping[str, Person] = field(default_factory=dict, repr=False)
    uids: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Vault:
    """A file, made by the first export into it, and the passphrase that opens it."""

    path: Path
    passphrase: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.passphrase) < SHORTEST_PASSPHRASE:
            raise DeidentificationError(
                f"The vault's passphrase has fewer than {SHORTEST_PASSPHRASE} characters",
                remedy="Choose a longer one; several words are easy to remember",
            )

    def read(self) -> Originals:
        """Everything in it.

        Raises
        ------
        DeidentificationError
            If it does not exist, is damaged, or the passphrase is not its own.
        """
        return _originals(self._open()[1])

    def check(self, fingerprint: str) -> None:
        """Refuse early what `add` would refuse at the end."""
        if self.path.exists():
            self._same_key(self._open()[1], fingerprint)

    def add(self, originals: Originals, fingerprint: str) -> None:
        """Merge an export into the vault; when this returns, a power cut loses nothing.

        Raises
        ------
        DeidentificationError
            As `read`, if the vault belongs to another key, or one pseudonym or UID stands for two originals.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self.path):
                content: dict[str, Any] = {"key": fingerprint, "people": {}, "uids": {}}
                if self.path.exists():
                    content = self._open()[1]
                    self._same_key(content, fingerprint)
                people = {p: _as_json(person) for p, person in originals.people.items()}
                _refuse_clash(content["people"], people, ("patient_id", "shift_days"))
                _refuse_clash(content["uids"], dict(originals.uids), ())
                content["people"] |= people
                content["uids"] |= originals.uids
                write_bytes(self.path, self._sealed(content))
                self.path.chmod(0o600)
        except OSError as error:
            problem = f"The vault cannot be written: {error.strerror}"
            raise DeidentificationError(problem, remedy="Choose a place you may write to", path=self.path) from error

    def _sealed(self, content: dict[str, Any]) -> bytes:
        salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
        header = {"version": _VERSION, **_SCRYPT, "salt": salt.hex(), "nonce": nonce.hex()}
        head = _MAGIC + json.dumps(header).encode() + b"\n"
        plain = zlib.compress(json.dumps(content).encode())
        return head + AESGCM(self._derived(header)).encrypt(nonce, plain, head)

    def _open(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise DeidentificationError(f"The vault {reason}", remedy="Check the path", path=self.path) from error
        head, _, sealed = data.partition(b"\n")
        try:
            header = json.loads(head.removeprefix(_MAGIC))
            if not head.startswith(_MAGIC) or header["version"] != _VERSION or header["n"] * header["r"] > 8 * _LARGEST_COST:
                raise ValueError
            key, nonce = self._derived(header), bytes.fromhex(header["nonce"])
        except (ValueError, KeyError, TypeError) as error:
            remedy = "Name a vault of this program, or restore it from a backup"
            raise DeidentificationError("The file is no vault, or is damaged", remedy=remedy, path=self.path) from error
        try:
            plain = AESGCM(key).decrypt(nonce, sealed, head + b"\n")
        except InvalidTag as error:
            raise DeidentificationError(
                "The vault does not open: the passphrase is wrong, or the file was changed",
                remedy="Try the passphrase again, or restore the vault from a backup",
                path=self.path,
            ) from error
        return header, dict(json.loads(zlib.decompress(plain)))

    def _derived(self, header: Mapping[str, Any]) -> bytes:
        scrypt = Scrypt(salt=bytes.fromhex(header["salt"]), length=32, n=header["n"], r=header["r"], p=header["p"])
        return scrypt.derive(self.passphrase.encode())

    def _same_key(self, content: Mapping[str, Any], fingerprint: str) -> None:
        if content["key"] != fingerprint:
            raise DeidentificationError(
                "The vault belongs to another key", remedy="Use the key of its earlier exports, or a new vault", path=self.path
            )


def _originals(content: Mapping[str, Any]) -> Originals:
    return Originals({name: Person(**person) for name, person in content["people"].items()}, content["uids"])


def _as_json(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in ("patient_id", "name", "birth_date", "shift_days")}


def _refuse_clash(known: Mapping[str, Any], new: Mapping[str, Any], fields: tuple[str, ...]) -> None:
    def identity(value: Any) -> Any:
        return tuple(value[name] for name in fields) if fields else value

    if any(identity(known[name]) != identity(value) for name, value in new.items() if name in known):
        problem = "A pseudonym or UID of this export stands for something else in the vault"
        raise DeidentificationError(problem, remedy="Use a new vault, and keep both")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two exports at a time wait for each other: reading, merging and writing must not interleave."""
    place = path.with_name(f".{path.name}.lock")
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
