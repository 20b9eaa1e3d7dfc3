"""Who is never trained on: a rule by patient, decided once, written to a file and kept for all later runs."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor.domain import CorruptFileError, write_json

RULE = (
    "A patient is held out if SHA-256(salt + patient), as a fraction of its range, is below the share. If that holds out "
    "nobody and there are at least two new patients, the new one with the lowest fraction is. A patient never changes sides."
)


@dataclass(frozen=True, slots=True)
class Division:
    """Patients (as given) on both sides."""

    train: frozenset[str]
    heldout: frozenset[str]


def divide(patients: Iterable[str], path: Path, share: float = 0.2, salt: str | None = None) -> Division:
    """Put each patient on the side recorded in the file, and new ones on the side the rule says, which is recorded then.

    Parameters
    ----------
    path
        The file; made the first time. It holds salted hashes, no identifiers.
    share, salt
        Used the first time only; the file's own are used from then on. None draws a salt.

    Raises
    ------
    CorruptFileError
        If the file is damaged: a new one could hold out patients who were trained on.
    """
    record: dict[str, Any] = {"rule": RULE, "share": share, "salt": salt or secrets.token_hex(8), "sides": {}}
    if path.exists():
        record = _read(path)
    sides, known = dict(record["sides"]), set(record["sides"])
    keys = {patient: _key(record["salt"], patient) for patient in patients}
    for key in sorted(keys.values()):
        if key not in sides:
            sides[key] = "heldout" if _fraction(key) < record["share"] else "train"
    new = sorted(set(sides) - known)
    if "heldout" not in sides.values() and len(new) > 1:
        sides[new[0]] = "heldout"  # a hash sorts like its fraction
    if sides.keys() != known or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**record, "sides": dict(sorted(sides.items()))})
    on = {side: frozenset(p for p, key in keys.items() if sides[key] == side) for side in ("train", "heldout")}
    return Division(on["train"], on["heldout"])


def _key(salt: str, patient: str) -> str:
    return hashlib.sha256(f"{salt}{patient}".encode()).hexdigest()


def _fraction(key: str) -> float:
    return float(int(key, 16) / 16 ** len(key))


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
        sides = record["sides"].values()
        if not (set(sides) <= {"train", "heldout"} and 0 <= float(record["share"]) <= 1 and isinstance(record["salt"], str)):
            raise ValueError("unknown content")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFileError(
            "The record of held-out patients cannot be read",
            remedy="Restore it from a copy; a new one could measure a model on patients it was trained on",
            path=path,
        ) from error
    return dict(record)
