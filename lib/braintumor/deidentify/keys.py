"""The secret that pseudonyms, new UIDs and date shifts follow from, so that every run of a project agrees with the last."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from braintumor.domain import DeidentificationError, sync_folder

_HEAD = "braintumor-deidentification-key-1"
_BYTES = 32
PREFIX = "BT-"
_LETTERS = 10
LARGEST_SHIFT_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Key:
    """32 secret random bytes; whoever has them can test a guess of a patient's ID, so they never leave the hospital."""

    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without giving anything away."""
        return self._mac("fingerprint", "").hex()[:16]

    def pseudonym(self, identity: str) -> str:
        """``BT-`` and ten letters and digits (50 bits), the same for the same identity in every run with this key."""
        return PREFIX + base64.b32encode(self._mac("patient", identity)).decode()[:_LETTERS]

    def uid(self, original: str) -> str:
        """A UID below 2.25 (PS3.5 B.2), the same for the same original."""
        return f"2.25.{uuid.UUID(bytes=self._mac('uid', original)[:16], version=5).int}"

    def shift_days(self, identity: str) -> int:
        """Whole days to add to all dates of a patient: -3650..-1."""
        return -1 - int.from_bytes(self._mac("shift", identity)[:8], "big") % LARGEST_SHIFT_DAYS

    def _mac(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()


def create_key(path: Path) -> Key:
    """Make a key and write it to a new file that only its owner can read.

    Raises
    ------
    DeidentificationError
        If the file exists already, or cannot be written.
    """
    key = Key(secrets.token_bytes(_BYTES))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{_HEAD}\n{base64.b64encode(key.secret).decode()}\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError as error:
        remedy = "Use it, or name another file; with another key the same patients get other pseudonyms"
        raise DeidentificationError("A file of this name exists already", remedy=remedy, path=path) from error
    except OSError as error:
        problem = f"The key cannot be written: {error.strerror}"
        raise DeidentificationError(problem, remedy="Choose a folder you may write to", path=path) from error
    return key


def load_key(path: Path) -> Key:
    """Read a key.

    Raises
    ------
    DeidentificationError
        If it is missing, no key, or others than its owner can read it.
    """
    try:
        mode, lines = path.stat().st_mode, path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        problem = "The key does not exist" if isinstance(error, FileNotFoundError) else "The key cannot be read"
        remedy = "Make one with `braintumor deidentify key FILE`, or check the path"
        raise DeidentificationError(problem, remedy=remedy, path=path) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = "Others than its owner can use the key"
        raise DeidentificationError(problem, remedy="Run chmod 600 on it, or make a new one if it may be known", path=path)
    try:
        head, text = lines
        secret = base64.b64decode(text, validate=True)
        if head != _HEAD or len(secret) != _BYTES:
            raise ValueError
    except ValueError as error:
        raise DeidentificationError(
            "The file is no key", remedy="Name a file of `braintumor deidentify key`", path=path
        ) from error
    return Key(secret)
