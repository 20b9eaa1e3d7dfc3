"""Secrets come from a file or the environment, never from a command line, and not from files that everybody can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from braintumor.domain import SigningKeyError

_LOCK = (
    "Run chmod 600 on it; for a secret of Docker or Kubernetes set its mode to 0400, or to 0440 with the group of the process"
)


def read_passphrase(*, variable: str | None = None, file: Path | None = None) -> bytes | None:
    """The passphrase of a key, or the PIN of a token.

    A command line is no source on purpose: every user of the machine sees it in the list of processes, and shells keep it.

    Parameters
    ----------
    variable
        Name of an environment variable that holds it.
    file
        A file that holds it; line ends after it do not belong to it.

    Returns
    -------
    bytes or None
        None when neither source is given: the key is not locked.

    Raises
    ------
    SigningKeyError
        If both sources are given, or the one given is missing, empty, or a file that everybody can read.
    """
    if variable is not None and file is not None:
        raise SigningKeyError("Two passphrases were given", remedy="Name either an environment variable or a file, not both")
    if variable is not None:
        words = os.environ.get(variable, "").encode()
        source = f"The environment variable {variable}"
    elif file is not None:
        words = read_secret(file, clear=True)[0].rstrip(b"\r\n")
        source = f"The passphrase file {file.name}"
    else:
        return None
    if not words:
        remedy = "Put the passphrase there, or do not name it if the key has none"
        raise SigningKeyError(f"{source} is empty or not set", remedy=remedy)
    return words


def read_secret(path: Path, *, clear: bool) -> tuple[bytes, tuple[str, ...]]:
    """Content of a file that holds a secret, and a warning where other users can read it.

    A secret in clear that everybody on the machine can read counts as lost, so it is refused (as ssh does). One that is
    locked by a passphrase is only worth a warning, and so is one in clear that a group can read: orchestrators hand
    secrets to a process that way.

    Parameters
    ----------
    clear
        True if the file alone is enough to sign, or to unlock the key.

    Raises
    ------
    SigningKeyError
        If it cannot be read, or everybody can.
    """
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode if os.name == "posix" else 0  # elsewhere mode bits say nothing about access lists
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        remedy = "Check the path and who may read it"
        raise SigningKeyError(f"The file {path.name} {reason}", remedy=remedy, path=path) from error
    if mode & stat.S_IROTH and clear:
        raise SigningKeyError(f"The file {path.name} holds a secret in clear that every user can read", remedy=_LOCK, path=path)
    if mode & stat.S_IROTH:
        return content, (f"Every user of this machine can read {path.name}. {_LOCK}.",)
    if mode & stat.S_IRGRP and clear:
        return content, (f"A whole group can read {path.name}, which holds a secret in clear. {_LOCK}.",)
    return content, ()
