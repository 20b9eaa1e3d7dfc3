"""State machines on both databases, instances to receive, and a node's folder."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from braintumor.node.deliver import Deliverer
from braintumor.node.ledger import Ledger
from braintumor.node.outbox import Outbox
from braintumor.node.schema import Database
from braintumor.node.spool import Spool
from deploy.dev.services import PostgreSql
from tests.node.delivering import QUICK
from tests.node.receive_peers import series

ADMIN = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"


@pytest.fixture(scope="session")
def postgresql():
    """URL of a real PostgreSQL server's maintenance database: the machine's own, else one started for the tests."""
    if _answers(ADMIN):
        yield ADMIN
        return
    server = PostgreSql()
    try:
        server.start()
    except RuntimeError as error:
        pytest.skip(str(error))
    yield server.url
    server.close()


def _answers(url):
    try:
        create_engine(url, connect_args={"connect_timeout": 2}).connect().close()
    except OperationalError:
        return False
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A database of its own, empty: the suite runs on both."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'node.db'}"
        return
    admin = create_engine(request.getfixturevalue("postgresql"), isolation_level="AUTOCOMMIT")
    name = f"braintumor_{uuid.uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def database(database_url):
    found = Database(database_url)
    yield found
    found.close()


@pytest.fixture
def ledger(database):
    return Ledger(database)


@pytest.fixture
def outbox(database):
    return Outbox(database)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "state")


@dataclass
class Sender:
    """Makes instances of as many studies as a test wants, all of one small image."""

    template: Path

    def file(self, study=1, number=1, **changes):
        """Bytes of one DICOM file."""
        dataset = pydicom.dcmread(self.template)
        dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.10.543.{study}"
        dataset.SeriesInstanceUID = f"{dataset.StudyInstanceUID}.1"
        dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        buffer = pydicom.filebase.DicomBytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()


@pytest.fixture(scope="session")
def sender(dicom_study):
    return Sender(next(iter(sorted(dicom_study.rglob("*.dcm")))))


@pytest.fixture
def arrive(ledger, spool, sender):
    """Receive instances of a study as the node does; returns the study."""

    def _arrive(study=1, numbers=(1,), late=True, **changes):
        arrivals = [spool.keep(sender.file(study, number, **changes), "SCANNER")[1] for number in numbers]
        pseudonym = spool.pseudonym(arrivals[0].study_uid)
        ledger.received(pseudonym, arrivals, rerun_late=late)
        return ledger.find(pseudonym)

    return _arrive


@pytest.fixture(scope="session")
def results(dicom_results):
    """The folder of a real run's results; read only."""
    return dicom_results


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Ten slices of one series."""
    return series(tmp_path_factory.mktemp("series"))


@pytest.fixture
def deliver(spool):
    """Makes a running deliverer, stopped at the end."""
    made = []

    def start(ledger, *ways, options=QUICK, **how):
        deliverer = Deliverer(ledger, ways, options, spool, **{"poll_s": 0.05} | how)
        made.append(deliverer)
        deliverer.start()
        return deliverer

    yield start
    for deliverer in made:
        deliverer.stop()
