"""The store behaves the same over a folder, over our own service and over Orthanc."""

from __future__ import annotations

import hashlib
import logging
import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest

from braintumor import study as study_stage
from braintumor.archive import newest_human, studystore
from braintumor.archive.folder import index
from braintumor.domain import ArchiveError, Author, CorruptFileError, InputNotFoundError, UnknownStudyError
from braintumor.export.seg import SegKind, read_seg
from tests.archive.conftest import MODEL, NOON, SEQUENCES, Archive, MakeSeg, Visit

HUMAN = Author("human", "Curie^Marie", "0.1")
OTHER = Author("human", "Noether^Emmy")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are not remembered, so that no test has to wait."""
    monkeypatch.setattr(studystore, "LISTED_S", 0.0)
    monkeypatch.setattr(index, "FRESH_S", 0.0)


def hashes(paths: list[Path]) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_lists_what_is_there_newest_first(archive: Archive, visit: Visit, prior: Visit) -> None:
    archive.add(prior.files)
    archive.add(visit.files)

    studies = archive.open().studies()

    assert [entry.uid for entry in studies] == [visit.uid, prior.uid]
    newest = studies[0]
    assert (newest.date, newest.description) == (visit.header.study_date, "Visit second")
    assert (newest.patient_id, newest.patient_name) == ("SECRET-ID", "Secret^Name")
    assert [(s.modality, s.number, s.instances) for s in newest.series] == [("MR", 1, 10), ("MR", 2, 10)]
    assert all(s.description for s in newest.series)


def test_empty_archive(archive: Archive) -> None:
    assert archive.open().studies() == ()


def test_new_study_appears_without_a_restart(archive: Archive, visit: Visit, prior: Visit) -> None:
    archive.add(prior.files)
    store = archive.open()
    assert [e.uid for e in store.studies()] == [prior.uid]

    archive.add(visit.files)

    assert store.study(visit.uid).uid == visit.uid
    assert [e.uid for e in store.studies()] == [visit.uid, prior.uid]


def test_any_uid_of_a_study_finds_it(archive: Archive, visit: Visit, prior: Visit) -> None:
    archive.add(prior.files)
    archive.add(visit.files)
    store = archive.open()

    entry, none = store.locate(visit.uid)
    assert (entry.uid, none) == (visit.uid, None)
    for series in entry.series:
        study, found = store.locate(series.uid)
        assert (study.uid, found) == (visit.uid, series)


def test_unknown_uid(archive: Archive, visit: Visit) -> None:
    archive.add(visit.files)
    store = archive.open()
    for ask in (store.study, store.locate, store.fetch, store.labels, store.priors):
        for uid in ("1.2.3", "", "../..", "1.2/../3", "*", "1.2.3\\4", "a" * 65, "1" * 65):
            with pytest.raises(UnknownStudyError):
                ask(uid)


def test_fetched_study_is_the_source_voxel_for_voxel(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    store.store([make()])

    folder = store.fetch(visit.uid)

    assert hashes(list(folder.iterdir())) == hashes(visit.files)
    fetched, source = study_stage.read_study(folder), visit.study
    for sequence in SEQUENCES:
        np.testing.assert_array_equal(fetched.series[sequence].image.voxels, source.series[sequence].image.voxels)
    assert store.fetch(visit.uid) == folder


def test_study_that_grew_is_fetched_again(archive: Archive, visit: Visit) -> None:
    archive.add(visit.files[:10])
    store = archive.open()
    before = store.study(visit.uid).fingerprint
    assert len(list(store.fetch(visit.uid).iterdir())) == 10

    archive.add(visit.files[10:])

    assert len(list(store.fetch(visit.uid).iterdir())) == 20
    assert store.study(visit.uid).fingerprint != before


def test_labels_leave_the_fingerprint_alone(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    before = store.study(visit.uid)

    store.store([make()])

    after = store.study(visit.uid)
    assert after.fingerprint == before.fingerprint
    assert len(after.series) == len(before.series) + 1
    assert after.images == before.images


def test_every_version_is_kept_apart(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    made = [
        make(MODEL, NOON),
        make(HUMAN, NOON + timedelta(hours=1), shift=2),
        make(OTHER, NOON + timedelta(hours=2), shift=4, kind=SegKind.LABELMAP),
        make(MODEL, NOON + timedelta(hours=3), shift=1),
    ]
    for dataset in made:
        store.store([dataset])

    versions = store.labels(visit.uid)

    assert [v.uid for v in versions] == [d.SOPInstanceUID for d in reversed(made)]
    assert [v.kind for v in versions] == ["model", "human", "human", "model"]
    assert [v.author for v in versions] == ["attention-u-net", "Noether^Emmy", "Curie^Marie", "attention-u-net"]
    assert [v.version for v in versions] == ["0.1", "", "0.1", "0.1"]
    assert [v.created for v in versions] == [NOON + timedelta(hours=h) for h in (3, 2, 1, 0)]
    t1ce = visit.study.reference.uid
    assert {v.referenced_series_uid for v in versions} == {t1ce}
    newest = newest_human(versions)
    assert newest is not None
    assert newest.author == "Noether^Emmy"
    for version, dataset in zip(versions, reversed(made), strict=True):
        np.testing.assert_array_equal(read_seg(store.label_file(version)).mask, read_seg(dataset).mask)


def test_two_versions_in_one_series_are_two(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    first, second = make(HUMAN), make(OTHER, NOON + timedelta(minutes=1), shift=3)
    second.SeriesInstanceUID = first.SeriesInstanceUID

    store.store([first, second])

    assert [v.author for v in store.labels(visit.uid)] == ["Noether^Emmy", "Curie^Marie"]


def test_no_labels(archive: Archive, visit: Visit) -> None:
    archive.add(visit.files)
    assert archive.open().labels(visit.uid) == ()
    assert newest_human(()) is None


def test_label_of_another_reader_is_seen_at_once(archive: Archive, visit: Visit, make: MakeSeg, tmp_path: Path) -> None:
    archive.add(visit.files)
    store = archive.open()
    assert store.labels(visit.uid) == ()

    elsewhere = make(HUMAN)
    elsewhere.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    archive.add([tmp_path / "seg.dcm"])

    assert [v.author for v in store.labels(visit.uid)] == ["Curie^Marie"]


def test_storing_twice_is_storing_once(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    store.store([make(HUMAN)])
    store.store([make(HUMAN)])
    assert len(store.labels(visit.uid)) == 1


def test_another_content_under_a_known_uid_is_refused(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    first, second = make(HUMAN), make(OTHER, shift=3)
    store.store([first])
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    second.SeriesInstanceUID = first.SeriesInstanceUID

    with pytest.raises(ArchiveError, match="another instance under the same SOP Instance UID"):
        store.store([second])

    (kept,) = store.labels(visit.uid)
    assert kept.author == "Curie^Marie"


def test_uid_that_is_a_path_is_refused(archive: Archive, make: MakeSeg, tmp_path: Path) -> None:
    store = archive.open()
    before = sorted(tmp_path.rglob("*"))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        for uid in ("../../../evil", "/etc/evil", "1.2.3/4", "", ".."):
            dataset = make()
            with pydicom.config.disable_value_validation():
                setattr(dataset, keyword, uid)
            with pytest.raises(CorruptFileError):
                store.store([dataset])
    assert sorted(tmp_path.rglob("*")) == before


def test_two_annotators_at_once_lose_nothing(archive: Archive, visit: Visit, make: MakeSeg) -> None:
    archive.add(visit.files)
    store = archive.open()
    datasets = [make(Author("human", f"Reader^{n}"), NOON + timedelta(seconds=n), shift=n) for n in range(4)]
    errors: list[BaseException] = []

    def submit(dataset: pydicom.Dataset) -> None:
        try:
            store.store([dataset])
            store.labels(visit.uid)
            store.fetch(visit.uid)
        except BaseException as error:  # noqa: BLE001  whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=submit, args=(d,)) for d in datasets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert [v.author for v in store.labels(visit.uid)] == [f"Reader^{n}" for n in reversed(range(4))]


def test_priors_are_of_the_same_patient_and_earlier(archive: Archive, visit: Visit, prior: Visit, stranger: Visit) -> None:
    for one in (visit, prior, stranger):
        archive.add(one.files)
    store = archive.open()
    assert [e.uid for e in store.priors(visit.uid)] == [prior.uid]
    assert store.priors(prior.uid) == ()
    assert store.priors(stranger.uid) == ()


def test_study_without_images(archive: Archive, visit: Visit, make: MakeSeg, tmp_path: Path) -> None:
    make().save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    archive.add([tmp_path / "seg.dcm"])
    store = archive.open()
    assert store.studies() == ()
    with pytest.raises(InputNotFoundError, match="no MR images"):
        store.fetch(visit.uid)


def test_nobody_is_named_in_logs_and_reprs(
    archive: Archive, visit: Visit, make: MakeSeg, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    archive.add(visit.files)
    store = archive.open(user="reader", password="pass-word")
    store.store([make(HUMAN)])
    store.priors(visit.uid)
    store.fetch(visit.uid)
    shown = caplog.text + repr(store.studies()) + repr(store.__dict__)
    for secret in ("SECRET-ID", "Secret", "pass-word"):
        assert secret not in shown
