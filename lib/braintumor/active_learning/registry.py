"""Versioned models: what is served now, what was served before, and the switch between them as one rename."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from braintumor.domain import BusyError, Flag, OutputError, Severity, UnknownVersionError, WeightsError, sync_folder, write_json
from braintumor.segment import weights
from braintumor.segment.weights import METADATA, WEIGHTS, default_folder

_POINTER = "current.json"
_LOCK = "lock"
_VERSIONS = "versions"
_FACTS = "version.json"
_INCOMING = ".incoming-"
_RETRAINED = re.compile(r"\+r(?P<number>\d+)$")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One model that can be served.

    Attributes
    ----------
    version
        The shipped weights' own version, or that with ``+r1``, ``+r2`` ... of a retraining here (build metadata of semantic
        versioning); numbers only rise and are never used twice.
    folder
        A complete model folder for `braintumor.segment.weights.load` and `braintumor.segment.load_engine`.
    checksum
        SHA-256 of its weights file.
    made
        When it was published; for the shipped model, when its file was written.
    parent
        The version that was served when it was published; None for the shipped model.
    evidence
        What spoke for it, JSON-ready (Dice before and after ...).
    flags
        What its reader must know, e.g. ``served-model-fallback``.
    """

    version: str
    folder: Path
    checksum: str
    made: datetime
    parent: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()


class Registry:
    """The models of one installation: the shipped one, and the ones retrained from it.

    ``versions/<version>/`` are complete model folders that never change; ``current.json`` names the one served. Without that
    file, and without retrained versions, the shipped model is served.

    Parameters
    ----------
    folder
        Made when something is published first.
    shipped
        Model folder that came with the program; None for `braintumor.segment.weights.default_folder`.
    """

    def __init__(self, folder: Path, shipped: Path | None = None) -> None:
        self.folder = folder
        self.shipped = shipped or default_folder()
        self._verified: dict[tuple[str, int, int], str] = {}

    def current(self) -> ModelVersion:
        """The version served now.

        If the pointer is damaged or gone although versions were published, or what it names is damaged, it is the shipped
        model with the flag ``served-model-fallback``: a hospital must not lose segmentation over a lost file, nor
        get another model without being told.

        Raises
        ------
        WeightsError
            If the shipped model itself is not complete.
        """
        name, problem = self._pointed()
        shipped = self._shipped()
        if problem is None and name in (None, shipped.version):
            return shipped
        if problem is None and name is not None:
            try:
                return self._published(name)
            except (WeightsError, UnknownVersionError) as error:
                problem = error.problem
        message = f"The shipped model {shipped.version} is served instead of the one chosen: {problem}. Choose a version again."
        return replace(shipped, flags=(Flag("served-model-fallback", Severity.SERIOUS, message),))

    def versions(self) -> tuple[ModelVersion, ...]:
        """The shipped model first, then the retrained ones in the order they were made; damaged ones are left out."""
        found = []
        for name in sorted(self._names(), key=_number):
            try:
                found.append(self._published(name))
            except WeightsError:
                continue
        return (self._shipped(), *found)

    def get(self, version: str) -> ModelVersion:
        """The version of that name.

        Raises
        ------
        UnknownVersionError
            If there is none.
        WeightsError
            If its files are not what was published.
        """
        shipped = self._shipped()
        return shipped if version == shipped.version else self._published(version)

    def publish(self, candidate: Path, evidence: Mapping[str, Any], *, instead_of: str | None = None) -> ModelVersion:
        """Add a model folder as the next version and serve it.

        Killed at any moment, the version served is the old one or the new one, and a version is listed only when complete.
        A candidate whose weights were published already on top of the same version is served again instead of added twice, so
        a run that died in here may simply publish again.

        Parameters
        ----------
        candidate
            A complete model folder; copied.
        evidence
            JSON-ready; kept with the version.
        instead_of
            The version that the evidence was measured against, if it matters: nothing happens if another is served by now.

        Raises
        ------
        WeightsError
            If the candidate is not a complete model folder.
        BusyError
            If another version than `instead_of` is served.
        OutputError
            If it cannot be written.
        """
        model = weights.load(candidate)
        with self._locked():
            current = self.current()
            twin = next((v for v in self.versions()[1:] if v.checksum == model.checksum and _is_twin(v, current)), None)
            if twin is None:
                if instead_of is not None and current.version != instead_of:
                    raise BusyError(
                        f"The model served is {current.version} by now, not {instead_of}",
                        remedy="Compare the candidate with the one that is served, and publish it then",
                    )
                twin = self._add(candidate, model.checksum, current, dict(evidence))
            self._point(twin.version)
            return twin

    def serve(self, version: str) -> ModelVersion:
        """Serve that version from now on: roll back or forward.

        Raises
        ------
        UnknownVersionError
            If there is none of that name.
        WeightsError
            If its files are not what was published; what is served stays as it is.
        OutputError
            If the choice cannot be written.
        """
        chosen = self.get(version)
        with self._locked():
            self._point(chosen.version)
        return chosen

    def _names(self) -> list[str]:
        place = self.folder / _VERSIONS
        return [p.name for p in place.glob("[!.]*") if _RETRAINED.search(p.name) and p.is_dir()]

    def _shipped(self) -> ModelVersion:
        metadata = _json(self.shipped / METADATA)
        checksum = self._verify(self.shipped, str(metadata.get("checksum_sha256", "")))
        made = datetime.fromtimestamp((self.shipped / WEIGHTS).stat().st_mtime, UTC)
        return ModelVersion(str(metadata.get("version", "0")), self.shipped, checksum, made)

    def _published(self, name: str) -> ModelVersion:
        if name not in self._names():
            raise UnknownVersionError(f"There is no model version {name}", remedy="Choose one of the versions listed")
        folder = self.folder / _VERSIONS / name
        facts = _json(folder / _FACTS)
        try:
            made = datetime.fromisoformat(facts["made"])
            version = ModelVersion(name, folder, str(facts["checksum"]), made, facts["parent"], facts["evidence"])
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(folder / _FACTS) from error
        self._verify(folder, version.checksum)
        return version

    def _verify(self, folder: Path, recorded: str) -> str:
        """The checksum of a folder's weights, which must be the recorded one; a file that did not change is read once."""
        path = folder / WEIGHTS
        try:
            facts = path.stat()
            key = (str(path), facts.st_mtime_ns, facts.st_size)
            if key not in self._verified:
                self._verified[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise _damaged(path) from error
        if self._verified[key] != recorded:
            raise _damaged(path)
        return recorded

    def _pointed(self) -> tuple[str | None, str | None]:
        """The version that the pointer names (None: the shipped one), or what is wrong with it."""
        try:
            content = json.loads((self.folder / _POINTER).read_text())
            return str(content["version"]), None
        except FileNotFoundError:
            return None, "the record of the version served is gone" if self._names() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None, "the record of the version served cannot be read"

    def _point(self, version: str) -> None:
        last = max([_number(name) for name in self._names()] + [self._last()])
        with _writing(self.folder):
            write_json(self.folder / _POINTER, {"version": version, "last": last})

    def _last(self) -> int:
        """The highest number ever given, though its folder may have been deleted since."""
        try:
            return int(json.loads((self.folder / _POINTER).read_text())["last"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _add(self, candidate: Path, checksum: str, parent: ModelVersion, evidence: dict[str, Any]) -> ModelVersion:
        number = 1 + max([_number(name) for name in self._names()] + [self._last()])
        base = _RETRAINED.sub("", self._shipped().version)
        name = f"{base}+r{number}"
        place, made = self.folder / _VERSIONS, datetime.now(UTC)
        if not self._names():
            self._point(parent.version)  # from now on a missing pointer means that it was lost
        with _writing(self.folder):
            place.mkdir(parents=True, exist_ok=True)
            for left in place.glob(f"{_INCOMING}*"):
                shutil.rmtree(left)
            incoming = place / f"{_INCOMING}{name}"
            shutil.copytree(candidate, incoming)
            metadata = {**_json(incoming / METADATA), "version": name, "parent": parent.version, "evidence": evidence}
            write_json(incoming / METADATA, metadata)
            facts = {"made": made.isoformat(), "checksum": checksum, "parent": parent.version, "evidence": evidence}
            write_json(incoming / _FACTS, facts)
            for path in incoming.rglob("*"):
                sync_folder(path)
            sync_folder(incoming)
            incoming.replace(place / name)
            sync_folder(place)
        return ModelVersion(name, place / name, checksum, made, parent.version, evidence)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all threads and processes; the system frees it when a process dies."""
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("a")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The model registry cannot be written: {error.strerror or error}",
            remedy="Free space, or check the folder's permissions; the served model is unchanged",
            path=folder,
        ) from error


def _is_twin(version: ModelVersion, current: ModelVersion) -> bool:
    """Whether a version with the same weights is the outcome of the same publishing: on top of, or already, what is served."""
    return current.version in (version.version, version.parent)


def _number(name: str) -> int:
    found = _RETRAINED.search(name)
    return int(found["number"]) if found else 0


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if not isinstance(content, dict):
        raise _damaged(path)
    return content


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        "A model version is damaged: a file is missing, or is not what was published",
        remedy="Serve another version, or restore the folder from a copy",
        path=path,
    )
