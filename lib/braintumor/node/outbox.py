"""The part of the state machine that follows results to their destinations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select, update

from braintumor.node.ledger import locked, note, now
from braintumor.node.schema import Database, deliveries, studies
from braintumor.node.states import MAY_FOLLOW, DeliveryRecord, DeliveryState, Reason, StudyState

_WAITING = (DeliveryState.PENDING, DeliveryState.DELIVERED)
_DONE = {
    StudyState.DELIVERED: (DeliveryState.DELIVERED, DeliveryState.ACKNOWLEDGED),
    StudyState.ACKNOWLEDGED: (DeliveryState.ACKNOWLEDGED,),
}


class Outbox:
    """Deliveries as the database has them; a study follows its deliveries as soon as the last one has taken a step.

    Methods return False where the delivery is no longer what the caller thinks it is, and raise `DatabaseError` while the
    database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def due(self, destination: str, limit: int = 20) -> list[DeliveryRecord]:
        """What this destination still has to take or to confirm, oldest first."""
        query = (
            select(deliveries, studies.c.pseudonym, studies.c.study_uid)
            .join(studies)
            .where(deliveries.c.destination == destination, deliveries.c.state.in_(_WAITING))
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            DeliveryRecord(
                **{n: getattr(r, n) for n in DeliveryRecord.__dataclass_fields__ if n != "state"}, state=DeliveryState(r.state)
            )
            for r in rows
        ]

    def waiting(self) -> dict[str, int]:
        """Destination -> results that it has not confirmed."""
        query = select(deliveries.c.destination, func.count()).where(deliveries.c.state.in_(_WAITING))
        with self.database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(deliveries.c.destination))}

    def delivered(self, delivery: DeliveryRecord) -> bool:
        """The destination has taken everything."""
        return self._step(delivery, DeliveryState.DELIVERED, StudyState.DELIVERED)

    def acknowledged(self, delivery: DeliveryRecord) -> bool:
        """The destination has confirmed that it keeps everything."""
        return self._step(delivery, DeliveryState.ACKNOWLEDGED, StudyState.ACKNOWLEDGED)

    def delivery_failed_once(self, delivery: DeliveryRecord, reason: str) -> bool:
        """It will be tried again."""
        with self.database.writing() as connection:
            values = {"attempts": deliveries.c.attempts + 1, "reason": reason[:40]}
            return bool(connection.execute(_waits(delivery).values(**values)).rowcount)

    def delivery_given_up(self, delivery: DeliveryRecord, reason: str) -> bool:
        """It will not be tried again by itself; the study is FAILED and everything kept."""
        with self.database.writing() as connection:
            values = {"state": DeliveryState.FAILED, "attempts": deliveries.c.attempts + 1, "reason": reason[:40]}
            if not connection.execute(_waits(delivery).values(**values)).rowcount:
                return False
            facts = {"destination": delivery.destination, "reason": reason}
            note(connection, delivery.study_id, delivery.generation, "delivery-given-up", facts)
            words = f"The destination {delivery.destination} did not take the results: {reason}"
            change = {"reason": Reason.NOT_DELIVERED, "detail": words[:500]}
            self._follow(connection, delivery, StudyState.FAILED, change)
            return True

    def _step(self, delivery: DeliveryRecord, state: DeliveryState, study_state: StudyState) -> bool:
        with self.database.writing() as connection:
            # the study first, as everywhere: two who lock the same rows in different order would wait for each other
            study = locked(connection, studies.c.id == delivery.study_id)
            if study is None or not connection.execute(_waits(delivery).values(state=state, reason="")).rowcount:
                return False
            note(connection, study.id, delivery.generation, state.value, {"destination": delivery.destination})
            same = deliveries.c.study_id == study.id, deliveries.c.generation == delivery.generation
            states = {DeliveryState(s) for s in connection.scalars(select(deliveries.c.state).where(*same))}
            if states <= set(_DONE[study_state]):
                self._follow(connection, delivery, study_state, {})
            return True

    def _follow(self, connection: Connection, delivery: DeliveryRecord, state: StudyState, values: dict[str, Any]) -> None:
        """Take the study along, if it is still at the generation that was delivered."""
        before = [s for s in StudyState if state in MAY_FOLLOW[s] and s in (StudyState.PRODUCED, StudyState.DELIVERED)]
        here = studies.c.id == delivery.study_id, studies.c.generation == delivery.generation, studies.c.state.in_(before)
        changed = connection.execute(update(studies).where(*here).values(state=state, changed=now(), **values))
        if changed.rowcount:
            facts = {"reason": values["reason"]} if "reason" in values else {}
            note(connection, delivery.study_id, delivery.generation, f"study-{state.value}", facts)


def _waits(delivery: DeliveryRecord) -> Any:
    return update(deliveries).where(deliveries.c.id == delivery.id, deliveries.c.state.in_(_WAITING))
