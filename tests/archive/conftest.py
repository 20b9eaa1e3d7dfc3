"""One small patient with two visits, segmentations of them, and the archives they are put in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from braintumor import study as study_stage
from braintumor.archive import StudyStore, open_store
from braintumor.domain import Author, MRSequence, Patient, Segmentation, Study
from braintumor.export.common import ResultContext
from braintumor.export.seg import SegKind, make_seg
from braintumor.phantom.dicom import StudyHeader, study_header, write_series
from deploy.dev.orthanc import Orthanc
from tests import orthanc
from tests.archive.served import app_of, serving
from tests.study.conftest import head

MODEL = Author("model", "attention-u-net", "0.1", "ab" * 32, "openvino-bf16")
SEQUENCES = (MRSequence.T1CE, MRSequence.FLAIR)
NOON = datetime(2024, 6, 1, 12, 0, 0)
PATIENT = Patient("SECRET-ID", "Secret^Name", "19600101", "F")


@dataclass(frozen=True)
class Visit:
    header: StudyHeader
    files: list[Path]

    @property
    def uid(self) -> str:
        return self.header.study_uid

    @property
    def study(self) -> Study:
        return study_stage.read_study(self.files[0].parent)


def write_visit(folder: Path, seed: str, when: date, patient: Patient = PATIENT) -> Visit:
    header = replace(study_header(seed, patient, when), study_description=f"Visit {seed}")
    files = [
        path
        for n, sequence in enumerate(SEQUENCES, 1)
        for path in write_series(head(sequence), folder, header, sequence, series_number=n)
    ]
    return Visit(header, files)


@pytest.fixture(scope="session")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return write_visit(tmp_path_factory.mktemp("visit"), "second", date(2024, 5, 31))


@pytest.fixture(scope="session")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return write_visit(tmp_path_factory.mktemp("prior"), "first", date(2024, 2, 29))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return write_visit(tmp_path_factory.mktemp("stranger"), "other", date(2023, 1, 1), replace(PATIENT, patient_id="OTHER-ID"))


MakeSeg = Callable[..., hd.seg.Segmentation]


@pytest.fixture(scope="session")
def make(visit: Visit) -> MakeSeg:
    """A segmentation object of the visit's T1ce; `shift` makes another outline."""
    study = visit.study

    def made(
        author: Author = MODEL,
        created: datetime = NOON,
        *,
        shift: int = 0,
        kind: SegKind = SegKind.BINARY,
        sequence: MRSequence = MRSequence.T1CE,
    ) -> hd.seg.Segmentation:
        series = study.series[sequence]
        mask = np.zeros(series.image.grid.shape, np.uint8)
        mask[10 + shift : 20 + shift, 8:20, 2:6] = 2
        mask[12 + shift : 16 + shift, 10:14, 3:5] = 4
        segmentation = Segmentation(mask, series.image.grid, author)
        return make_seg(study, segmentation, None, ResultContext.of(study, segmentation, created), series=series, kind=kind)

    return made


@dataclass
class Archive:
    """An archive that a store is opened on, and another way for studies to get into it."""

    location: str
    add: Callable[[list[Path]], None]
    cache: Path

    def open(self, **how: object) -> StudyStore:
        return open_store(self.location, cache=self.cache, **how)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def pacs() -> Iterator[Orthanc]:
    with orthanc.running() as server:
        yield server


def folder_archive(root: Path, cache: Path) -> Archive:
    root.mkdir()

    def add(files: list[Path]) -> None:
        place = root / files[0].parent.name
        place.mkdir(exist_ok=True)
        for path in files:
            shutil.copy(path, place)

    return Archive(str(root), add, cache)


@pytest.fixture(params=["folder", "served", "orthanc"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """A folder, a PACS that is our own service over one, and Orthanc."""
    if request.param == "orthanc":
        server = request.getfixturevalue("pacs")
        orthanc.empty(server)
        yield Archive(server.url, lambda files: orthanc.add(server, files), tmp_path / "cache")
        return
    local = folder_archive(tmp_path / "studies of two", tmp_path / "cache")
    if request.param == "folder":
        yield local
        return
    with serving(app_of(open_store(local.location, cache=tmp_path / "its-cache"))) as url:
        yield Archive(f"{url}/dicom-web", local.add, tmp_path / "cache")
