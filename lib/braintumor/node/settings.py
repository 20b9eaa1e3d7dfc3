"""Settings of the node: one TOML file, checked as a whole before anything starts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from braintumor.domain import SettingsError

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$")]
"""PS3.5 6.2, value representation AE: at most 16 characters, no backslash, no control characters."""
Port = Annotated[int, Field(ge=1, le=65535)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Part):
    """Certificate and key of this node in PEM, and whom it trusts; with `ca`, peers must show a certificate of it."""

    certificate: Path
    key: Path
    ca: Path | None = None


class PeerAddress(_Part):
    """Where an AE title listens."""

    host: str
    port: Port
    tls: Tls | None = None


class Dicom(_Part):
    """The DICOM service (C-ECHO, C-STORE, Storage Commitment)."""

    enabled: bool = True
    ae_title: AeTitle = "BRAINTUMOR"
    host: str = "127.0.0.1"
    port: Port = 11112
    calling: tuple[AeTitle, ...] = ()
    """AE titles that may send; empty: everybody who reaches the port."""
    peers: dict[AeTitle, PeerAddress] = {}
    """Where senders listen for the answers to their Storage Commitment requests; others must stay connected for them."""
    associations: Annotated[int, Field(ge=1, le=200)] = 20
    tls: Tls | None = None


class Http(_Part):
    """Health, metrics, status page and STOW-RS. The token for STOW-RS and retries is read from BRAINTUMOR_NODE_TOKEN."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8104
    stow: bool = True


class Watch(_Part):
    """A folder that files are dropped into; they are taken from it once they have stopped growing."""

    folder: Path | None = None
    every_s: Annotated[float, Field(gt=0)] = 2.0


class Complete(_Part):
    """When a study is taken to be complete. A Storage Commitment request of its sender completes it at once."""

    quiet_s: Annotated[float, Field(gt=0)] = 60.0
    instances: Annotated[int, Field(ge=1)] | None = None
    """This many instances complete a study without waiting."""
    late: Literal["rerun", "keep"] = "rerun"
    """Instances that come after the results: a new generation of results, or kept without one."""


class Rule(_Part):
    """Which series are used; the first rule that fits decides. A rule without conditions fits everything."""

    modality: str = ""
    description: str = ""
    """Regular expression searched for in the Series Description, upper or lower case."""
    calling: str = ""
    action: Literal["process", "ignore"] = "process"

    @field_validator("description")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern


class DestinationSettings(_Part):
    """Where results go."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
    kind: Literal["dicom", "dicomweb", "fhir", "folder"]
    host: str = ""
    port: Port | None = None
    ae_title: AeTitle = "ANY-SCP"
    tls: Tls | None = None
    url: str = ""
    """Of a DICOMweb or FHIR service. User, password or token are read from BRAINTUMOR_<NAME>_USER, _PASSWORD, _TOKEN."""
    folder: Path | None = None
    send: tuple[Literal["segmentation", "measurements", "pictures", "report"], ...] = ("segmentation", "measurements")
    verify: Literal["query", "commitment", "none"] = "query"
    """How the destination confirms: it is asked for each instance (C-FIND, QIDO-RS), or Storage Commitment, or ``none``: that
    it took them is then all there is, and counts as its word."""

    @model_validator(mode="after")
    def _has_an_address(self) -> DestinationSettings:
        missing = {
            "dicom": not (self.host and self.port),
            "dicomweb": not self.url,
            "fhir": not self.url,
            "folder": self.folder is None,
        }[self.kind]
        if missing:
            needed = {"dicom": "host and port", "dicomweb": "url", "fhir": "url", "folder": "folder"}[self.kind]
            raise ValueError(f"destination '{self.name}' of kind {self.kind} needs {needed}")
        return self


class Deliver(_Part):
    """How results are sent again where a destination fails."""

    first_wait_s: Annotated[float, Field(gt=0)] = 5.0
    longest_wait_s: Annotated[float, Field(gt=0)] = 600.0
    give_up_days: Annotated[float, Field(gt=0)] = 7.0


class Work(_Part):
    """How studies are run."""

    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Worker processes of this node; 0 where all work is done elsewhere (`braintumor node worker`)."""
    attempts: Annotated[int, Field(ge=1)] = 5
    limit_s: Annotated[float, Field(gt=0)] = 1800.0
    lease_s: Annotated[float, Field(gt=0)] = 30.0
    """A worker whose heartbeat stands still for so long has lost its study."""
    studies_per_process: Annotated[int, Field(ge=1)] = 200
    """A worker process is replaced after so many, so that nothing that leaks lives for ever."""
    command: tuple[str, ...] = ()
    """Runs a study instead of this node's own Python, with {input} and {output} for the folders: a MAP image by podman, say."""
    engine: str = "auto"
    model: Path | None = None
    queue: Literal["cpu", "gpu"] = "cpu"
    """Queue of the broker that this node's workers take studies from, and that its studies go to."""
    drain_s: Annotated[float, Field(ge=0)] = 120.0
    """A node that is asked to stop lets its workers finish for so long."""


class Disk(_Part):
    """Space and retention."""

    free_mb: Annotated[int, Field(ge=0)] = 2000
    """Nothing is accepted below so much free space (out of resources, PS3.4 table B.2-1)."""
    keep_days: Annotated[float, Field(gt=0)] = 30.0
    """Studies whose results are acknowledged are removed after so long; others never are by themselves."""


class NodeSettings(_Part):
    """Everything; see docs/node.md for a commented example."""

    state: Path = Path("node-state")
    database: str = ""
    """SQLAlchemy URL, ``postgresql+psycopg://user@host/name``; empty: SQLite in the state folder."""
    broker: str = ""
    """``amqp://`` or ``redis://`` of Celery; empty: workers of this node ask the database."""
    dicom: Dicom = Dicom()
    http: Http = Http()
    watch: Watch = Watch()
    complete: Complete = Complete()
    rules: tuple[Rule, ...] = (Rule(modality="MR"), Rule(action="ignore"))
    destinations: tuple[DestinationSettings, ...] = ()
    deliver: Deliver = Deliver()
    work: Work = Work()
    disk: Disk = Disk()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> NodeSettings:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have the same name")
        return self

    @property
    def database_url(self) -> str:
        """Where the state machine lives."""
        return self.database or f"sqlite:///{self.state.resolve() / 'node.db'}"


def load(path: Path | None) -> NodeSettings:
    """Settings of a TOML file, or the defaults; paths in it are relative to the file.

    Raises
    ------
    SettingsError
        Names the setting that is wrong.
    """
    if path is None:
        return NodeSettings()
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingsError("The settings file does not exist", remedy="Check the path", path=path) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The settings cannot be read: {error}", remedy="Write them as TOML", path=path) from error
    try:
        found = NodeSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # the value may be a secret
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SettingsError(f"The setting {where} is wrong: {first['msg']}", remedy="See docs/node.md", path=path) from error
    beside: NodeSettings = _beside(found, path.resolve().parent)
    return beside


def _beside(value: Any, folder: Path) -> Any:
    """The same with every relative path in it made absolute, so that a service may start anywhere."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, BaseModel):
        parts = {name: getattr(value, name) for name in type(value).model_fields}
        return value.model_copy(update={name: _beside(part, folder) for name, part in parts.items()})
    if isinstance(value, tuple):
        return tuple(_beside(part, folder) for part in value)
    if isinstance(value, dict):
        return {key: _beside(part, folder) for key, part in value.items()}
    return value
