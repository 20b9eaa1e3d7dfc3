"""The durable state machine: every step of a study is one transaction that only fits the state it starts from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from braintumor.node.schema import Database, deliveries, events, instances, studies
from braintumor.node.spool import Arrival
from braintumor.node.states import MAY_FOLLOW, DeliveryState, Reason, StudyRecord, StudyState

_UNDER_WAY = (StudyState.RECEIVED, StudyState.COMPLETE, StudyState.RUNNING)
_FIELDS = [studies.c[name] for name in StudyRecord.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class ReceivedSeries:
    """What rules ask of a series."""

    uid: str
    modality: str
    description: str
    calling: str
    files: tuple[str, ...]
    sizes: tuple[int, ...]


class Ledger:
    """What the node knows of its studies. Safe to use from several threads, processes and hosts at once.

    A method that changes a study returns False, or None, where the study is no longer what the caller thinks it is; a repeated
    call after a lost answer of the database returns what the first one would have.

    Every method raises `DatabaseError` while the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- receiving -----------------------------------------------------------------------------------------------------

    def received(self, pseudonym: str, arrivals: Sequence[Arrival], *, rerun_late: bool = True) -> bool:
        """Enter instances of one study that are durable on the disk; known ones change nothing. True if any was new."""
        with self.database.writing() as connection:
            study = locked(connection, studies.c.pseudonym == pseudonym) or self._new(connection, pseudonym, arrivals[0])
            known = set(connection.scalars(select(instances.c.file).where(instances.c.study_id == study.id)))
            fresh = {a.file: a for a in arrivals if a.file not in known}
            if not fresh:
                return False
            late = study.state not in _UNDER_WAY
            again = late and (rerun_late or study.state in (StudyState.FAILED, StudyState.IGNORED))
            generation = study.generation + again
            connection.execute(insert(instances), [_row(study.id, generation, a) for a in fresh.values()])
            values: dict[str, Any] = {"instances": study.instances + len(fresh), "revision": study.revision + len(fresh)}
            if again:
                values |= {"generation": generation, "attempts": 0, "results": "", "reason": "", "detail": "", "owner": ""}
            if again or study.state == StudyState.COMPLETE:
                values |= {"state": StudyState.RECEIVED, "changed": now()}
                note(connection, study.id, generation, "instances-late" if again else "received", {"count": len(fresh)})
            elif late:
                note(connection, study.id, generation, "late-kept", {"count": len(fresh)})
            connection.execute(update(studies).where(studies.c.id == study.id).values(**values))
            return True

    def _new(self, connection: Connection, pseudonym: str, first: Arrival) -> StudyRecord:
        at = now()
        row = {"pseudonym": pseudonym, "study_uid": first.study_uid, "state": StudyState.RECEIVED, "calling": first.calling}
        found = connection.execute(insert(studies).values(**row, first_received=at, changed=at).returning(*_FIELDS)).one()
        note(connection, found.id, 1, "received", {})
        return _study(found)

    def known_files(self, pseudonym: str) -> frozenset[str]:
        """Files of a study that are entered."""
        query = select(instances.c.file).join(studies).where(studies.c.pseudonym == pseudonym)
        with self.database.reading() as connection:
            return frozenset(connection.scalars(query))

    def series(self, study_id: int) -> list[ReceivedSeries]:
        """The series of a study, in the order they came."""
        query = select(instances).where(instances.c.study_id == study_id).order_by(instances.c.id)
        grouped: dict[str, list[Any]] = {}
        with self.database.reading() as connection:
            for row in connection.execute(query):
                grouped.setdefault(row.series_uid, []).append(row)
        return [
            ReceivedSeries(
                uid,
                rows[0].modality,
                rows[0].description,
                rows[0].calling,
                tuple(r.file for r in rows),
                tuple(r.size for r in rows),
            )
            for uid, rows in grouped.items()
        ]

    def complete(self, study: StudyRecord) -> bool:
        """Nothing more is expected. The time of the results' content is set here, so that every run of them is the same."""
        created = datetime.now().astimezone().isoformat(timespec="seconds")
        same = (studies.c.revision == study.revision, studies.c.generation == study.generation)
        return self._step(study, StudyState.COMPLETE, *same, facts={"instances": study.instances}, created=created, attempts=0)

    def ignore(self, study: StudyRecord) -> bool:
        """No series of it is ours by the rules."""
        return self._step(study, StudyState.IGNORED, studies.c.revision == study.revision)

    # -- work ----------------------------------------------------------------------------------------------------------

    def claim(self, owner: str, pseudonym: str | None = None) -> StudyRecord | None:
        """Take a COMPLETE study for this worker: those that failed least often first, then the oldest.

        Parameters
        ----------
        owner
            A name that no other worker process ever has.
        pseudonym
            Only this study.
        """
        candidates = select(studies.c.id).where(studies.c.state == StudyState.COMPLETE)
        if pseudonym is not None:
            candidates = candidates.where(studies.c.pseudonym == pseudonym)
        candidates = candidates.order_by(studies.c.attempts, studies.c.id).limit(1).with_for_update(skip_locked=True)
        with self.database.writing() as connection:
            mine = studies.c.state == StudyState.RUNNING, studies.c.owner == owner
            found = connection.scalar(select(studies.c.id).where(*mine))  # a claim whose answer got lost
            if found is None:
                found = connection.scalar(candidates)
                if found is None:
                    return None
                values = {"state": StudyState.RUNNING, "owner": owner, "heartbeat": 0, "changed": now()}
                connection.execute(update(studies).where(studies.c.id == found).values(**values))
                study = _study(connection.execute(select(*_FIELDS).where(studies.c.id == found)).one())
                note(connection, study.id, study.generation, "running", {"attempt": study.attempts + 1})
                return study
            return _study(connection.execute(select(*_FIELDS).where(studies.c.id == found)).one())

    def beat(self, study: StudyRecord) -> bool:
        """Say that the worker lives; False if the study is not its any more."""
        mine = update(studies).where(*_mine(study)).values(heartbeat=studies.c.heartbeat + 1)
        with self.database.writing() as connection:
            return bool(connection.execute(mine).rowcount)

    def produced(self, study: StudyRecord, results: str, destinations: Sequence[str], facts: Mapping[str, Any]) -> bool:
        """Results are durable in the folder `results`; deliveries begin to wait. False: they are of no use, remove them."""
        with self.database.writing() as connection:
            present = locked(connection, studies.c.id == study.id)
            if present is not None and present.results == results:
                return True  # the first answer got lost
            if present is None or present.state != StudyState.RUNNING or present.owner != study.owner:
                return False
            if present.revision != study.revision:
                self._back(connection, present)
                return False
            values = {"state": StudyState.PRODUCED, "results": results, "owner": "", "changed": now()}
            connection.execute(update(studies).where(studies.c.id == study.id).values(**values))
            rows = [
                {
                    "study_id": study.id,
                    "generation": study.generation,
                    "destination": name,
                    "state": DeliveryState.PENDING,
                    "results": results,
                    "since": now(),
                }
                for name in destinations
            ]
            if rows:
                connection.execute(insert(deliveries), rows)
            note(connection, study.id, study.generation, "produced", facts)
            return True

    def failed(self, study: StudyRecord, reason: str, detail: str) -> bool:
        """The study cannot be done; unless instances came meanwhile, which may change that."""
        return self._ended(study, reason, detail, StudyState.FAILED)

    def lost(self, study: StudyRecord, attempts: int) -> bool:
        """Its worker is gone, or met an unforeseen error: again, after the others, or FAILED after so many attempts."""
        if study.attempts + 1 < attempts:
            return self._ended(study, "", "", StudyState.COMPLETE)
        words = f"The worker ended without an answer {study.attempts + 1} times; the log has the reason"
        return self._ended(study, Reason.CRASHED, words, StudyState.FAILED)

    def released(self, study: StudyRecord) -> bool:
        """The worker stops before the study is done, which is not the study's fault."""
        with self.database.writing() as connection:
            values = {"state": StudyState.COMPLETE, "owner": "", "changed": now()}
            return bool(connection.execute(update(studies).where(*_mine(study)).values(**values)).rowcount)

    def running(self) -> list[StudyRecord]:
        """Studies that a worker has."""
        return self._select(select(*_FIELDS).where(studies.c.state == StudyState.RUNNING))

    def in_state(self, state: StudyState) -> list[StudyRecord]:
        """Studies in one state, oldest first."""
        return self._select(select(*_FIELDS).where(studies.c.state == state).order_by(studies.c.id))

    def _ended(self, study: StudyRecord, reason: str, detail: str, state: StudyState) -> bool:
        with self.database.writing() as connection:
            present = locked(connection, studies.c.id == study.id)
            if present is None or present.state != StudyState.RUNNING or present.owner != study.owner:
                return False
            if present.revision != study.revision:
                self._back(connection, present)
                return True
            values: dict[str, Any] = {"state": state, "reason": reason, "detail": detail[:500], "owner": "", "changed": now()}
            values["attempts"] = present.attempts + 1
            connection.execute(update(studies).where(studies.c.id == study.id).values(**values))
            code = "failed" if state == StudyState.FAILED else "worker-lost"
            note(connection, study.id, study.generation, code, {"reason": reason} if reason else {})
            return True

    def _back(self, connection: Connection, study: StudyRecord) -> None:
        values = {"state": StudyState.RECEIVED, "owner": "", "changed": now()}
        connection.execute(update(studies).where(studies.c.id == study.id).values(**values))
        note(connection, study.id, study.generation, "instances-meanwhile", {})

    # -- everything ----------------------------------------------------------------------------------------------------

    def retry(self, pseudonym: str) -> bool:
        """Take up a FAILED study again: its deliveries where there are results, else the work."""
        with self.database.writing() as connection:
            study = locked(connection, studies.c.pseudonym == pseudonym)
            if study is None or study.state != StudyState.FAILED:
                return False
            state = StudyState.PRODUCED if study.results else StudyState.COMPLETE
            values = {"state": state, "reason": "", "detail": "", "attempts": 0, "changed": now()}
            connection.execute(update(studies).where(studies.c.id == study.id).values(**values))
            failed = deliveries.c.study_id == study.id, deliveries.c.state == DeliveryState.FAILED
            again = {"state": DeliveryState.PENDING, "attempts": 0, "reason": "", "since": now()}
            connection.execute(update(deliveries).where(*failed).values(**again))
            note(connection, study.id, study.generation, "retried", {})
            return True

    def find(self, pseudonym: str) -> StudyRecord | None:
        """The study of a pseudonym."""
        found = self._select(select(*_FIELDS).where(studies.c.pseudonym == pseudonym))
        return found[0] if found else None

    def recent(self, limit: int) -> list[StudyRecord]:
        """Failed studies first, then the latest changes."""
        order = (studies.c.state != StudyState.FAILED, studies.c.changed.desc())
        return self._select(select(*_FIELDS).order_by(*order).limit(limit))

    def events(self, pseudonym: str) -> list[tuple[str, int, str, dict[str, Any]]]:
        """Time, generation, code and facts of everything that happened to a study."""
        query = select(events).join(studies).where(studies.c.pseudonym == pseudonym).order_by(events.c.id)
        with self.database.reading() as connection:
            return [(r.at, r.generation, r.code, json.loads(r.facts or "{}")) for r in connection.execute(query)]

    def news(self, after: int, limit: int = 500) -> list[tuple[int, str, str, dict[str, Any]]]:
        """Number, pseudonym, code and facts of events after a number; for logs and metrics."""
        query = select(events.c.id, studies.c.pseudonym, events.c.code, events.c.facts).join(studies)
        with self.database.reading() as connection:
            rows = connection.execute(query.where(events.c.id > after).order_by(events.c.id).limit(limit)).all()
        return [(r.id, r.pseudonym, r.code, json.loads(r.facts or "{}")) for r in rows]

    def last_news(self) -> int:
        """Number of the latest event."""
        with self.database.reading() as connection:
            return connection.scalar(select(func.max(events.c.id))) or 0

    def counts(self) -> dict[StudyState, int]:
        """How many studies are in each state."""
        query = select(studies.c.state, func.count()).group_by(studies.c.state)
        with self.database.reading() as connection:
            found = {StudyState(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in StudyState}

    def oldest_seconds(self) -> dict[StudyState, float]:
        """How long the longest-waiting study of each state has been in it."""
        query = select(studies.c.state, func.min(studies.c.changed)).group_by(studies.c.state)
        present = datetime.now(UTC)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return {StudyState(s): max(0.0, (present - datetime.fromisoformat(at)).total_seconds()) for s, at in rows}

    def removable(self, before: datetime) -> list[StudyRecord]:
        """Studies that are done with since before a time."""
        done = studies.c.state.in_((StudyState.ACKNOWLEDGED, StudyState.IGNORED))
        return self._select(select(*_FIELDS).where(done, studies.c.changed < before.isoformat(timespec="milliseconds")))

    def remove(self, study: StudyRecord) -> None:
        """Forget a study whose files are removed."""
        with self.database.writing() as connection:
            connection.execute(delete(studies).where(studies.c.id == study.id))

    def _step(
        self, study: StudyRecord, state: StudyState, *conditions: Any, facts: Mapping[str, Any] | None = None, **values: Any
    ) -> bool:
        if state not in MAY_FOLLOW[study.state]:
            return False
        change = update(studies).where(studies.c.id == study.id, studies.c.state == study.state, *conditions)
        with self.database.writing() as connection:
            if not connection.execute(change.values(state=state, changed=now(), **values)).rowcount:
                return False
            note(connection, study.id, study.generation, state.value, facts or {})
            return True

    def _select(self, query: Any) -> list[StudyRecord]:
        with self.database.reading() as connection:
            return [_study(row) for row in connection.execute(query)]


def _mine(study: StudyRecord) -> tuple[Any, ...]:
    return studies.c.id == study.id, studies.c.state == StudyState.RUNNING, studies.c.owner == study.owner


def locked(connection: Connection, condition: Any) -> StudyRecord | None:
    """The study that fits, and nobody else changes it before this transaction ends."""
    row = connection.execute(select(*_FIELDS).where(condition).with_for_update()).one_or_none()
    return None if row is None else _study(row)


def _study(row: Row[Any]) -> StudyRecord:
    return StudyRecord(**{**row._mapping, "state": StudyState(row.state)})


def _row(study_id: int, generation: int, arrival: Arrival) -> dict[str, Any]:
    names = ("file", "sop_uid", "series_uid", "class_uid", "modality", "description", "calling", "sha256", "size")
    return {"study_id": study_id, "generation": generation, **{name: getattr(arrival, name) for name in names}}


def note(connection: Connection, study_id: int, generation: int, code: str, facts: Mapping[str, Any]) -> None:
    """Enter an event in the same transaction as what it tells."""
    row = {"study_id": study_id, "at": now(), "generation": generation, "code": code, "facts": json.dumps(dict(facts))}
    connection.execute(insert(events).values(**row))


def now() -> str:
    """The time as all tables hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
