"""Everything the server works with, wired once: archive, models, jobs, masks, labels and learning."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from braintumor.active_learning.registry import Registry
from braintumor.archive import StudyStore, open_store
from braintumor.domain import InputNotFoundError
from braintumor.server.jobs import Jobs
from braintumor.server.labels import Labels
from braintumor.server.learning import Learning
from braintumor.server.masks import Masks
from braintumor.server.reports import About, Reports, Signing
from braintumor.server.studies import Studies
from braintumor.server.tracking import Tracking

PREFIX = "BRAINTUMOR_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is set up; each value is a ``--conf`` key of MONAI Label, or a variable ``BRAINTUMOR_<KEY>``.

    Attributes
    ----------
    studies
        Folder, or address of a DICOMweb store.
    state
        Folder for models, caches and job files; by default one per `studies` in the user's state folder.
    model
        Model folder to start from; None for the one that comes with the package.
    engine
        One of `braintumor.segment.ENGINES`.
    replay
        Folder of old training cases that retraining goes through again, against forgetting; None for none.
    steps
        Steps of one retraining.
    user, password
        Of the DICOMweb store.
    signing
        Key for final reports (``signing_key``, a PKCS#12 file; ``signing_passphrase_file``, or the variable
        ``BRAINTUMOR_KEY_PASSPHRASE``) and the place that signatures name (``signing_place``).
    fhir
        FHIR R4 server that final reports are sent to on request; '' for none. Its token: ``BRAINTUMOR_FHIR_TOKEN``.
    about
        Folder with the patients' notes (``notes``), a folder for each Patient ID, and FHIR server that is asked why a study was
        ordered (``order``).
    """

    studies: str
    state: Path
    model: Path | None = None
    engine: str = "auto"
    replay: Path | None = None
    steps: int = 200
    user: str = ""
    password: str = ""
    signing: Signing = field(default_factory=Signing)
    fhir: str = ""
    about: About = field(default_factory=About)

    @classmethod
    def of(cls, studies: str, conf: Mapping[str, str]) -> Settings:
        """From MONAI Label's arguments, else from the environment, else the defaults."""

        def value(key: str, default: str = "") -> str:
            return str(conf.get(key) or os.environ.get(PREFIX + key.upper()) or default)

        model, replay = value("model"), value("replay")
        return cls(
            studies=studies,
            state=Path(value("state") or _own_folder(studies)),
            model=Path(model) if model else None,
            engine=value("engine", "auto"),
            replay=Path(replay) if replay else None,
            steps=_count("steps", value("steps", "200")),
            user=value("dicomweb_user") or os.environ.get("MONAI_LABEL_DICOMWEB_USERNAME", ""),
            signing=Signing(_path(value("signing_key")), _path(value("signing_passphrase_file")), value("signing_place")),
            fhir=value("fhir"),
            about=About(_path(value("notes")), value("order")),
            password=value("dicomweb_password") or os.environ.get("MONAI_LABEL_DICOMWEB_PASSWORD", ""),
        )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _count(key: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InputNotFoundError(f"The setting {key} is no number of at least 1", remedy=f"Give --conf {key} 200, for example")
    return int(text)


def _own_folder(studies: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "braintumor" / hashlib.sha256(studies.encode()).hexdigest()[:12]


class Workspace:
    """One server's parts. Knows no web framework; safe to use from many threads."""

    def __init__(self, settings: Settings, store: StudyStore | None = None) -> None:
        self.settings = settings
        settings.state.mkdir(parents=True, exist_ok=True)
        self.store = store or open_store(
            settings.studies, user=settings.user, password=settings.password, cache=settings.state / "cache"
        )
        self.registry = Registry(settings.state / "models", settings.model)
        self.jobs = Jobs()
        self.studies = Studies(self.store, settings.state)
        self.masks = Masks(self.studies, self.registry, self.jobs, settings.state, settings.engine)
        self.labels = Labels(self.studies, self.masks, settings.state)
        self.tracking = Tracking(self.studies, self.masks, self.labels, self.jobs, settings.state)
        self.reports = Reports(
            self.studies, self.tracking, self.jobs, settings.state, settings.signing, settings.fhir, settings.about
        )
        self.learning = Learning(
            self.studies,
            self.masks,
            self.labels,
            self.registry,
            self.jobs,
            settings.state / "training",
            replay=settings.replay,
            steps=settings.steps,
        )

    def close(self) -> None:
        """Stop what runs; whatever was confirmed stays, and an unfinished training is taken up at the next start."""
        self.learning.close()
        self.jobs.close()
