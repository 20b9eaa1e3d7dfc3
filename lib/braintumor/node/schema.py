"""Tables of the node's state machine, and how its database is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, ProgrammingError, SQLAlchemyError

from braintumor.domain import DatabaseError

VERSION = 1
"""Raised with every change of the tables."""

metadata = MetaData()

version_table = Table("node_schema", metadata, Column("version", Integer, primary_key=True))

studies = Table(
    "node_studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pseudonym", String(32), nullable=False, unique=True),
    Column("study_uid", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False, index=True),
    Column("generation", Integer, nullable=False, default=1),
    Column("revision", Integer, nullable=False, default=0),
    Column("instances", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("calling", String(16), nullable=False, default=""),
    Column("created", String(40), nullable=False, default=""),
    Column("results", String(200), nullable=False, default=""),
    Column("reason", String(40), nullable=False, default=""),
    Column("detail", String(500), nullable=False, default=""),
    Column("owner", String(80), nullable=False, default=""),
    Column("heartbeat", Integer, nullable=False, default=0),
    Column("first_received", String(40), nullable=False),
    Column("changed", String(40), nullable=False),
)

instances = Table(
    "node_instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("node_studies.id", ondelete="CASCADE"), nullable=False),
    Column("file", String(40), nullable=False),
    Column("sop_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("class_uid", String(64), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("description", String(64), nullable=False),
    Column("calling", String(16), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    UniqueConstraint("study_id", "file"),
)

deliveries = Table(
    "node_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("node_studies.id", ondelete="CASCADE"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("destination", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("reason", String(40), nullable=False, default=""),
    Column("results", String(200), nullable=False),
    Column("since", String(40), nullable=False),
    UniqueConstraint("study_id", "generation", "destination"),
    Index("node_deliveries_due", "destination", "state"),
)

events = Table(
    "node_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("node_studies.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", String(40), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("code", String(40), nullable=False),
    Column("facts", String(2000), nullable=False, default=""),
)


class DatabaseDownError(DatabaseError):
    """It does not answer now; later it may."""


class Database:
    """SQLite or PostgreSQL by URL; while it does not answer, everything raises `DatabaseDownError`.

    Raises
    ------
    DatabaseError
        If the URL is of no use, or its tables are of a newer version; `DatabaseDownError` if it does not answer.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() not in ("sqlite", "postgresql"):
                raise ArgumentError("backend")
            self.engine = _sqlite(url) if parsed.get_backend_name() == "sqlite" else _postgresql(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise DatabaseError(
                "The database's URL cannot be used", remedy="Write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
            ) from error
        self._prepare()

    def _prepare(self) -> None:
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7340001)")  # two processes may start at once
            metadata.create_all(connection)
            found = connection.execute(select(version_table.c.version)).scalar()
            if found is None:
                connection.execute(insert(version_table).values(version=VERSION))
            elif found > VERSION:
                raise DatabaseError(
                    f"The database has tables of version {found}, this software knows {VERSION}", remedy="Start the newer node"
                )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction."""
        with _explained(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that locks nothing."""
        with _explained(), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (DataError, ProgrammingError):
        raise  # our mistake, which waiting does not mend
    except (DBAPIError, SQLAlchemyError) as error:
        kind = type(error).__name__  # its text may quote values
        raise DatabaseDownError(f"The node's database does not answer ({kind})", remedy="Check that it runs") from error


def _postgresql(url: str) -> Engine:
    # pool_pre_ping: a restarted server costs one lost connection, not one failed study
    return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=10, connect_args={"connect_timeout": 5})


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # at once for writing: a transaction that reads first and then wants to write could not wait for another
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
