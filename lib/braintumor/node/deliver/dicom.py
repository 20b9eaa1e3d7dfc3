"""A DICOM archive as destination: C-STORE, then C-FIND or Storage Commitment for its word that it keeps everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance  # type: ignore[attr-defined]
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from braintumor.archive.instances import decoded
from braintumor.node.deliver.commitment import CommitmentInbox
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.outlet import DeliveryConfirmation
from braintumor.node.deliver.parcel import Delivery, InstanceReference
from braintumor.node.settings import DestinationSettings
from braintumor.node.tls import client_context

_LOOK = "Look at the destination, its address and the AE titles it knows"
_DUPLICATE = 0x0111
_PROCESSING_FAILURE = 0x0110
_REQUEST_COMMITMENT = 1  # Action Type ID, PS3.4 table J.3-1


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds.

    Attributes
    ----------
    connect_s, answer_s
        Until a connection and association stand; between two pieces of an answer.
    commitment_s
        An answer to a commitment request is waited for so long with the association open; later ones come by another.
    ask_again_s
        A commitment request without an answer is made again after so long.
    """

    connect_s: float = 10.0
    answer_s: float = 60.0
    commitment_s: float = 3.0
    ask_again_s: float = 3600.0


class DicomOutlet:
    """One AE, see `Destination`.

    Parameters
    ----------
    calling
        AE title of this node.
    inbox
        Where answers to commitment requests arrive that come on associations of the destination.
    """

    def __init__(
        self,
        settings: DestinationSettings,
        calling: str,
        inbox: CommitmentInbox,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._calling, self._inbox, self._patience, self._clock = settings, calling, inbox, patience, clock
        self._tls = None if settings.tls is None else client_context(settings.tls)
        self._open: Association | None = None
        self._asked: dict[tuple[str, int], tuple[str, float]] = {}

    def send(self, parcel: Delivery) -> None:
        """C-STORE of every instance on one association; nothing is sent where a SOP class is not accepted.

        Warnings (PS3.4 table B.2-1) and "duplicate SOP instance" count as stored: UIDs of results follow from their content.

        Raises
        ------
        OutletError
        """
        references = [item.reference() for item in parcel.items]
        with self._associated(_contexts(references)) as association:
            _check_accepted(association, references)
            for item in parcel.items:
                try:
                    answer = association.send_c_store(decoded(item.read()))
                except RuntimeError as error:  # the association is gone
                    raise _interrupted() from error
                except (ValueError, AttributeError) as error:
                    raise OutletError(Fault.REFUSED, "A result cannot be encoded for its destination", remedy=_LOOK) from error
                _check_stored(answer)

    def confirm(self, parcel: Delivery) -> DeliveryConfirmation:
        """As `DestinationSettings.verify` says, see `Destination`."""
        if self._settings.verify == "none":
            return DeliveryConfirmation.KEPT
        references = [item.reference() for item in parcel.items]
        if self._settings.verify == "query":
            return self._found(references)
        return self._committed((parcel.pseudonym, parcel.generation), references)

    def abandon(self) -> None:
        """Abort the present association: its thread would keep the process from ending until its time is up."""
        association = self._open
        if association is not None:
            association.abort(block=False)
            association.dul.kill_dul()

    def _found(self, references: Sequence[InstanceReference]) -> DeliveryConfirmation:
        """C-FIND at the IMAGE level (PS3.4 C.4.1), instance by instance."""
        with self._associated([build_context(Find, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])]) as association:
            held = all(_is_found(association, reference) for reference in references)
        return DeliveryConfirmation.KEPT if held else DeliveryConfirmation.MISSING

    def _committed(self, key: tuple[str, int], references: Sequence[InstanceReference]) -> DeliveryConfirmation:
        transaction, asked = self._asked.get(key, ("", 0.0))
        answer = self._inbox.answer(transaction)
        outdated = self._clock() - asked > self._patience.ask_again_s
        if answer is None or (answer.waiting and outdated):
            self._inbox.forget(transaction)
            transaction = self._inbox.expect(reference.sop_uid for reference in references)
            self._asked[key] = (transaction, self._clock())
            try:
                self._ask_to_commit(transaction, references)
            except OutletError:
                self._forget(key)
                raise
            answer = self._inbox.answer(transaction)
        if answer is None or answer.waiting:
            return DeliveryConfirmation.WAITING
        self._forget(key)
        if answer.failed:
            raise OutletError(
                Fault.NOT_KEPT, f"The destination does not keep {len(answer.failed)} of the instances it took", remedy=_LOOK
            )
        return DeliveryConfirmation.KEPT

    def _ask_to_commit(self, transaction: str, references: Sequence[InstanceReference]) -> None:
        """N-ACTION (PS3.4 J.3.2); the answer may come while the association is open."""
        request = Dataset()
        request.TransactionUID = transaction
        request.ReferencedSOPSequence = [_referenced(reference) for reference in references]
        handlers = [(evt.EVT_N_EVENT_REPORT, self._inbox.handle_event_report)]
        contexts = [build_context(StorageCommitmentPushModel, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])]
        with self._associated(contexts, handlers) as association:
            try:
                answer, _ = association.send_n_action(
                    request, _REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
                )
            except RuntimeError as error:
                raise _interrupted() from error
            status = _status(answer)
            if status != 0x0000:
                raise OutletError(
                    Fault.CANNOT_CONFIRM, "The destination does not commit to keep results", remedy=_LOOK, status=_hex(status)
                )
            self._inbox.wait(transaction, self._patience.commitment_s)

    def _forget(self, key: tuple[str, int]) -> None:
        self._inbox.forget(self._asked.pop(key, ("", 0.0))[0])

    @contextmanager
    def _associated(
        self, contexts: list[PresentationContext], handlers: Sequence[tuple[evt.EventType, Callable[..., object]]] = ()
    ) -> Iterator[Association]:
        """An association with at least one accepted context, released at the end."""
        ae = AE(self._calling)
        ae.connection_timeout = ae.acse_timeout = self._patience.connect_s
        ae.dimse_timeout = ae.network_timeout = self._patience.answer_s
        try:
            association = ae.associate(
                self._settings.host,
                self._settings.port or 0,
                contexts=contexts,
                ae_title=self._settings.ae_title,
                evt_handlers=list(handlers),
                tls_args=None if self._tls is None else (self._tls, self._settings.host),
            )
        except OSError as error:  # no such host
            raise _unreachable() from error
        if not association.is_established:
            raise _no_association(association, contexts)
        self._open = association
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        else:
            association.release()
        finally:
            self._open = None


def _contexts(references: Sequence[InstanceReference]) -> list[PresentationContext]:
    """One for each class and transfer syntax, and for uncompressed files also DICOM's default one (PS3.5 10.1)."""
    pairs: dict[tuple[UID, UID], None] = {}
    for reference in references:
        pairs[reference.class_uid, reference.syntax] = None
        if reference.syntax == ExplicitVRLittleEndian:
            pairs[reference.class_uid, ImplicitVRLittleEndian] = None
    return [build_context(class_uid, syntax) for class_uid, syntax in pairs]


def _check_accepted(association: Association, references: Sequence[InstanceReference]) -> None:
    accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
    for reference in references:
        if accepted.isdisjoint({(c.abstract_syntax, c.transfer_syntax[0]) for c in _contexts([reference])}):
            raise _not_accepted(reference.class_uid)


def _check_stored(answer: Dataset) -> None:
    """PS3.4 table B.2-1 and PS3.7 annex C."""
    status = _status(answer)
    if status in (0x0000, _DUPLICATE) or status >> 12 == 0xB:
        return
    if status >> 8 == 0xA7:
        raise OutletError(Fault.NO_SPACE, "The destination is out of resources", remedy=_LOOK, status=_hex(status))
    fault = Fault.FAILED if status == _PROCESSING_FAILURE else Fault.REFUSED
    raise OutletError(fault, "The destination did not store a result", remedy=_LOOK, status=_hex(status))


def _is_found(association: Association, reference: InstanceReference) -> bool:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = reference.study_uid
    query.SeriesInstanceUID = reference.series_uid
    query.SOPInstanceUID = reference.sop_uid
    found = False
    try:
        for answer, identifier in association.send_c_find(query, Find):
            status = _status(answer)
            if status in (0xFF00, 0xFF01):  # archives that ignore a key answer with more than was asked for
                found |= identifier is not None and identifier.get("SOPInstanceUID") == reference.sop_uid
            elif status != 0x0000:
                raise OutletError(
                    Fault.CANNOT_CONFIRM, "The destination does not answer a query", remedy=_LOOK, status=_hex(status)
                )
    except RuntimeError as error:
        raise _interrupted() from error
    return found


def _status(answer: Dataset) -> int:
    """Status of a response; an empty one stands for a connection that was lost or timed out."""
    if "Status" not in answer:
        raise _interrupted()
    return int(answer.Status)


def _referenced(reference: InstanceReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.class_uid
    item.ReferencedSOPInstanceUID = reference.sop_uid
    return item


def _no_association(association: Association, contexts: Sequence[PresentationContext]) -> OutletError:
    if association.is_rejected:
        return OutletError(Fault.REJECTED, "The destination rejected the association", remedy=_LOOK)
    if association.rejected_contexts:  # it answered, and took none of what was proposed
        syntax = contexts[0].abstract_syntax
        if syntax in (Find, StorageCommitmentPushModel):
            return OutletError(Fault.CANNOT_CONFIRM, "The destination does not offer to confirm this way", remedy=_LOOK)
        return _not_accepted(UID(str(syntax)))
    return _unreachable()


def _unreachable() -> OutletError:
    return OutletError(Fault.UNREACHABLE, "The destination does not answer", remedy=_LOOK)


def _not_accepted(class_uid: UID) -> OutletError:
    return OutletError(
        Fault.NOT_ACCEPTED,
        f"The destination does not take {class_uid.name}",
        remedy="Let it take this SOP class, or do not send that (setting send)",
    )


def _interrupted() -> OutletError:
    return OutletError(Fault.INTERRUPTED, "The connection to the destination was lost", remedy="It is tried again")


def _hex(status: int) -> str:
    return f"0x{status:04X}"
