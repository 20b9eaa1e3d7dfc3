"""A DICOMweb archive as destination: STOW-RS, then QIDO-RS for each instance (PS3.18 10.5 and 10.6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from pydicom.dataset import Dataset

from braintumor.archive import PacsTimeouts
from braintumor.archive.instances import decoded
from braintumor.archive.remote import Credentials
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.outlet import DeliveryConfirmation
from braintumor.node.deliver.parcel import Delivery
from braintumor.node.settings import DestinationSettings
from braintumor.study.dicomweb import NOT_DICOMWEB, open_client, patient_session

_LOOK = "Look at the destination, its address, and this node's access to it"
_LIMITS = PacsTimeouts(read_s=60.0)
_ONE_MESSAGE = 2**31  # the client's default is chunks of 1 MB, which not every archive takes
_CONFLICT, _NOT_FOUND = 409, 404
_DUPLICATE = 0x0111

_FAULTS = (
    dict.fromkeys((401, 403, 404, 405, 407), Fault.REJECTED)
    | dict.fromkeys((408, 429, 502, 503, 504), Fault.UNREACHABLE)
    | dict.fromkeys((400, 409, 413, 415, 422), Fault.REFUSED)
    | {507: Fault.NO_SPACE}
)
"""What an HTTP status means for results; others may pass."""


class WebOutlet:
    """One DICOMweb service, see `Destination`.

    Raises
    ------
    ValueError
        If the address cannot be one.
    """

    def __init__(self, settings: DestinationSettings, credentials: Credentials, limits: PacsTimeouts = _LIMITS) -> None:
        self._settings = settings
        session = patient_session()
        session.auth = credentials.auth()
        if settings.tls is not None:
            session.cert = (str(settings.tls.certificate), str(settings.tls.key))
            if settings.tls.ca is not None:
                session.verify = str(settings.tls.ca)
                session.trust_env = False  # else REQUESTS_CA_BUNDLE of the environment would go before it
        wait = (limits.connect_s, limits.read_s)
        self._client = open_client(settings.url, session, timeout=wait, chunk_size=_ONE_MESSAGE)

    def send(self, parcel: Delivery) -> None:
        """STOW-RS, one instance after the other; one that is there already is as good as stored, see `Destination`."""
        for item in parcel.items:
            dataset = decoded(item.read())
            with _explained():
                self._store(dataset)

    def confirm(self, parcel: Delivery) -> DeliveryConfirmation:
        """QIDO-RS for each instance, see `Destination`."""
        if self._settings.verify == "none":
            return DeliveryConfirmation.KEPT
        references = [item.reference() for item in parcel.items]
        with _explained():
            held = all(self._has(each.study_uid, each.series_uid, each.sop_uid) for each in references)
        return DeliveryConfirmation.KEPT if held else DeliveryConfirmation.MISSING

    def abandon(self) -> None:
        """Nothing to do: no thread of a request outlives the deliverer's."""

    def _store(self, dataset: Dataset) -> None:
        """A success that does not name the instance (PS3.18 table I.2-1 wants it to) may be a login page: look for it."""
        uids = str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)
        try:
            answer = self._client.store_instances([dataset])
        except requests.HTTPError as error:
            if _status(error) == _CONFLICT and self._has(*uids):
                return
            raise
        _check_stored(answer)
        named = {str(item.get("ReferencedSOPInstanceUID")) for item in answer.get("ReferencedSOPSequence") or ()}
        if uids[-1] not in named and not self._has(*uids):
            raise OutletError(Fault.FAILED, "The destination did not say that it stored a result", remedy=_LOOK)

    def _has(self, study_uid: str, series_uid: str, sop_uid: str) -> bool:
        try:
            found = self._client.search_for_instances(study_uid, series_uid, search_filters={"SOPInstanceUID": sop_uid})
        except requests.HTTPError as error:
            if _status(error) == _NOT_FOUND:
                return False
            raise
        return any(each.get("00080018", {}).get("Value") == [sop_uid] for each in found)  # a server may ignore the filter


def _check_stored(answer: Dataset) -> None:
    """The Store Instances Response (PS3.18 table I.2-1) to one instance; FailureReason has the codes of C-STORE."""
    for item in answer.get("FailedSOPSequence") or ():
        reason = int(item.get("FailureReason", 0))
        if reason == _DUPLICATE:
            continue
        fault = Fault.NO_SPACE if reason >> 8 == 0xA7 else Fault.REFUSED if reason >> 12 in (0xA, 0xC) else Fault.FAILED
        raise OutletError(fault, "The destination did not store a result", remedy=_LOOK, status=f"0x{reason:04X}")


def _status(error: requests.HTTPError) -> int:
    return 0 if error.response is None else error.response.status_code


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what the network and the archive can do wrong into an `OutletError`."""
    try:
        yield
    except requests.HTTPError as error:
        status = _status(error)
        fault = _FAULTS.get(status, Fault.FAILED)
        raise OutletError(fault, "The destination did not take a result", remedy=_LOOK, status=f"HTTP {status}") from error
    except requests.exceptions.SSLError as error:
        problem = "The destination's certificate, or this node's, is not accepted"
        raise OutletError(Fault.REJECTED, problem, remedy=_LOOK) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise OutletError(Fault.UNREACHABLE, "The destination does not answer", remedy=_LOOK) from error
    except requests.RequestException as error:
        raise OutletError(
            Fault.INTERRUPTED, "The destination's answer was cut off, or is not DICOMweb", remedy=_LOOK
        ) from error
    except NOT_DICOMWEB as error:
        raise OutletError(Fault.FAILED, "The destination does not answer in DICOMweb", remedy=_LOOK) from error
